"""CatalogRow: what the gallery keeps of an item; RunMarks: how far the run of it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from persqa.store.counters import SUBMITTED


class CatalogRow(NamedTuple):
    """One item with its result and its review.

    Attributes:
        question: its beginning, as in the pool.
        answer: its beginning.
        answer_length: in characters; None without an answer.
        finished: in seconds since 1970, UTC.
        images: its references, as a JSON list; the beginning of it.
        edited: whether a person wrote another answer.
        reviewed: whether there is a review at all.
    """

    item_id: int
    status: str | None
    reason: str | None
    topic: str
    question: str
    model: str | None
    rung: str | None
    forced: bool | None
    tag: str
    worker: str | None
    answer: str | None
    answer_length: int | None
    images: str
    image_seconds: float | None
    engine_seconds: float | None
    finished: float | None
    decision: str | None
    edited: bool
    starred: bool | None
    reviewed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMarks:
    """How far a run is, as of one moment.

    Attributes:
        counts: items by status, as counted; those of the ledger under `submitted`.
        whole: all items that the run will have.
        is_going: whether it is being deleted, or is gone.
        last_finished: when its newest result ended, in seconds since 1970, UTC; 0 without results.
        last_reviewed: when its newest review was given, likewise.
        taken_back: the last id of all earlier results; `replaced`, of all earlier reviews.
        reviews: how many of its items have a review.
        flags: how many of its items have each flag.
    """

    counts: dict[str, int]
    whole: int
    is_going: bool
    last_finished: float
    last_reviewed: float
    taken_back: int
    replaced: int
    reviews: int
    flags: dict[str, int]

    @property
    def submitted(self) -> int:
        """Items in the ledger."""
        return self.counts.get(SUBMITTED, 0)
