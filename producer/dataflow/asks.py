"""Ask and Answer: the question an operator has about each record, and what the serving answers."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.conversations import HUMAN, SYSTEM, speaker_of, without_image_tokens, words_of
from persqa.errors import RecordError
from persqa.prompts import human_turn
from persqa.reasons import Reason
from persqa.records import RawRecord, parse_record, record_key
from persqa.tags import Tag, parse_tag
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from persqa.questions import QuestionPool
    from persqa.runs import RunOptions


logger = logging.getLogger(__name__)

#: How many records without an answer the log names.
_SHOWN = 5
#: The tag of a prompt that is asked as it is.
NO_TAG = Tag("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One record with its question.

    Attributes:
        position: its place among all, from 0.
        record: the record as JSON; with the seed of the run it decides which question is drawn.
        images: the image references as given.
        tag: the tag to ask for; empty where the question is a prompt that is asked as it is.
        question: as asked, tag in place; empty where the record cannot be used.
        error: why it cannot be used, if so.
    """

    position: int
    record: str
    images: tuple[str, ...] = ()
    tag: Tag = NO_TAG
    question: str = ""
    error: RecordError | None = None

    @property
    def prompt(self) -> str:
        """The text of the human turn."""
        return human_turn(self.tag, self.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of an ask.

    Attributes:
        text: the model's answer; None where there is none.
        reason: why there is none, or how it breaks the tag rule: a code, and perhaps a sentence.
    """

    text: str | None
    reason: str | None = None


def draw_asks(
    records: Iterable[Mapping[str, JsonValue]], options: RunOptions, pool: QuestionPool, *, max_images: int
) -> list[Ask]:
    """Check the records and draw a question for each, as a submit of the same records does."""
    asks: list[Ask] = []
    for position, record in enumerate(records):
        text = json.dumps(record)
        raw = RawRecord(place=f"record {position + 1}", value=dict(record))
        try:
            found = parse_record(raw, max_images=max_images, image_optional=options.image_optional)
        except RecordError as error:
            asks.append(Ask(position=position, record=text, error=error))
            continue
        tag = found.tag or parse_tag(options.tag)
        (question,) = pool.draw(1, seed=options.seed, key=record_key(text))
        asks.append(Ask(position=position, record=text, images=found.images, tag=tag, question=question.ask(tag)))
    return asks


def verbatim_asks(prompts: Sequence[str], images: Sequence[Sequence[str]]) -> list[Ask]:
    """One ask for each prompt, which is asked as it is."""
    return [
        Ask(
            position=position,
            record=json.dumps({"prompt": prompt, **({"image": list(references)} if references else {})}),
            images=tuple(references),
            # As the record has it: JSON makes one character of the two halves of a pair.
            question=json.loads(json.dumps(prompt)),
            error=None if prompt.strip() else RecordError(Reason.BAD_PROMPT, f"prompt {position + 1} is empty"),
        )
        for position, (prompt, references) in enumerate(zip(prompts, images, strict=True))
    ]


def answer_all(asks: Sequence[Ask], answer: Callable[[Sequence[Ask]], Iterable[Answer]]) -> list[Answer]:
    """One answer for each ask; all that can be asked are answered in one call, and the log names the others."""
    askable = [ask for ask in asks if ask.error is None]
    coming = iter(answer(askable) if askable else ())
    answers = [
        next(coming) if ask.error is None else Answer(text=None, reason=f"{ask.error.reason}: {ask.error}")
        for ask in asks
    ]
    without = [(number, answer.reason) for number, answer in enumerate(answers, 1) if answer.text is None]
    if without:
        shown = "".join(f"\n  record {number}: {reason}" for number, reason in without[:_SHOWN])
        of_all = counted(len(answers), "record has", "records have")
        logger.warning("%d of %s no answer%s", len(without), of_all, shown)
    return answers


def prompt_of(conversation: Sequence[Mapping[str, JsonValue]]) -> str:
    """The text of the one human turn.

    Args:
        conversation: turns with `from` and `value`, or with `role` and `content`. An empty answer after the human
            turn is allowed; a system turn is ignored, since the call has a `system_prompt`.

    Raises:
        ValueError: there is not exactly one human turn, or the conversation has an answer.
    """
    human: list[str] = []
    for turn in conversation:
        speaker, words = speaker_of(turn), words_of(turn)
        if speaker in HUMAN:
            human.append(words)
        elif speaker != SYSTEM and words.strip():
            raise ValueError(f"the conversation goes on from an answer ({words[:40]!r}): one question can be asked")
    if len(human) != 1:
        raise ValueError(f"the conversation has {len(human)} human turns, it must have exactly one")
    return without_image_tokens(human[0])


def labelled_prompt(prompt: str, labels: Sequence[str]) -> str:
    """The prompt, and below it the label of each image."""
    lines = [f"Image {number}: {label}" for number, label in enumerate(labels, 1) if label]
    return "\n".join([prompt, *lines] if prompt else lines)
