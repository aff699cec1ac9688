"""Result, Violation and Outcome: what is stored of an item when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from persqa.bad_images import BadImage
from persqa.clock import now
from persqa.generations import FinishReason
from persqa.items import ItemId
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.runs import RunId
from persqa.verdicts import ViolationKind


class Status(StrEnum):
    """How an item ended."""

    OK = "ok"  #: a compliant answer
    NONCOMPLIANT = "noncompliant"  #: an answer, but a violation on every rung of the policy
    INVALID = "invalid"  #: the record, its image or its prompt cannot be used
    DEAD = "dead"  #: given up; the data has no known fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The one terminal row of an item.

    Attributes:
        reason: code for `invalid` and `dead`; the last violation's kind for `noncompliant`.
        detail: a sentence about the reason.
        rung: the rung of the answer.
        generations: the number of generations for the item.
        prompt_tokens: those of the answer's generation; likewise output_tokens, finish_reason.
        image_seconds: time to load all images, including the wait for memory and for a thread.
        engine_seconds: time of all generations together.
    """

    item_id: ItemId
    run_id: RunId
    status: Status
    reason: Reason | ViolationKind | None = None
    detail: str | None = None
    answer: str | None = None
    rung: Rung | None = None
    finish_reason: FinishReason | None = None
    generations: int = 0
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    image_seconds: float | None = None
    engine_seconds: float | None = None
    worker: str | None = None
    model: str | None = None
    finished_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One generation that breaks the tag rule, with its raw text; it has a seed if its run is repeatable."""

    item_id: ItemId
    run_id: RunId
    rung: Rung
    kind: ViolationKind
    text: str
    finish_reason: FinishReason
    seed: int | None
    prompt_tokens: int
    output_tokens: int
    worker: str
    model: str
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is stored of an item when it ends, in one transaction.

    Attributes:
        requeues: those of the message that was answered; nothing is stored where the item has others by now. None
            where it does not matter.
    """

    result: Result
    violations: tuple[Violation, ...] = ()
    bad_images: tuple[BadImage, ...] = ()
    requeues: int | None = None

    @classmethod
    def dead(
        cls,
        item_id: ItemId,
        run_id: RunId,
        reason: Reason,
        detail: str,
        *,
        worker: str | None = None,
        model: str | None = None,
    ) -> Outcome:
        """The outcome of an item that is given up."""
        result = Result(
            item_id=item_id, run_id=run_id, status=Status.DEAD, reason=reason, detail=detail, worker=worker, model=model
        )
        return cls(result)
