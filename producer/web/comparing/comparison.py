"""Comparisons: pairs of runs that are looked at, joined in the background, and kept for the next look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from persqa.items import MAX_ITEMS
from producer.web.comparing.joining import Joined, by_key, by_place

if TYPE_CHECKING:
    import numpy.typing as npt

    from persqa.runs import Run
    from persqa.store import Store
    from producer.web.catalog import Catalog, Catalogs

_CHUNK: Final = 5000
#: Pairs of runs that are kept, and runs whose keys are: 8 bytes an item.
_KEPT: Final = 4
#: What joins within this time is there at once, in seconds.
_PATIENCE_SECONDS: Final = 0.15


class Keys:
    """The keys of one run's items, read as far as they are there."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._keys: npt.NDArray[np.int64] = np.zeros(max(run.items, 16), np.int64)
        #: How many indexes were read.
        self.read = 0

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """A key for each index; 0 where there is no item."""
        return self._keys[: self.read]

    def load(self, store: Store, ended: threading.Event) -> None:
        """Read what is there by now.

        Raises:
            StoreUnavailable: the database does not answer; the next call goes on.
        """
        while not ended.is_set():
            rows = store.comparing.keys(self._run.id, self.read - 1, _CHUNK)
            if not rows:
                return
            indexes, keys = np.array(rows, np.int64).T
            if indexes[-1] >= len(self._keys):
                self._keys = np.concatenate([self._keys, np.zeros(indexes[-1] + 1, np.int64)])
            self._keys[indexes] = keys
            self.read = int(indexes[-1]) + 1


class Comparison:
    """Two runs.

    Attributes:
        a: the first run; `b`, the second.
        is_by_place: whether both have the same data and questions in the same order.
    """

    def __init__(self, a: Catalog, b: Catalog, keys: tuple[Keys, Keys]) -> None:
        self.a, self.b = a, b
        self.is_by_place = _is_by_place(a.run, b.run)
        self._keys = keys
        self._found: Joined | None = None
        self._lengths = (-1, -1)

    @property
    def whole(self) -> int:
        """Items of both runs."""
        return self.a.whole + self.b.whole

    @property
    def done(self) -> int:
        """How many of them are there to be joined."""
        loaded = self.a.loaded + self.b.loaded
        return loaded if self.is_by_place else min(loaded, sum(one.read for one in self._keys))

    @property
    def is_current(self) -> bool:
        """Whether what was joined last is all that can be joined now."""
        return self._found is not None and self._lengths == self._now()

    def join(self, store: Store, ended: threading.Event) -> Joined | None:
        """Join what is there; takes seconds for a million items that have to be read. None if it was ended."""
        if self.is_current:
            return self._found
        lengths = self._now()
        if self.is_by_place:
            self._found = by_place(self.a.column("id") % MAX_ITEMS, self.b.column("id") % MAX_ITEMS)
        else:
            for one in self._keys:
                one.load(store, ended)
            if ended.is_set():
                return None
            self._found = by_key(
                *(_keyed(one, keys.keys) for one, keys in zip((self.a, self.b), self._keys, strict=True))
            )
        self._lengths = lengths
        return self._found

    def _now(self) -> tuple[int, int]:
        return self.a.loaded, self.b.loaded


class Comparisons:
    """Comparisons that are looked at; a thread of theirs joins one after the other."""

    def __init__(self, store: Store, catalogs: Catalogs) -> None:
        self._store, self._catalogs = store, catalogs
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = ThreadPoolExecutor(1, "persqa-comparing")
        self._keys: OrderedDict[int, Keys] = OrderedDict()
        self._kept: OrderedDict[tuple[int, int], Comparison] = OrderedDict()
        self._joining: dict[tuple[int, int], Future[Joined | None]] = {}

    def close(self) -> None:
        """End what is being joined."""
        self._ended.set()
        self._thread.shutdown(cancel_futures=True)

    def of(self, a: Run, b: Run) -> Comparison:
        """The comparison of two runs, from the last look or a new one."""
        catalogs = self._catalogs.of(a), self._catalogs.of(b)
        with self._lock:
            kept = self._kept.pop((a.id, b.id), None)
            if kept is None or (kept.a, kept.b) != catalogs:
                kept = Comparison(*catalogs, (self._keys_of(a), self._keys_of(b)))
            self._kept[a.id, b.id] = kept
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return kept

    def joined(self, comparison: Comparison) -> Joined | None:
        """What two runs have in common; None while it is being found out, which `done` of `whole` says.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if not (comparison.a.is_complete and comparison.b.is_complete):
            return None
        key = comparison.a.run.id, comparison.b.run.id
        with self._lock:
            if comparison.is_current:
                return comparison.join(self._store, self._ended)
            joining = self._joining.get(key)
            if joining is None:
                joining = self._joining[key] = self._thread.submit(comparison.join, self._store, self._ended)
        try:
            found = joining.result(_PATIENCE_SECONDS)
        except TimeoutError:
            return None
        except BaseException:
            self._forget(key)
            raise
        self._forget(key)
        return found

    def _forget(self, key: tuple[int, int]) -> None:
        with self._lock:
            self._joining.pop(key, None)

    def _keys_of(self, run: Run) -> Keys:
        found = self._keys.pop(run.id, None) or Keys(run)
        self._keys[run.id] = found
        while len(self._keys) > _KEPT:
            self._keys.popitem(last=False)
        return found


def _keyed(catalog: Catalog, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The keys of the items that the catalog has, too; 0 elsewhere."""
    there = catalog.column("id") % MAX_ITEMS
    there = there[: np.searchsorted(there, len(keys))]
    found = np.zeros_like(keys)
    found[there] = keys[there]
    return found


def _is_by_place(a: Run, b: Run) -> bool:
    """Whether an item of one run has the same record and question as that of the other at its place."""
    return _asked(a) == _asked(b) and a.fingerprint == b.fingerprint


def _asked(run: Run) -> tuple[object, ...]:
    options = run.options
    # The seed draws the questions.
    return run.pool_digest, options.questions_per_image, options.seed, options.verbatim
