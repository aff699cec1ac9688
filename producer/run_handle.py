"""RunHandle: one run, and everything a program can do with it."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.audit import Audit, audit
from persqa.broker.keys import queue_of
from persqa.controls import refuse_deleting, set_priority, stop, withdraw
from persqa.errors import InputError, RunStopped
from persqa.runs import Run, RunState, parse_priority
from producer.run_reports import RunReports
from producer.run_reviews import RunReviews
from producer.run_rows import RunRows
from producer.spot_checks import summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from persqa.broker.depth import Depth
    from persqa.progress import Progress
    from producer.choosing import OnPart, OnRow
    from producer.connections import Connections
    from producer.exporters.copies import OnLeft
    from producer.options import GivenExportOptions
    from producer.progress import WaitDisplay
    from producer.spot_checks import Summary
    from producer.submit import Submission


class RunHandle(RunReviews, RunRows, RunReports):
    """One run; `submission` says what the submit that returned it has done."""

    def __init__(self, connections: Connections, run: Run, submission: Submission | None = None) -> None:
        super().__init__(connections, run)
        self.submission = submission
        #: The database with the run's rows.
        self.database_url: str = connections.settings.database_url

    def progress(self) -> Progress:
        """How many items have which status; cheap at any size."""
        return self._queries.progress(self.run.id)

    def rate(self, *, since: datetime | None = None) -> float | None:
        """Items that workers ended, a second, over the time in which they came.

        Args:
            since: count from here to the last item; by default over the last minute. A run that is paused, cancelled or
                done has no rate at present.

        Returns:
            Items per second; None where nothing ended in that time.
        """
        return self._store.rates.of(self.run.id, since=since)

    def wait(
        self, *, timeout_seconds: float | None = None, display: WaitDisplay | None = None, closed: bool = False
    ) -> Progress:
        """Wait until every item has a result, with a progress bar on a terminal.

        Of an open run, wait for what was added so far; with `closed`, until it is closed, too.

        The bar says what is waited for, such as a model that is loaded, and what hinders the run, such as a full disk.
        With a `display` of your own, what hinders it is logged.

        Raises:
            TimeoutError: it took longer.
            RunStopped: the run was cancelled, has paused itself by a stop rule, or is being deleted; a run that people
                paused is waited for.
            RunNotFound: it was deleted.
            SettingsError: the worker that this client started cannot start its engine.
            WorkerDied: the worker that this client started has ended.
        """
        # Imported here, as most programs do not wait: the bar takes long to load.
        from producer.lookout import Lookout
        from producer.progress import wait_for

        with closing(Lookout(self._connections, self.run)) as lookout:
            try:
                return wait_for(
                    self.progress,
                    name=self.name,
                    check=self._connections.tend,
                    timeout_seconds=timeout_seconds,
                    display=display,
                    news=lookout.look,
                    until=self._until(closed=closed),
                )
            except RunStopped:
                refuse_deleting(self._store, self.run)
                raise

    def _until(self, *, closed: bool) -> Callable[[Progress], bool]:
        """Whether this is the progress that is waited for; others may add to an open run for ever."""
        if closed or not self.run.grows:
            return lambda progress: progress.pending == 0 and not (closed and progress.state is RunState.OPEN)
        last = self._store.ledger.last(self.run.id)
        return lambda progress: (
            progress.pending == 0 or next(self._store.ledger.pending_ids(self.run.id, chunk=1), last + 1) > last
        )

    def spot_checks(self) -> Summary:
        """What the spot checks say of the pictures; empty where there are none. The time grows with their number."""
        return summary(self._store.spot_checks.of(self.run.id))

    def export(
        self,
        path: str | Path,
        *,
        on_left: OnLeft = lambda _left: None,
        on_part: OnPart = lambda _part, _rows: None,
        on_row: OnRow = lambda _row: None,
        **given: Unpack[GivenExportOptions],
    ) -> int:
        """Write the records to a file or folder, in the input's order; returns the number of rows.

        Args:
            path: `.json`, `.jsonl` or `.csv`, each also with `.gz` or `.zst`, `.parquet`, or a folder; with `gallery`,
                `.html`. It appears when everything is written.
            on_left: called for each image that is to travel with the export and cannot, for each answer that dialogues
                leave out, and for each row that an option leaves out.
            on_part: called for each part of a split, with its number of rows.
            on_row: called for each row that is written, before it is; not with `gallery`.
            given: the options by name; see `GivenExportOptions`.

        Raises:
            SettingsError: there is no such status or option.
            InputError: the format is unknown, the file cannot be written or is there already, or a record already has
                such a field.
            BlobsUnavailable: the blob store does not answer.
        """
        if not str(path):
            raise InputError("no file is named to export to, for its name is empty")
        # What only some programs do, others need not load.
        from producer.exporting import export

        return export(self._connections, self.run, Path(path), on_left=on_left, on_part=on_part, on_row=on_row, **given)

    def pause(self) -> int:
        """Let workers begin no more of its items, and finish those they have begun. Safe to repeat.

        Returns:
            The number of messages taken out of the queue. Without a broker they stay there, and workers drop them.

        Raises:
            RunStopped: the run is cancelled, or done.
            BrokerUnavailable: the run is paused, and some messages are still in the queue.
        """
        return self._stop(RunState.PAUSED)

    def cancel(self) -> int:
        """Give the run up: as `pause`, and every wait for the run ends with `RunStopped`. Safe to repeat.

        Results stay, and `resume` can still take the run up again.

        Raises:
            RunStopped: the run is done.
            BrokerUnavailable: the run is cancelled, and some messages are still in the queue.
        """
        return self._stop(RunState.CANCELLED)

    def _stop(self, state: RunState) -> int:
        self.run, withdrawn = stop(self._store, self.run, state, self._connections.broker_url)
        return withdrawn

    def resume(self, *, on_full: Callable[[], None] = lambda: None) -> int:
        """Go on after `pause`, `cancel` or a stop rule. Safe to repeat, also after an interruption.

        A stop rule by which the run had paused itself counts anew from here, and needs 100 items again.

        Args:
            on_full: called repeatedly while the queue is full.

        Returns:
            The number of enqueued items. Without a broker it is 0: workers, and programs that wait for the run, enqueue
            them within `PERSQA_RECONCILE_SECONDS`; otherwise the next `persqa run` of the same input does.

        Raises:
            RunStopped: the run was paused or cancelled again meanwhile.
            BrokerUnavailable: the run goes on, and not all is enqueued; call again.
        """
        self._connections.announce(self.run)
        self.run = self._store.runs.reread(self.run)
        if self.run.stop and (url := self._connections.broker_url) and self.run.state is RunState.PAUSED:
            # Workers paused it and went on, so its messages are still there, and would be there twice.
            withdraw(self._store, self.run, url)
        self.run = self._store.runs.set_state(self.run, RunState.ACTIVE)
        if self._connections.broker_url is None:
            return 0
        return self._connections.enqueue(self.run, on_full=on_full)

    def set_priority(self, priority: str) -> int:
        """Let its items go before or after those of other runs. Safe to repeat.

        Args:
            priority: `high`, `normal` or `low`.

        Returns:
            The number of messages moved to another queue. Messages that workers hold keep the old priority; without a
            broker, all do.

        Raises:
            SettingsError: there is no such priority.
            BrokerUnavailable: the priority is set, and some messages are still in the old queue.
        """
        self.run, moved = set_priority(self._store, self.run, parse_priority(priority), self._connections.broker_url)
        return moved

    def depth(self) -> Depth | None:
        """The queue of this run's items; None without a broker."""
        queue = queue_of(self.run, self._store.ledger.id)
        with self._connections.inspector() as inspector:
            return inspector.depth(queue) if inspector else None

    def audit(self, *, queue: bool = True) -> Audit:
        """Count everything row by row; with a broker, also look for the pending items in the queue if `queue`.

        Raises:
            BrokerUnavailable: Redis does not answer, and something is pending.
        """
        with self._connections.inspector() as inspector:
            return audit(self._store, self.run, inspector if queue else None)
