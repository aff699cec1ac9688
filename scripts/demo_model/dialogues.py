"""Dialogues: prompts and answers as tokens, exactly as the worker's chat prompts make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image

from persqa.flags import look_at
from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import TAG_FIELD, Question
from scripts.demo_model.tags import random_tag
from scripts.demo_model.vocabulary import (
    AROUND,
    ASSISTANT,
    BEGIN,
    CHAT_TEMPLATE,
    END,
    IMAGE,
    IMAGE_TOKENS,
    USER,
    WHOLE,
    new_processor,
)
from worker.engines.chat_prompts import ChatPrompts
from worker.engines.engine import Request
from worker.pictures import Picture

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer

    from persqa.tags import Tag

_IMAGE = Image.new("RGB", (1, 1))
_BLANK = Picture("", _IMAGE, look_at(_IMAGE))


@dataclass(frozen=True, slots=True)
class Segment:
    """What follows the image: the question of one prompt, and the answer to it.

    Attributes:
        image: the row of its image in the batch.
        tokens: question and answer.
        asked: how many of them are the question.
    """

    image: int
    tokens: list[int]
    asked: int


class Dialogues:
    """Writes prompts and answers as tokens.

    Attributes:
        opening: tokens before the image, the same in every prompt.
        image: tokens of an image.
    """

    def __init__(self, words: Tokenizer, often: Mapping[str, float] | None = None) -> None:
        """Prepare.

        Args:
            words: the tokenizer.
            often: how often a question is asked, by its template, compared with others; all alike where not given.
        """
        self._words = words
        self._often = often or {}
        self.prompts = ChatPrompts(new_processor(words).tokenizer, CHAT_TEMPLATE)
        before, _, _ = self.prompts.text(request("")).partition(IMAGE)
        self.opening = self._encode([before])[0]
        self.image = self._encode([AROUND + WHOLE + IMAGE * IMAGE_TOKENS + AROUND])[0]

    def questions(self, asked: Sequence[tuple[str, Tag]]) -> list[list[int]]:
        """Tokens from behind the image up to the answer; of question templates with tags."""
        return self._encode([self._after_the_image(template, tag) for template, tag in asked])

    def segments(
        self, truths: Sequence[Mapping[str, str]], questions_per_image: int, chance: random.Random
    ) -> list[Segment]:
        """Some questions about each image of a batch, each about a tag of its own."""
        images: list[int] = []
        texts: list[str] = []
        for image, truth in enumerate(truths):
            for template in self._drawn(sorted(truth), questions_per_image, chance):
                tag = random_tag(chance)
                images.append(image)
                texts += [self._after_the_image(template, tag), self._answer(truth[template], tag) + END]
        tokens = self._encode(texts)
        return [
            Segment(image, asked + answer, len(asked))
            for image, asked, answer in zip(images, tokens[::2], tokens[1::2], strict=True)
        ]

    def _drawn(self, templates: Sequence[str], count: int, chance: random.Random) -> list[str]:
        """Different ones, the likelier the more often they are to be asked (by Efraimidis and Spirakis)."""
        return sorted(templates, key=lambda one: chance.random() ** (1 / self._often.get(one, 1)), reverse=True)[:count]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer."""
        return self._words.decode(tokens, skip_special_tokens=True)

    def whole(self, segment: Segment) -> list[int]:
        """A dialogue from its first token to its last."""
        return [*self.opening, *self.image, *segment.tokens]

    def _after_the_image(self, template: str, tag: Tag) -> str:
        turn = human_turn(tag, Question(topic="", template=template).ask(tag))
        return self.prompts.text(request(turn)).partition(IMAGE)[2]

    def _answer(self, template: str, tag: Tag) -> str:
        return template.replace(TAG_FIELD, tag)

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [one.ids for one in self._words.encode_batch_fast(texts, add_special_tokens=False)]


class BriefDialogues(Dialogues):
    """Nothing but image, question and answer, without a tag: what is left is what one has to look at the image for.

    Among all the words of a whole prompt the image is hard to find: a text model that starts with those guesses from
    the question alone, for a thousand steps and more.
    """

    def __init__(self, words: Tokenizer) -> None:
        super().__init__(words)
        self.opening = self._encode([f"{BEGIN}{USER}"])[0]

    def _after_the_image(self, template: str, tag: Tag) -> str:  # noqa: ARG002 - the tag is left out
        return f"{template.replace(TAG_FIELD, '')}{END}{ASSISTANT}"

    def _answer(self, template: str, tag: Tag) -> str:  # noqa: ARG002 - the tag is left out
        return template.replace(TAG_FIELD, "")


def request(user: str) -> Request:
    """A request as the worker makes it."""
    return Request(request_id="", system=SYSTEM_PROMPT, user=user, prefill="", images=[_BLANK], sampling={}, seed=0)


def padded(rows: Sequence[list[int]]) -> torch.Tensor:
    """Rows of tokens as one rectangle; what is added at the end is never looked at."""
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])
