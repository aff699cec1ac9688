"""Accuracy: how the saved model answers about held-out portraits, word for word."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from persqa.questions import TAG_FIELD
from producer.demo import ATTRIBUTES, Person, true_answers
from scripts.demo_model.catalogue import catalogue
from scripts.demo_model.pictures import Pictures, Stream, normalised
from scripts.demo_model.progress import say
from scripts.demo_model.reading import Memory, read_images, read_tokens, rows_of
from scripts.demo_model.tags import HELD_OUT_TAGS, MAM, ODD_TAGS
from scripts.demo_model.vision import image_features
from scripts.demo_model.vocabulary import END, token_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from transformers import Idefics3ForConditionalGeneration

    from persqa.tags import Tag
    from scripts.demo_model.dialogues import Dialogues

_LONGEST_ANSWER: Final = 64
#: Images asked about with a tag that is one of several.
_IMAGES_PER_TAG: Final = 25


@dataclass(slots=True)
class Tally:
    """What was right, of what was asked."""

    asked: Counter[str] = field(default_factory=Counter[str])
    right: Counter[str] = field(default_factory=Counter[str])

    def add(self, name: str, right: bool) -> None:
        """Count one answer."""
        self.asked[name] += 1
        self.right[name] += right

    def shares(self) -> dict[str, float]:
        """The share that was right, by name."""
        return {name: self.right[name] / asked for name, asked in self.asked.items()}


@dataclass(slots=True)
class Accuracy:
    """One row of answers, by what they are about."""

    questions: Tally = field(default_factory=Tally)
    attributes: Tally = field(default_factory=Tally)
    tags: Tally = field(default_factory=Tally)
    whole: Tally = field(default_factory=Tally)
    wrong: list[str] = field(default_factory=list[str])

    def add(self, person: Person, template: str, tag: Tag, answer: str) -> None:
        """Judge one answer."""
        truth = true_answers(person)[template].replace(TAG_FIELD, tag)
        self.questions.add(template, answer == truth)
        self.whole.add("exact", answer == truth)
        self.whole.add("compliant", answer.startswith(tag) and len(answer) > len(tag))
        self.tags.add(tag, answer.startswith(tag) and len(answer) > len(tag))
        known = catalogue()[template]
        said = known.get(answer.replace(tag, TAG_FIELD), {})
        for name in known[true_answers(person)[template]]:
            self.attributes.add(name, said.get(name) == asdict(person)[name])
        if answer != truth and len(self.wrong) < 12:
            self.wrong.append(f"{truth}  |  {answer}")


def measure(
    model: Idefics3ForConditionalGeneration,
    words: Tokenizer,
    dialogues: Dialogues,
    stream: Stream,
    pictures: Pictures,
) -> dict[str, Any]:
    """Ask everything, print the tables, and give them back."""
    report: dict[str, Any] = {}
    for name, tags in (("mam", (MAM,)), ("held-out tags", HELD_OUT_TAGS), ("odd tags", ODD_TAGS)):
        count = len(pictures) if len(tags) == 1 else min(_IMAGES_PER_TAG, len(pictures))
        report[name] = _shares(_asked(model, words, dialogues, stream, pictures[:count], tags))
        _print(name, report[name])
    return report


def question_accuracy(
    model: Idefics3ForConditionalGeneration,
    words: Tokenizer,
    dialogues: Dialogues,
    stream: Stream,
    pictures: Pictures,
) -> dict[str, float]:
    """The share of exact answers, by question template."""
    return _asked(model, words, dialogues, stream, pictures, (MAM,)).questions.shares()


@torch.no_grad()
def _asked(
    model: Idefics3ForConditionalGeneration,
    words: Tokenizer,
    dialogues: Dialogues,
    stream: Stream,
    pictures: Pictures,
    tags: Sequence[Tag],
) -> Accuracy:
    """Ask every question about every picture, with every tag."""
    accuracy = Accuracy()
    for start in range(0, len(pictures), 250):
        some = pictures[start : start + 250]
        pixels = normalised(torch.from_numpy(some.copy()))
        memory = read_images(model, dialogues, image_features(model, pixels.to(model.dtype)))
        people = [stream.person(start + index) for index in range(len(some))]
        for template in catalogue():
            for tag in tags:
                asked = dialogues.questions([(template, tag)])[0]
                for person, tokens in zip(people, _answers(model, words, asked, memory), strict=True):
                    accuracy.add(person, template, tag, dialogues.decode(tokens))
    return accuracy


def _answers(
    model: Idefics3ForConditionalGeneration, words: Tokenizer, asked: Sequence[int], memory: Memory
) -> list[list[int]]:
    """The likeliest answer about each image to one question, token by token."""
    end = token_id(words, END)
    count = memory[0][0].shape[0]
    past = rows_of(memory, torch.arange(count))
    tokens = torch.tensor([asked]).expand(count, -1)
    answers: list[list[int]] = [[] for _ in range(count)]
    open_rows = torch.ones(count, dtype=torch.bool)
    for _ in range(_LONGEST_ANSWER):
        states, past = read_tokens(model, tokens, past)
        tokens = model.lm_head(states[:, -1]).argmax(-1, keepdim=True)
        open_rows &= tokens[:, 0] != end
        if not open_rows.any():
            break
        still_open: list[int] = open_rows.nonzero()[:, 0].tolist()
        for row in still_open:
            answers[row].append(int(tokens[row, 0]))
    return answers


def _shares(accuracy: Accuracy) -> dict[str, Any]:
    return {
        "answers": accuracy.whole.asked["exact"],
        **accuracy.whole.shares(),
        "by tag, compliant": accuracy.tags.shares(),
        "by question, exact": accuracy.questions.shares(),
        "by attribute": {
            name: share for name in ATTRIBUTES if (share := accuracy.attributes.shares().get(name)) is not None
        },
        "wrong answers": accuracy.wrong,
    }


def _print(name: str, shares: dict[str, Any]) -> None:
    say(f"\n{name}: {shares['answers']} answers, exact {shares['exact']:.2%}, compliant {shares['compliant']:.2%}")
    for title in ("by tag, compliant", "by question, exact", "by attribute"):
        say(f"  {title}")
        for row, share in shares[title].items():
            say(f"    {row:<52}{share:8.2%}")
    say("  true answer  |  wrong answer")
    for line in shares["wrong answers"]:
        say(f"    {line}")
