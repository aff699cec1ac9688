"""The labelled sentences by which the flags are measured: one file a flag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.flags import ANSWER_FLAGS, flags_of_answer
from persqa.generations import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.flags import Flag

_FOLDER = Path(__file__).parent
TAG = "<mam>"
_LABELS = {"+": True, "-": False, "=": False}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One answer, and whether it deserves the flag.

    Attributes:
        held: whether it was left alone while the rules were written.
    """

    answer: str
    question: str
    deserves: bool
    held: bool


def sentences(name: str) -> list[Sentence]:
    """Those of one file: a flag's, or `none`."""
    found: list[Sentence] = []
    held, question = False, ""
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if line.startswith("["):
            held = line == "[held]"
        elif kind == "?":
            question = rest
        elif kind in _LABELS:
            found.append(Sentence(rest.replace("\\n", "\n"), question, _LABELS[kind], held))
    return found


def raised(sentence: Sentence) -> set[Flag]:
    """The flags that the rules give it."""
    findings = flags_of_answer(sentence.answer, question=sentence.question, tag=TAG, finish_reason=FinishReason.STOP)
    return {finding.flag for finding in findings}


@dataclass(frozen=True, slots=True)
class Marks:
    """How well one flag is given.

    Attributes:
        right: deserved and given.
        wrong: given and not deserved.
        missed: deserved and not given.
    """

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """Of what was given, how much was deserved."""
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Of what was deserved, how much was given."""
        return self.right / (self.right + self.missed)


def marks(flag: Flag, *, held: bool) -> Marks:
    """How well it is given to its own sentences, and to those that deserve no flag at all."""
    judged = [
        (sentence.deserves, flag in raised(sentence))
        for sentence in [*sentences(flag), *sentences("none")]
        if sentence.held is held
    ]
    return Marks(
        right=sum(deserved and given for deserved, given in judged),
        wrong=sum(given and not deserved for deserved, given in judged),
        missed=sum(deserved and not given for deserved, given in judged),
    )


def faults(flags: Iterable[Flag] = ANSWER_FLAGS, *, held: bool) -> list[str]:
    """What is given wrongly or not at all, for who works on the rules."""
    return [
        f"{flag} {'missed in' if sentence.deserves else 'wrongly given to'}: {sentence.answer!r} ({sentence.question})"
        for flag in flags
        for sentence in [*sentences(flag), *sentences("none")]
        if sentence.held is held and sentence.deserves is not (flag in raised(sentence))
    ]
