"""How far runs are: what has ended, how, and what is pending."""

from __future__ import annotations

from dataclasses import dataclass

from persqa.results import Status
from persqa.runs import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        submitted: items in the ledger.
        ended: items with a result, by status; every status has an entry.
        state: whether its items are begun.
    """

    submitted: int
    ended: dict[Status, int]
    state: RunState = RunState.ACTIVE

    @property
    def pending(self) -> int:
        """Items without a result."""
        return self.submitted - sum(self.ended.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far one run is, by its name."""

    run: str
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A run counted row by row, all at one moment.

    Attributes:
        rows: what the rows say.
        counters: what the counters say.
        pending: items without a result, counted by themselves and not as a difference.
        strays: results without an item, or of another run than their item.
    """

    rows: Progress
    counters: Progress
    pending: int
    strays: tuple[int, ...]
