"""Adding: records -> items -> ledger -> queue, for a run that stays open; the ledger has them before the queue does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias, cast

from persqa.additions import Addition
from persqa.blob_locks import Filling
from persqa.broker.keys import queue_of
from persqa.errors import BrokerUnavailable, RecordError, RunConflict
from persqa.questions import load_pool
from persqa.reasons import Reason
from persqa.records import RawRecord, place_of, record_id
from persqa.urls import is_relative_path, without_password
from producer.itemizing import Itemizer
from producer.readers import open_input
from producer.readers.cells import Cells
from producer.refusals import refuse_other_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from persqa.additions import Place
    from persqa.broker.publisher import Publisher
    from persqa.items import Item
    from persqa.records import Record
    from persqa.results import Result
    from persqa.runs import Run
    from persqa.store.additions import Ledgered
    from producer.connections import Connections
    from producer.readers.base import Reader

#: Most records in one transaction, and bytes of them.
AT_ONCE = 1000
_BYTES_AT_ONCE = 8 * 2**20

#: Records, each with what became of it.
Done: TypeAlias = "list[tuple[Addition, Place]]"


class Adder:
    """Adds records to one open run; for any number of threads."""

    def __init__(self, connections: Connections, run: Run, *, base: str) -> None:
        """Prepare, without connecting.

        Args:
            connections: the database and the broker.
            run: the run.
            base: the folder where relative image paths of the records start.

        Raises:
            RunConflict: the question pool is another one by now.
        """
        pool = load_pool(run.options.pool)
        if pool.digest != run.pool_digest:
            raise RunConflict(f"the run {run.name!r} asks other questions than the pool {pool.name!r} has by now")
        self.run = run
        self._base = base
        self._connections = connections
        self._store = connections.store
        self._blobs = Filling(
            connections.settings.blob_store,
            ledger=self._store.make_ledger,
            database=without_password(connections.settings.database_url),
        )
        self._itemizer = Itemizer(options=run.options, pool=pool, limits=run.limits, base=run.base, blobs=self._blobs)
        self._publisher: Publisher | None = None
        #: How many messages of the run waited after the last push from here.
        self._waiting = 0
        self._lock = Lock()

    def add(
        self,
        records: Iterable[Mapping[str, object]],
        *,
        replacing: bool = False,
        on_full: Callable[[], None] = lambda: None,
    ) -> Iterator[Done]:
        """Add records that a program makes, as `add_raw` does; a record with a value that JSON lacks is wrong."""
        remaining, first = iter(records), 1
        cells = Cells(self._blobs)
        # Whoever makes them may take long, and nobody waits for that.
        while some := list(islice(remaining, AT_ONCE)):
            raws = (_raw(cells, f"record {number}", record) for number, record in enumerate(some, first))
            yield from self.add_raw(raws, replacing=replacing, on_full=on_full)
            first += len(some)

    def read(self, data: str | Path, *, input_format: str | None = None, split: str | None = None) -> Reader:
        """The reader of an input, as of a submit; image bytes in it go into the blob store."""
        columns = self.run.options.columns
        return open_input(data, blobs=self._blobs, input_format=input_format, split=split, columns=columns)

    def add_raw(
        self, raws: Iterable[RawRecord], *, replacing: bool = False, on_full: Callable[[], None] = lambda: None
    ) -> Iterator[Done]:
        """Add records, a thousand at a time; what is given is in the ledger, and what is to be asked is enqueued.

        Args:
            raws: the records.
            replacing: whether a record takes the place of another one of its key.
            on_full: called repeatedly while the queue is full.

        Raises:
            RunConflict: the run is closed; or relative paths start in another folder than those of the run.
            RunStopped: it is cancelled or being deleted.
            BlobsUnavailable: image bytes cannot be stored.
            BrokerUnavailable: these are in the ledger, and not enqueued.
        """
        remaining = iter(raws)
        while True:
            # One at a time has the blob store, which is let go when the ledger has the references to it.
            with self._lock, closing(self._blobs):
                if not (batch := self._batch(remaining)):
                    return
                self._publish_from_here()
                done = self._store.additions.add(self.run, batch, replacing=replacing)
                self.run = done.run
            self._enqueue(done, on_full)
            yield list(zip(batch, done.places, strict=True))

    def has_room(self, records: int) -> bool:
        """Whether the run's queue takes the items of so many more records now; an empty queue takes any number.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with self._lock:
            self._publish_from_here()
            run, publisher = self.run, self._publisher
        assert publisher is not None
        number = records * run.options.questions_per_image
        return publisher.takes(self._waiting, number) or publisher.has_room(queue_of(run, publisher.ledger), number)

    def _batch(self, remaining: Iterator[RawRecord]) -> list[Addition]:
        self._blobs.hold_what_is_there()
        batch: list[Addition] = []
        size = 0
        for raw in islice(remaining, AT_ONCE):
            batch.append(self._addition(raw))
            size += len(batch[-1].content)
            if size >= _BYTES_AT_ONCE:
                break
        return batch

    def _addition(self, raw: RawRecord) -> Addition:
        text, key = raw.json, self._key(raw)
        try:
            record = self._itemizer.parse(raw)
            if self.run.key_field is not None and key is None:
                named = place_of(raw, self.run.options.id_column)
                said = f"the field {self.run.key_field!r} names the records of this run, and is no text and no number"
                raise RecordError(Reason.BAD_KEY, f"{named}: {said}")
        except RecordError as error:
            return Addition(key, text, partial(self._wrong, text, error), str(error))
        if any(map(is_relative_path, record.images)):
            refuse_other_folder(self.run, self._base)
        return Addition(key, text, partial(self._usable, text, record))

    def _key(self, raw: RawRecord) -> str | None:
        field = self.run.key_field
        if field is None or not isinstance(raw.value, dict) or raw.value.get(field) in (None, ""):
            return None
        return record_id(raw.value, field)

    def _usable(self, text: str, record: Record, position: int) -> tuple[Sequence[Item], Sequence[Result]]:
        return list(self._itemizer.items(self.run.id, position, text, record)), []

    def _wrong(self, text: str, error: RecordError, position: int) -> tuple[Sequence[Item], Sequence[Result]]:
        item, result = self._itemizer.wrong(self.run.id, position, text, error.reason, str(error))
        return [item], [result]

    def _publish_from_here(self) -> None:
        """Before anything is in the ledger: whose broker it is, so that its reconcilers look after it."""
        if self._publisher is None:
            self._publisher = self._connections.publisher(self.run)
            self._store.runs.begin_publishing(self.run, self._publisher.identity())

    def _enqueue(self, done: Ledgered, on_full: Callable[[], None]) -> None:
        from persqa.enqueueing import enqueue_added

        if not done.items or self._publisher is None:
            return

        def wait_for_room() -> None:
            self._connections.check()
            on_full()

        try:
            self._waiting = enqueue_added(
                self._publisher, done.run, done.items, waiting=self._waiting, on_full=wait_for_room
            )
        except BrokerUnavailable as error:
            there = "what was added is in the ledger, and workers find it there once Redis answers"
            raise BrokerUnavailable(f"{error}; {there}; it may be added again, too") from error


def _raw(cells: Cells, place: str, record: object) -> RawRecord:
    if isinstance(record, Mapping):
        return cells.record(place, cast("Mapping[str, object]", record))
    # What is no object is a wrong record, whatever else it is.
    return RawRecord(place=place, value=repr(record) if record is not None else None)
