"""Records: what clients add, in whatever form it comes: JSON, JSON Lines, or a form with pictures."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from persqa.additions import Added
from persqa.blob_locks import Filling
from persqa.errors import KeyTaken, PersqaError
from persqa.urls import without_password
from producer.adding import AT_ONCE
from producer.web.door.answers import Tally, outcome
from producer.web.door.bodies import Lines, Spool
from producer.web.door.forms import Form, Limits
from producer.web.door.group_commit import BYTES_AT_ONCE, GroupCommit
from producer.web.door.problems import QUEUE_FULL, Problem, problem_of, too_large
from producer.web.door.reading import elements_of, is_list, most_bytes, record_of_form, records_of, single
from producer.web.door.room import Room, Space

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from persqa.records import RawRecord
    from persqa.runs import Run
    from producer.client import Client
    from producer.web.door.bodies import Body

    _T = TypeVar("_T")

#: Memory for what is being added, and space on the disk for what is on its way.
_MEMORY_BYTES, _DISK_BYTES = 256 * 2**20, 4 * 2**30
#: Records of one JSON body, each of which the answer names.
_MOST_NAMED = 10_000
#: How long a stream may pause before what has come of it is added, in seconds.
_PAUSE_SECONDS = 0.05
#: How long a stream waits for room in a full queue, and how often it looks, in seconds.
_ROOM_SECONDS, _LOOK_SECONDS = 30.0, 0.5
_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Records that a client adds.

    Attributes:
        run: the run, as it was a moment ago.
        content_type: of the body.
        replacing: whether a record takes the place of another one of its key.
    """

    run: Run
    body: Body
    content_type: str
    replacing: bool


class Records:
    """Adds records to open runs; for one event loop."""

    def __init__(self, client: Client, ending: asyncio.Event) -> None:
        self._client = client
        self._group_commit = GroupCommit(client)
        self._room = Room(_MEMORY_BYTES)
        #: Of all bodies.
        self.space = Space(_DISK_BYTES)
        self._threads = CapacityLimiter(_THREADS)
        self._ending = ending

    async def add(self, asked: Asked) -> dict[str, object]:
        """Add what a body has; returns what became of it.

        Raises:
            Problem: what keeps it from being added; `done` says what was added before.
            PersqaError: likewise, and nothing was added.
        """
        kind = asked.content_type.partition(";")[0].strip().lower()
        match kind:
            case "application/json":
                return await self._add_json(asked)
            case "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines":
                return await self._add_lines(asked)
            case "multipart/form-data":
                return await self._add_form(asked)
            case _:
                known = "application/json, application/x-ndjson or multipart/form-data"
                raise Problem(415, "unknown_type", f"the body is {kind or 'of no type'}: send {known}")

    async def _add_json(self, asked: Asked) -> dict[str, object]:
        most = most_bytes(asked.run.limits)
        with Spool(self.space, most=most, what="the body; send JSON Lines for more: it") as spool:
            await spool.fill(asked.body)
            async with self._room.of(spool.size):
                if not await self._in_thread(lambda: is_list(spool)):
                    record = await self._in_thread(lambda: single(spool))
                    return await self._add_one(asked, record, spool.size)
                return await self._add_list(asked, spool)

    async def _add_list(self, asked: Asked, spool: Spool) -> dict[str, object]:
        # All of it is read before anything is added, so that of a broken list nothing is.
        number = await self._in_thread(lambda: sum(1 for _ in elements_of(spool)))
        if number > _MOST_NAMED:
            raise too_large(f"the list has more than {_MOST_NAMED} records: send JSON Lines")
        elements, outcomes = elements_of(spool), list[dict[str, object]]()
        try:
            while batch := await self._in_thread(lambda: list(islice(elements, AT_ONCE))):
                size = min(spool.size, BYTES_AT_ONCE)
                done = await self._group_commit.add(asked.run.name, batch, size, replacing=asked.replacing)
                outcomes += [outcome(*one) for one in done]
        except (PersqaError, Problem) as error:
            problem = problem_of(error)
            problem.done = {"run": asked.run.name, "records": outcomes} if outcomes else None
            raise problem from error
        return {"run": asked.run.name, "records": outcomes}

    async def _add_one(self, asked: Asked, record: RawRecord, size: int) -> dict[str, object]:
        ((addition, place),) = await self._group_commit.add(asked.run.name, [record], size, replacing=asked.replacing)
        if place.added is Added.REFUSED:
            said = f"in the run {asked.run.name!r}, {addition.key!r} is there with other content"
            raise KeyTaken(f"{said}: to take the new one, add it with replace=true")
        return {"run": asked.run.name, **outcome(addition, place)}

    async def _add_lines(self, asked: Asked) -> dict[str, object]:
        tally, at = Tally(asked.run.name), 0
        with closing(Lines(self.space, most=most_bytes(asked.run.limits))) as lines:
            try:
                while True:
                    piece = await asked.body.next(_PAUSE_SECONDS if lines.number else None)
                    if piece:
                        lines.add(piece)
                    elif piece is not None:
                        lines.end()
                    if not piece or lines.number >= AT_ONCE or lines.size >= BYTES_AT_ONCE:
                        number = lines.number
                        await self._add_batch(asked, lines.take(), at, tally)
                        at += number
                    if piece == b"":
                        return tally.told()
            except (PersqaError, Problem) as error:
                problem = problem_of(error)
                problem.done = tally.told() if tally.records else None
                raise problem from error

    async def _add_batch(self, asked: Asked, spool: Spool, at: int, tally: Tally) -> None:
        """Add the lines after `at`; in the midst of a stream, wait for room in the queue."""
        start, waited = 0, 0.0
        with spool:
            while True:
                try:
                    # While it waits, it has no memory.
                    async with self._room.of(spool.size):
                        records = await self._in_thread(lambda: records_of(spool, at))
                        while some := records[start : start + AT_ONCE]:
                            size = min(spool.size, BYTES_AT_ONCE)
                            done = await self._group_commit.add(asked.run.name, some, size, replacing=asked.replacing)
                            tally.add(some, done)
                            start += len(some)
                    return
                except Problem as problem:
                    if problem.code != QUEUE_FULL or not tally.records or waited >= _ROOM_SECONDS:
                        raise
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._ending.wait()
                waited += _ROOM_SECONDS if self._ending.is_set() else _LOOK_SECONDS

    async def _add_form(self, asked: Asked) -> dict[str, object]:
        limits = asked.run.limits
        most = Limits(file=limits.max_image_bytes, text=most_bytes(limits), files=limits.max_images)
        with closing(Form(asked.content_type, self.space, most)) as form:
            parts = await form.read(asked.body)
            size = max((part.content.size for part in parts), default=0)
            # From the first picture until the ledger has the references, nobody deletes from the blob store.
            with closing(await self._in_thread(self._filling)) as blobs:
                async with self._room.of(size):
                    record = await self._in_thread(lambda: record_of_form(parts, blobs))
                return await self._add_one(asked, record, min(size, BYTES_AT_ONCE))

    def _filling(self) -> Filling:
        settings, store = self._client.settings, self._client.store
        database = without_password(settings.database_url)
        return Filling(settings.blob_store, ledger=store.make_ledger, database=database)

    async def _in_thread(self, do: Callable[[], _T]) -> _T:
        return await to_thread.run_sync(do, limiter=self._threads)
