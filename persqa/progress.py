"""The progress of runs: the items that have ended, and the pending ones."""

from __future__ import annotations

from dataclasses import dataclass

from persqa.own_code import own_module
from persqa.results import Status
from persqa.runs import RunState
from persqa.stop_rules import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a run.

    Attributes:
        submitted: items in the ledger.
        ended: items with a result, by status; every status has an entry.
        state: whether its items are begun; `done` where every one has a result, `open` if more may be added, too.
        stop: why it has paused itself, if it has, and is paused still.
    """

    submitted: int
    ended: dict[Status, int]
    state: RunState = RunState.ACTIVE
    stop: Stop | None = None

    @property
    def pending(self) -> int:
        """Items without a result."""
        return self.submitted - sum(self.ended.values())

    @property
    def counts(self) -> dict[str, int]:
        """The counts, by their names in the database."""
        ended = {status.value: self.ended[status] for status in Status}
        return {"submitted": self.submitted, **ended, "pending": self.pending}

    @property
    def goes_on(self) -> bool:
        """Whether there may be more results without anybody doing something to the run."""
        return self.state in (RunState.ACTIVE, RunState.OPEN)

    @property
    def fruitless(self) -> bool:
        """Whether everything has ended, and nothing of it as `ok`."""
        return self.pending == 0 and self.ended[Status.OK] == 0

    def _repr_html_(self) -> str:
        # How things look is above what they are, so it is found by name.
        return own_module("producer.notebook").progress_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """The progress of a run, with its name."""

    run: str
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A run counted row by row, as of one moment.

    Attributes:
        rows: the counts of the rows.
        counters: the values of the counters.
        pending: items without a result, counted and not calculated as a difference.
        strays: items of results that have no item, or one of another run.
    """

    rows: Progress
    counters: Progress
    pending: int
    strays: tuple[int, ...]
