"""Summary: what a run comes to, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from persqa.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """One question of a run, with all its answers.

    Attributes:
        topic: its name; empty for the prompts of records.
        template: its words, with `{tag}` for the tag; of several with one topic, one of them.
        first: answers that keep the rule at the first try; `repaired` those that do when asked again, `forced` those
            for which the tag was written, and `broken` those that break the rule.
        unanswered: items without an answer.
    """

    topic: str
    template: str
    first: int = 0
    repaired: int = 0
    forced: int = 0
    broken: int = 0
    unanswered: int = 0

    @property
    def judged(self) -> int:
        """All answers."""
        return self.first + self.repaired + self.forced + self.broken


@dataclass(frozen=True, slots=True)
class Repeated:
    """An answer that several items have, letter for letter."""

    topic: str
    answer: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run comes to, so far.

    Attributes:
        records: those of the input.
        questions: the most frequent ones.
        reasons: by status and reason, how many items are not `ok`.
        flags: how many items have each flag.
        models: how many results are of each model.
        reviews: how many items are `accepted`, `rejected`, `edited` and `starred`.
        provenances: what has answered, as far as it was noted.
        answers: items that have an answer.
        generations: those of all items together.
        prompt_tokens: those of the answers' generations together; likewise `output_tokens`.
        engine_seconds: the time of all generations together, one behind the other.
        began: when the first item ended, and `ended` the last one.
        requeued: results that were taken back.
        lengths: how many answers have so many tens of characters.
        minutes: how many items ended in each minute since 1970.
        repeated: the answers that most items share.
    """

    records: int
    questions: Sequence[AskedQuestion]
    reasons: Mapping[tuple[str, str], int]
    flags: Mapping[str, int]
    models: Mapping[str, int]
    reviews: Mapping[str, int]
    provenances: Sequence[Provenance]
    answers: int
    generations: int
    prompt_tokens: int
    output_tokens: int
    engine_seconds: float
    began: datetime | None
    ended: datetime | None
    requeued: int
    lengths: Mapping[int, int]
    minutes: Mapping[int, int]
    repeated: Sequence[Repeated]
