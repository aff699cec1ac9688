"""RunChanges: what changes what a run has: taking answers back, another name, and deleting it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.choices import parse_choice
from persqa.controls import refuse_stopped
from persqa.deletion import Contents, contents, delete
from persqa.errors import RunStopped, SettingsError
from persqa.items import ItemId
from persqa.pairs import Choice, Requeued
from persqa.results import Status
from persqa.runs import Run, RunState, check_run_name
from persqa.words import option, switch, to_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from producer.connections import Connections

#: Most items that an error names.
_NAMED = 5


class RunChanges:
    """A part of `RunHandle`."""

    def __init__(self, connections: Connections, run: Run) -> None:
        self._connections = connections
        self._store = connections.store
        self.run = run

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    def requeue(
        self,
        status: str | None = None,
        *,
        items: Iterable[int] | None = None,
        question: str | None = None,
        recheck: bool = False,
        sure: bool = False,
    ) -> Requeued:
        """Take results back and enqueue their items again, for other answers; the results stay as `earlier_results`.

        Args:
            status: only items with this one: `ok`, `noncompliant`, `invalid` or `dead`.
            items: only those of these numbers, whatever their status.
            question: only those with this topic, or with these words in their question.
            recheck: try known broken images again.
            sure: allow to take back all `ok` results of the run.

        Raises:
            SettingsError: neither status nor items are named, there is no such status or item, or all good results
                would be taken back.
            RunStopped: the run is cancelled. Items of a paused run are enqueued when it is resumed.
            BrokerUnavailable: Redis does not answer; what was taken back is pending, and enqueued later.
        """
        if status is None and items is None:
            raise SettingsError(
                f"say which items are asked again: {option('status')}, or their numbers with {option('items')}"
            )
        wanted = None if status is None else parse_choice(status, Status, name="status")
        if wanted is Status.OK and items is None and not question and not sure:
            raise SettingsError(
                f"this would take back every good answer of the run {self.name!r}: choose some with "
                f"{option('question')} or {option('items')}, or say {switch('sure')}"
            )
        chosen = None if items is None else tuple(self._items_of_run(items))
        self.run = self._store.runs.reread(self.run)
        if self._ended_though_stopped():
            self.run = self._store.runs.set_state(self.run, RunState.ACTIVE)
        if self.run.state is RunState.CANCELLED:
            refuse_stopped(self.run)
        self.run = self._store.runs.set_recheck(self.run, recheck)
        choice = Choice(status=wanted, question=question, items=chosen)
        # Otherwise who looks for what the queue has lost would enqueue them as well.
        announce = partial(self._connections.announce, self.run)
        done = self._store.ledger.reopen(self.run.id, choice, on_step=announce)
        if done.taken_back and self.run.state is RunState.ACTIVE and self._connections.broker_url is not None:
            with suppress(RunStopped):
                self._connections.enqueue(self.run, on_full=lambda: None)
        return done

    def _ended_though_stopped(self) -> bool:
        """Whether all of it had begun when it was stopped, and has ended since."""
        stopped = self.run.state is not RunState.ACTIVE and not self.run.deleting
        return stopped and self._store.queries.progress(self.run.id).state is RunState.DONE

    def rename(self, name: str) -> None:
        """Give the run another name; what is submitted under the old one from now on is a new run.

        Raises:
            SettingsError: this cannot name a run, or is its name already.
            RunConflict: another run has the name.
            RunNotFound: the run is gone.
            RunStopped: the run is being deleted.
        """
        check_run_name(name)
        self.run = self._store.runs.reread(self.run)
        if self.run.deleting:
            refuse_stopped(self.run)
        if name == self.run.name:
            raise SettingsError(f"the run is named {name!r} already: choose another name")
        self.run = self._store.runs.rename(self.run, name)

    def contents(self) -> Contents:
        """What `delete` would delete; the time grows with the run, and with the database if the run has blobs.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        return contents(self._store, self.run, self._blobs(), self._connections.broker_url)

    def delete(self, *, on_step: Callable[[int], None] = lambda _items: None) -> Contents:
        """Delete the run for good: items, results, reviews, messages, and the blobs that no other run refers to.

        Nothing of it is begun from now on, and what workers have in hand is dropped when it is answered. Safe to
        repeat, and after an interruption it goes on where it stopped.

        Args:
            on_step: called with the number of items that have just been deleted.

        Returns:
            What was deleted.

        Raises:
            RunNotFound: the run is gone already.
            BrokerUnavailable: Redis does not answer; delete it again.
            BlobsUnavailable: a blob cannot be deleted, or a submit is under way that may use some; delete it again.
        """
        return delete(self._store, self.run, self._blobs(), self._connections.broker_url, on_step=on_step)

    def _blobs(self) -> BlobStore:
        return BlobStore(self._connections.settings.blob_store)

    def _items_of_run(self, items: Iterable[int]) -> list[ItemId]:
        """The numbers as those of items.

        Raises:
            SettingsError: the run has no such item.
        """
        item_ids = [ItemId(item) for item in items]
        if unknown := self._store.ledger.unknown(self.run.id, item_ids):
            named = ", ".join(map(str, unknown[:_NAMED])) + (" ..." if len(unknown) > _NAMED else "")
            raise SettingsError(
                f"the run {self.name!r} has no item {named}; its items: {to_type(f'persqa results {self.name}')}"
            )
        return item_ids
