"""OpenRun: a run that records are added to, one by one or many at once, until it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.additions import Added
from persqa.errors import KeyTaken
from persqa.words import listed
from producer.adding import Adder
from producer.appending import appended
from producer.run_handle import RunHandle
from producer.tickets import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from persqa.runs import Run
    from producer.adding import Done
    from producer.appending import Appended
    from producer.connections import Connections


class OpenRun(RunHandle):
    """A run that grows. Any number of programs may add to it at once; for any number of threads, too."""

    def __init__(self, connections: Connections, run: Run, *, base: str) -> None:
        super().__init__(connections, run)
        self.adder = Adder(connections, run, base=base)

    def add(
        self, record: Mapping[str, object], *, replace: bool = False, on_full: Callable[[], None] = lambda: None
    ) -> Ticket:
        """Add one record: it is in the ledger when this returns, and enqueued.

        Safe to repeat: a record that is there already, by its key and content, stays as it is, and its ticket says so.
        A record that cannot be used is added as well, and ends as `invalid`.

        Args:
            record: as in a data set.
            replace: take the place of another record of the same key, which is kept as an earlier one, with its answer.
            on_full: called repeatedly while the queue is full.

        Raises:
            KeyTaken: another record of this key is there; nothing was changed.
            RunConflict: the run is closed; or a relative path starts in another folder than those of the run.
            RunStopped: the run is cancelled or being deleted.
            BlobsUnavailable: image bytes cannot be stored; nothing was added.
            BrokerUnavailable: the record is in the ledger, and workers enqueue it once Redis answers.
        """
        return self.add_many([record], replace=replace, on_full=on_full)[0]

    def add_many(
        self,
        records: Iterable[Mapping[str, object]],
        *,
        replace: bool = False,
        on_full: Callable[[], None] = lambda: None,
    ) -> list[Ticket]:
        """Add many records, a thousand in each transaction; returns their tickets in order.

        Arguments and errors are as of `add`. Where other records have the keys of some, all others are added, and
        then `KeyTaken` is raised.
        """
        tickets: list[Ticket] = []
        taken: list[str] = []
        for done in self.adder.add(records, replacing=replace, on_full=on_full):
            tickets += self.tickets(done)
            taken += [str(addition.key) for addition, place in done if place.added is Added.REFUSED]
        if taken:
            are = "is there" if len(taken) == 1 else "are there"
            keys = listed(map(repr, taken), "and")
            raise KeyTaken(
                f"in the run {self.name!r}, {keys} {are} with other content: to take the new one, say replace"
            )
        return tickets

    def append(
        self,
        data: str | Path,
        *,
        replace: bool = False,
        input_format: str | None = None,
        split: str | None = None,
        on_full: Callable[[], None] = lambda: None,
    ) -> Appended:
        """Add all records of an input, in batches; what was added before an error stays, and may be given again.

        Args:
            data: as of `Client.submit`.
            replace: as of `add`; without it, other records of keys that are there are refused, and counted.
            input_format: the input's format, where its suffix does not say it.
            split: the part of a Hugging Face data set.
            on_full: as of `add`.

        Raises:
            InputError: it cannot be read, or has no record.
        """
        reader = self.adder.read(data, input_format=input_format, split=split)
        batches = self.adder.add_raw(reader, replacing=replace, on_full=on_full)
        return appended(batches, shown="standard input" if str(data) == "-" else str(data))

    def tickets(self, done: Done) -> list[Ticket]:
        """The tickets of records that were added."""
        return [Ticket(addition.key, place) for addition, place in done]

    def close(self) -> None:
        """Let nothing more be added: the run is done when all that it has is answered. Safe to repeat."""
        self.run = self._store.additions.close(self.run)
