"""Counts of two runs, both ways: which of the items that both have keep the rule in which of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from persqa.items import MAX_ITEMS
from producer.intervals import FEWEST_TO_TELL, Share, by_chance, by_chance_in_groups, often, share, verdict
from producer.web.catalog import Facet
from producer.web.figures.tallies import BROKEN, FIRST, ways

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from producer.web.catalog import Catalog
    from producer.web.comparing.joining import Joined

    Mask = npt.NDArray[np.bool_]


class By(StrEnum):
    """What counts as keeping the rule."""

    FIRST = "first"  #: the model writes the tag by itself, when it is asked first
    END = "end"  #: the answer that is stored has it, however it came there


class Show(StrEnum):
    """Which of the joined items are listed."""

    ALL = "all"
    DIFFERENT = "different"  #: answers or statuses differ
    ONLY_A = "only-a"  #: A keeps the rule, B does not
    ONLY_B = "only-b"
    BOTH = "both"
    NEITHER = "neither"


#: How the four ways are coded; 0 is of items that one of the runs has not judged.
_CODES: Final = {Show.BOTH: 1, Show.ONLY_A: 2, Show.ONLY_B: 3, Show.NEITHER: 4}
_WAYS: Final = 5


class Counts(NamedTuple):
    """How many of the joined items keep the rule in which run.

    Attributes:
        unjudged: one of the runs has no answer that was judged; these are left out of everything else.
    """

    unjudged: int = 0
    both: int = 0
    only_a: int = 0
    only_b: int = 0
    neither: int = 0

    @property
    def judged(self) -> int:
        """Items that both runs have judged."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def a(self) -> Share:
        """The share that A keeps."""
        return share(self.both + self.only_a, self.judged)

    @property
    def b(self) -> Share:
        """The share that B keeps."""
        return share(self.both + self.only_b, self.judged)

    @property
    def chance(self) -> str:
        """How often chance makes a difference as large, in words."""
        if self.only_a + self.only_b < FEWEST_TO_TELL:
            return "too few to tell"
        return often(by_chance(self.only_a, self.only_b))


class Compared:
    """Two runs as of one moment."""

    def __init__(self, a: Catalog, b: Catalog, joined: Joined, by: By) -> None:
        #: Indexes in A and in B, item by item.
        self.a, self.b = joined.a, joined.b
        columns = (_Columns(a, joined.a), _Columns(b, joined.b))
        self._way = _both_ways(_way(columns[0]), _way(columns[1]), by)
        self._differs = (columns[0]["answer_key"] != columns[1]["answer_key"]) | (
            # These words are known beforehand, so they have the same codes in all catalogs.
            columns[0][Facet.STATUS] != columns[1][Facet.STATUS]
        )
        self._names = a.names(Facet.TOPIC)
        self._topic = columns[0][Facet.TOPIC]

    def counts(self, topic: str = "") -> Counts:
        """The counts of all, or of the items of one topic."""
        chosen = self._way if not topic else self._way[self._of(topic)]
        return Counts(*np.bincount(chosen, minlength=_WAYS).tolist())

    def topics(self) -> list[tuple[str, Counts]]:
        """The counts of each topic; those that differ most first."""
        counts = np.bincount(self._topic.astype(np.int64) * _WAYS + self._way)
        counts.resize(-(-len(counts) // _WAYS) * _WAYS)
        table = counts.reshape(-1, _WAYS).tolist()
        rows = [(self._names[code], Counts(*row)) for code, row in enumerate(table) if any(row[1:])]
        return sorted(rows, key=lambda row: (-abs(row[1].only_a - row[1].only_b), row[0]))

    def said(self, topic: str = "", *, each: int = 1) -> str:
        """What the counts say, in a sentence.

        Args:
            topic: only of this topic.
            each: questions of each record. Answers about one picture are alike, which counts where there are several.
        """
        counts = self.counts(topic)
        if each == 1:
            return verdict(counts.only_a, counts.only_b)
        of = np.ones(len(self._way), np.bool_) if not topic else self._of(topic)
        record = self.a // each
        ahead, behind = (
            np.bincount(record[of & (self._way == _CODES[show])], minlength=int(record.max(initial=0)) + 1)
            for show in (Show.ONLY_A, Show.ONLY_B)
        )
        more = ahead - behind
        return verdict(
            counts.only_a, counts.only_b, chance=by_chance_in_groups(int(more.sum()), int((more * more).sum()))
        )

    def shown(self, show: Show, topic: str = "") -> npt.NDArray[np.int64]:
        """Which of the joined items are listed, in the order of A."""
        mask = np.ones(len(self._way), np.bool_) if not topic else self._of(topic)
        if (code := _CODES.get(show)) is not None:
            mask &= self._way == code
        elif show is Show.DIFFERENT:
            mask &= self._differs
        return np.flatnonzero(mask)

    def _of(self, topic: str) -> Mask:
        return self._topic == (self._names.index(topic) if topic in self._names else -1)


class _Columns:
    """Columns of one run by the place of its items among the joined ones, as of one moment."""

    def __init__(self, catalog: Catalog, indexes: npt.NDArray[np.int32]) -> None:
        self.names = [catalog.names(facet) for facet in (Facet.STATUS, Facet.RUNG)]
        self._found = catalog.columns("id", *_COLUMNS)
        there = self._found.pop("id") % MAX_ITEMS
        is_dense = len(there) == 0 or there[-1] == len(there) - 1
        self._places = indexes if is_dense else np.searchsorted(there, indexes)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._found[name][self._places]


_COLUMNS = (Facet.STATUS, Facet.RUNG, Facet.TOPIC, "answer_key")


def _way(columns: _Columns) -> npt.NDArray[np.uint8]:
    return ways(columns[Facet.STATUS], columns[Facet.RUNG], *columns.names)


def _both_ways(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], by: By) -> npt.NDArray[np.uint8]:
    keeps: Callable[[int], bool] = (lambda way: way == FIRST) if by is By.FIRST else (lambda way: way != BROKEN)
    table = np.zeros((_WAYS, _WAYS), np.uint8)
    for one in range(1, _WAYS):
        for other in range(1, _WAYS):
            table[one, other] = 1 + (not keeps(other)) + 2 * (not keeps(one))
    return table[a, b]
