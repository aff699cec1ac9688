"""Deletion: a run goes with its items, results, violations and messages, and with the images that only it has.

SQL is told first. From then on nobody enqueues, begins or adds anything of the run, and answers that come late find no
item. What an interruption leaves is deleted by the next deletion. docs/reliability.md tells the rest ("Deleting").
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.blob_locks import alone, others
from persqa.broker.keys import places_for
from persqa.controls import withdraw
from persqa.errors import BlobsUnavailable
from persqa.items import MAX_ITEMS
from persqa.messages import item_of
from persqa.store.deletion import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from persqa.blobs import BlobStore
    from persqa.runs import Run, RunId
    from persqa.store import Store

#: What every reference to a blob begins with.
_SCHEME = "blob:"
_NAMED = re.compile("blob:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a deletion deletes, or has deleted.

    Attributes:
        items: with their records; likewise results, earlier results, violations, and reviews that hold.
        messages: before: those in queues and with workers; afterwards: those taken out of queues. None without a
            broker: workers drop them.
        blobs: images in the blob store that only this run refers to.
        kept: why those stay all the same; None where they go.
    """

    items: int
    results: int
    earlier: int
    violations: int
    reviews: int
    messages: int | None
    blobs: int
    kept: str | None


def contents(store: Store, run: Run, blobs: BlobStore, broker_url: str | None) -> Contents:
    """Say what a deletion would delete; the time grows with the run, and with the database if the run has blobs.

    Raises:
        StoreUnavailable: the database does not answer.
        BrokerUnavailable: Redis does not answer.
    """
    rows = store.deletion.rows(run.id)
    messages = None
    if broker_url is not None:
        # Imported here: whoever only looks needs no broker's library.
        from persqa.broker.depth import Inspector

        with closing(Inspector(broker_url)) as inspector:
            tasks = inspector.task_ids(*places_for(store.ledger.id, run.options.model))
        of_run = (item_of(task, store.ledger.id) or 0 for task in tasks)
        messages = sum(item // MAX_ITEMS == run.id for item in of_run)
    with _unshared(store, run.id) as digests:
        number = len(digests)
    return _contents(rows, messages, number, _why_kept(store, blobs) if number else None)


def delete(
    store: Store, run: Run, blobs: BlobStore, broker_url: str | None, *, on_step: Callable[[int], None]
) -> Contents:
    """Delete the run for good. Safe to repeat, also after an interruption.

    Args:
        store: the ledger.
        run: the run.
        blobs: the blob store of its submits.
        broker_url: where its messages are.
        on_step: called with the number of items that have just been deleted.

    Raises:
        RunNotFound: it is gone already.
        StoreUnavailable: the database does not answer.
        BrokerUnavailable: Redis does not answer.
        BlobsUnavailable: a blob cannot be deleted, or a submit is under way that may use some.
    """
    run = store.deletion.begin(run)
    withdrawn = None if broker_url is None else withdraw(store, run, broker_url)
    # Before the rows, which alone know what the run refers to.
    removed, kept = _delete_blobs(store, run, blobs)
    rows = Rows()
    for step in store.deletion.steps(run.id):
        rows += step
        on_step(step.items)
    return _contents(rows, withdrawn, removed, kept)


def _contents(rows: Rows, messages: int | None, blobs: int, kept: str | None) -> Contents:
    return Contents(
        items=rows.items,
        results=rows.results,
        earlier=rows.earlier,
        violations=rows.violations,
        reviews=rows.reviews,
        messages=messages,
        blobs=blobs,
        kept=kept,
    )


def _delete_blobs(store: Store, run: Run, blobs: BlobStore) -> tuple[int, str | None]:
    """Delete the blobs that only this run refers to; returns how many, and why they stay if they do."""
    if next(store.deletion.texts_with(_SCHEME, run.id, of_others=False), None) is None:
        return 0, None
    kept = _why_kept(store, blobs)
    if kept is not None or blobs.folder is None:
        return 0, kept
    try:
        # Looked for while nobody else can begin to refer to one.
        with alone(blobs.folder), _unshared(store, run.id) as digests:
            return sum(blobs.remove(digest) for digest in digests), None
    except BlobsUnavailable as error:
        then = f"the rest of the run {run.name!r} is deleted by the same command, later"
        raise BlobsUnavailable(f"{error}; {then}") from error


def _why_kept(store: Store, blobs: BlobStore) -> str | None:
    if blobs.folder is None:
        return f"PersQA deletes nothing from {blobs.shown}"
    return others(blobs.folder, ledger=store.ledger.id)


@contextmanager
def _unshared(store: Store, run_id: RunId) -> Generator[_Digests]:
    """The digests of blobs to which only this run refers."""
    with closing(_Digests()) as digests:
        digests.add(_named(store.deletion.texts_with(_SCHEME, run_id, of_others=False)))
        if len(digests):
            digests.discard(_named(store.deletion.texts_with(_SCHEME, run_id, of_others=True)))
        yield digests


def _named(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _NAMED.findall(text)


class _Digests:
    """A set of digests in a temporary file: a run may have more than there is memory for."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("create table digests (digest text primary key) without rowid")

    def add(self, digests: Iterable[str]) -> None:
        self._database.executemany("insert or ignore into digests values (?)", ((one,) for one in digests))

    def discard(self, digests: Iterable[str]) -> None:
        self._database.executemany("delete from digests where digest = ?", ((one,) for one in digests))

    def __len__(self) -> int:
        return self._database.execute("select count(*) from digests").fetchone()[0]

    def __iter__(self) -> Iterator[str]:
        return (digest for (digest,) in self._database.execute("select digest from digests"))

    def close(self) -> None:
        self._database.close()
