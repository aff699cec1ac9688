"""Upkeep: loads a run's columns, and keeps them as the database is.

Nothing in the database says in order what has changed: a result has a time that its worker set before it was stored,
and transactions end in another order than they began. So each look reads what is newer than some seconds ago, and then
holds the numbers of items, and of their flags, against the run's counters, which were read in the same moment. Where
they differ, the run is gone through, a part at each look, until the items are found that were missed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from persqa.pairs import PENDING
from producer.web.catalog.columns import HAS_REVIEW, Columns, index_of
from producer.web.catalog.facet import FIXED, Facet
from producer.web.catalog.late_flags import LateFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from persqa.runs import Run
    from persqa.store.catalog_rows import CatalogRow, CatalogRows, RunMarks, Snapshot
    from producer.web.catalog.columns import Batch, Indexes
    from producer.web.catalog.record_ids import RecordIds

#: Items in memory at most, of one run.
MOST_ITEMS: Final = 10_000_000
#: Rows that are read at once: a request waits for the interpreter no longer than it takes to make arrays of them.
_CHUNK: Final = 2000
#: Changed items that one look reads; the others wait for the next.
_MOST_CHANGED: Final = 20_000
#: How long a transaction may take from its time to its end without being missed: at first, and where numbers differ.
_USUAL_SECONDS: Final = 1.0
_OVERLAP_SECONDS: Final = 10.0
#: What is gone through at a look where numbers differ: indexes in a statement, in a slice of it, slices, and seconds.
_SWEPT: Final = 1 << 16
_SLICE: Final = 1 << 12
_MOST_SLICES: Final = 4
_SWEEP_SECONDS: Final = 0.15
#: Of reviews, which are few.
_REVIEWS_SWEPT: Final = 1 << 20


#: A row that says that an item has changed: of which kind, of which item, and its id or time.
_Trace: TypeAlias = "tuple[int, int, float]"
_TAKEN_BACK, _REPLACED, _REVIEWED = range(3)


class Upkeep:
    """One run's columns, and how they come to be. `load`, `refresh` and `reread` may be called from any thread."""

    def __init__(
        self,
        run: Run,
        rows: CatalogRows,
        columns: Columns,
        ids: RecordIds,
        *,
        lock: threading.RLock,
        changed: Callable[[Indexes], None],
    ) -> None:
        """Prepare, without reading.

        Args:
            run: the run.
            rows: where to read.
            columns: what is kept up to date; this alone writes them, under the lock.
            ids: what names the run's records; likewise.
            lock: held while something is written.
            changed: called with the indexes of items that were written, under the lock.
        """
        self._run, self._rows, self._ids = run, rows, ids
        #: The run's items.
        self.columns = columns
        self._lock, self._changed = lock, changed
        # One at a time reads and writes, so that nothing older is written over something newer.
        self._turn = threading.Lock()
        self._seen: deque[tuple[float, RunMarks]] = deque()
        self._done: set[_Trace] = set()
        self._last = self._last_named = -1
        self._sweep = self._reviews_sweep = 0
        self._late_flags = LateFlags(columns)
        #: All items that the run has or will have, as far as is known.
        self.whole = run.items
        self.is_loaded = self.is_named = self.is_gone = False
        #: Whether all that the last look knew of is in the columns.
        self.is_settled = False

    def load(self) -> None:
        """Read the next items; `is_loaded` says when these were the last.

        Raises:
            StoreUnavailable: the database does not answer, or was written in a way that spoils what was read.
        """
        with self._turn:
            with self._rows.snapshot(self._run.id) as look:
                marks = look.marks() if not self._seen else None
                rows = self._within(look.chunk(self._last, _CHUNK))
                batches = self._batches(look, rows)
            if marks is not None:
                self._note(marks)
            if marks is not None and marks.is_going:
                self._forget()
            self._put([] if self.is_gone else batches)
            if len(rows) < _CHUNK:
                self.is_loaded = True

    def name(self) -> None:
        """Read what names the next records; `is_named` says when these were the last.

        Raises:
            StoreUnavailable: as for `load`.
        """
        with self._turn:
            with self._rows.snapshot(self._run.id) as look:
                column = self._run.options.id_column
                named, last = look.record_ids(self._last_named, _CHUNK, column=column)
            named = [(index, name) for item_id, name in named if (index := index_of(item_id)) < len(self.columns)]
            with self._lock:
                self._ids.add(named)
            if last is None or last >= len(self.columns):
                self._last_named = max(self._last_named, len(self.columns) - 1)
                self.is_named = True
            else:
                self._last_named = last

    def refresh(self) -> None:
        """Read what has changed; `is_settled` says whether that was all.

        Raises:
            StoreUnavailable: as for `load`.
        """
        with self._turn:
            with self._rows.snapshot(self._run.id) as look:
                marks = look.marks()
                if marks.is_going:
                    self._forget()
                    return
                new = self._within(look.chunk(self._last, _CHUNK)) if marks.submitted > self.columns.items else []
                for since in (self._seen[-1][1].last_finished - _USUAL_SECONDS, self._long_ago):
                    wanted, traces = self._wanted(look, since)
                    rows = look.rows(wanted[:_MOST_CHANGED]) + new
                    if not self._differs(marks, rows):
                        break
                rows += self._missed(look, marks, rows)
                rows = sorted({row.item_id: row for row in rows}.values())
                batches = self._batches(look, rows)
                batches += self._batches(look, look.rows(self._late_flags.found(look, marks, *batches)))
            self._done.update(trace for some in traces[:_MOST_CHANGED] for trace in some)
            self._put(batches)
            differs = self._differs(marks, []) or self._late_flags.differ(marks)
            self.is_settled = len(wanted) <= _MOST_CHANGED and not differs
            if len(wanted) <= _MOST_CHANGED:
                self._note(marks)
            self.is_named = self.is_named and self._last_named >= len(self.columns) - 1

    def reread(self, item_ids: Iterable[int]) -> None:
        """Read these items again, at once.

        Raises:
            StoreUnavailable: as for `load`.
        """
        known = [one for one in item_ids if index_of(one) < len(self.columns)]
        with self._turn:
            for start in range(0, len(known), _CHUNK):
                with self._rows.snapshot(self._run.id) as look:
                    batches = self._batches(look, look.rows(known[start : start + _CHUNK]))
                self._put(batches)

    def _batches(self, look: Snapshot, rows: list[CatalogRow]) -> list[Batch]:
        return [self.columns.batch(rows, look.kinds(rows), look.flags(rows))] if rows else []

    def _put(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            with self._lock:
                self.columns.put(batch)
                self._changed(batch.indexes)
                self._last = max(self._last, len(self.columns) - 1)

    def _forget(self) -> None:
        with self._lock:
            self.columns.clear()
            self._ids.clear()
            self._changed(np.zeros(0, np.int64))
            self.whole, self.is_gone, self.is_settled = 0, True, True

    def _within(self, rows: list[CatalogRow]) -> list[CatalogRow]:
        """The rows, which are in order, that there is room for."""
        if not rows or index_of(rows[-1].item_id) < MOST_ITEMS:
            return rows
        return [row for row in rows if index_of(row.item_id) < MOST_ITEMS]

    def _note(self, marks: RunMarks) -> None:
        """Remember how far the database is, and forget what is too old to matter."""
        now = time.monotonic()
        self.whole = max(marks.whole, marks.submitted)
        self._seen.append((now, marks))
        while len(self._seen) > 1 and self._seen[1][0] < now - _OVERLAP_SECONDS:
            self._seen.popleft()
        since = self._seen[0][1]
        oldest = {
            _TAKEN_BACK: since.taken_back,
            _REPLACED: since.replaced,
            _REVIEWED: since.last_reviewed - _OVERLAP_SECONDS,
        }
        self._done = {one for one in self._done if one[2] >= oldest[one[0]]}

    @property
    def _long_ago(self) -> float:
        return self._seen[0][1].last_finished - _OVERLAP_SECONDS

    def _wanted(self, look: Snapshot, ended_since: float) -> tuple[list[int], list[list[_Trace]]]:
        """The items that have changed, and the rows that say so of each; results are looked at since a time."""
        since = self._seen[0][1]
        traces: defaultdict[int, list[_Trace]] = defaultdict(list)
        if ended := look.ended_since(ended_since):
            # Column by column: numpy asks each row of a database what kind of thing it is.
            item_ids, times = map(np.array, zip(*ended, strict=True))
            indexes = item_ids - self.columns.base
            known = np.flatnonzero(indexes < len(self.columns))
            for place in known[self.columns["finished"][indexes[known]] != times[known]]:
                traces[int(item_ids[place])] = []
        rows: list[_Trace] = [(_TAKEN_BACK, item, row) for row, item in look.taken_back_after(since.taken_back)]
        rows += [(_REPLACED, item, row) for row, item in look.replaced_after(since.replaced)]
        rows += [(_REVIEWED, item, at) for item, at in look.reviewed_since(since.last_reviewed - _OVERLAP_SECONDS)]
        for row in rows:
            if row not in self._done and index_of(row[1]) < len(self.columns):
                traces[row[1]].append(row)
        return list(traces), list(traces.values())

    def _differs(self, marks: RunMarks, rows: Iterable[CatalogRow]) -> bool:
        """Whether the columns, with these rows in them, have other numbers than the run's counters."""
        columns = self.columns
        statuses = FIXED[Facet.STATUS]
        numbers = np.bincount(columns[Facet.STATUS.value], minlength=len(statuses) + 2)[2:].tolist()
        ours = dict(zip(statuses, numbers, strict=False))
        reviewed = int(np.count_nonzero(columns[Facet.REVIEW.value] & HAS_REVIEW))
        for row in {row.item_id: row for row in rows}.values():
            ours[row.status or PENDING] += 1
            reviewed += row.reviewed
            if (before := self._status(index_of(row.item_id))) is not None:
                ours[before] -= 1
                reviewed -= bool(columns[Facet.REVIEW.value][index_of(row.item_id)] & HAS_REVIEW)
        ended = {status: marks.counts.get(status, 0) for status in statuses if status != PENDING}
        return ours != {PENDING: marks.submitted - sum(ended.values()), **ended} or reviewed != marks.reviews

    def _status(self, index: int) -> str | None:
        code = int(self.columns[Facet.STATUS.value][index]) if index < len(self.columns) else 0
        return self.columns.names[Facet.STATUS].texts[code] if code else None

    def _missed(self, look: Snapshot, marks: RunMarks, rows: list[CatalogRow]) -> list[CatalogRow]:
        """What the run has beside these rows that the columns have not, if numbers differ: a part of it at a time."""
        if not self._differs(marks, rows):
            return []
        read = {index_of(row.item_id): row for row in rows}
        found = self._missed_reviews(look, read)
        until = time.monotonic() + _SWEEP_SECONDS
        for _ in range(len(self.columns) // _SWEPT + 1):
            if len(found) >= _MOST_SLICES * _SLICE or time.monotonic() > until:
                break
            found += self._swept(look, read)
        return found

    def _swept(self, look: Snapshot, read: Mapping[int, CatalogRow]) -> list[CatalogRow]:
        """The slices of the next part that have other numbers than in the columns."""
        first = self._sweep if self._sweep < len(self.columns) else 0
        last = first + _SWEPT - 1
        statuses = np.zeros(_SWEPT, np.uint8)
        known = self.columns[Facet.STATUS.value][first : last + 1]
        statuses[: len(known)] = known
        for index, row in read.items():
            if first <= index <= last:
                statuses[index - first] = self.columns.names[Facet.STATUS].code(row.status or PENDING) or 0
        there = look.numbers(first, last, at_once=_SLICE)
        texts = self.columns.names[Facet.STATUS].texts
        found: list[CatalogRow] = []
        for place, part in enumerate(statuses.reshape(-1, _SLICE)):
            numbers = np.bincount(part, minlength=len(texts))
            if any(int(numbers[code]) != there.get((place, texts[code]), 0) for code in range(2, len(texts))):
                found += self._within(look.between(first + place * _SLICE, first + (place + 1) * _SLICE - 1))
            self._sweep = first + (place + 1) * _SLICE
            if len(found) >= _MOST_SLICES * _SLICE:
                break
        return found

    def _missed_reviews(self, look: Snapshot, read: Mapping[int, CatalogRow]) -> list[CatalogRow]:
        """Items of the next part of which the columns know a review that is gone, or do not know one that is there."""
        first = self._reviews_sweep if self._reviews_sweep < len(self.columns) else 0
        last = first + _REVIEWS_SWEPT - 1
        there = np.array(look.reviews_between(first, last), np.int64) - self.columns.base
        ours = first + np.flatnonzero(self.columns[Facet.REVIEW.value][first : last + 1] & HAS_REVIEW)
        differing = [index for index in np.setxor1d(there, ours).tolist() if index not in read]
        if len(differing) <= _MOST_SLICES * _SLICE:
            self._reviews_sweep = last + 1
        return look.rows([index + self.columns.base for index in differing[: _MOST_SLICES * _SLICE]])
