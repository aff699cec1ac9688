"""Counts of two runs, both ways: which of the items that both have keep the rule in which of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from producer.web.catalog import Facet
from producer.web.figures.tallies import BROKEN, FIRST, ways
from producer.web.intervals import Share, share, verdict

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


class Compared:
    """Two runs as of one moment."""

    def __init__(self, a: Catalog, b: Catalog, joined: Joined, by: By) -> None:
        a_length, b_length = len(a.column("status")), len(b.column("status"))
        # Rows that came meanwhile wait for the next look.
        there = (joined.a < a_length) & (joined.b < b_length)
        whole = bool(there.all())
        self._catalogs = a, b
        #: Indexes in A and in B, item by item.
        self.a, self.b = (joined.a, joined.b) if whole else (joined.a[there], joined.b[there])
        self._way = _both_ways(_way(a, self.a), _way(b, self.b), by)
        self._topic = a.column(Facet.TOPIC)[self.a]

    def counts(self, topic: str = "") -> Counts:
        """The counts of all, or of the items of one topic."""
        chosen = self._way if not topic else self._way[self._of(topic)]
        return Counts(*np.bincount(chosen, minlength=_WAYS).tolist())

    def topics(self) -> list[tuple[str, Counts]]:
        """The counts of each topic; those that differ most first."""
        counts = np.bincount(self._topic.astype(np.int64) * _WAYS + self._way)
        counts.resize(-(-len(counts) // _WAYS) * _WAYS)
        names = self._catalogs[0].names(Facet.TOPIC)
        rows = [(names[code], Counts(*row)) for code, row in enumerate(counts.reshape(-1, _WAYS).tolist()) if any(row)]
        return sorted(rows, key=lambda row: (-abs(row[1].only_a - row[1].only_b), row[0]))

    def said(self, topic: str = "", *, each: int = 1) -> str:
        """What the counts say, in a sentence.

        Args:
            topic: only of this topic.
            each: questions of each record. Answers about one picture are alike, so where there are several, records
                are counted and not items: for A those of which A has more right, for B likewise.
        """
        counts = self.counts(topic)
        if each == 1:
            return verdict(counts.only_a, counts.only_b)
        of = np.ones(len(self._way), np.bool_) if not topic else self._of(topic)
        record = self.a // each
        ahead = np.bincount(record[of & (self._way == _CODES[Show.ONLY_A])], minlength=1)
        behind = np.bincount(record[of & (self._way == _CODES[Show.ONLY_B])], minlength=1)
        length = max(len(ahead), len(behind))
        more = np.pad(ahead, (0, length - len(ahead))) - np.pad(behind, (0, length - len(behind)))
        return verdict(int((more > 0).sum()), int((more < 0).sum()), things="records")

    def shown(self, show: Show, topic: str = "") -> npt.NDArray[np.int64]:
        """Which of the joined items are listed, in the order of A."""
        mask = np.ones(len(self._way), np.bool_) if not topic else self._of(topic)
        if (code := _CODES.get(show)) is not None:
            mask &= self._way == code
        elif show is Show.DIFFERENT:
            mask &= self._differs("answer_key") | self._differs_by_name(Facet.STATUS)
        return np.flatnonzero(mask)

    def _of(self, topic: str) -> Mask:
        names = self._catalogs[0].names(Facet.TOPIC)
        return self._topic == (names.index(topic) if topic in names else -1)

    def _differs(self, name: str) -> Mask:
        return self._values(name, 0) != self._values(name, 1)

    def _differs_by_name(self, facet: Facet) -> Mask:
        # Words that are known beforehand have the same codes in all catalogs.
        return self._differs(facet)

    def _values(self, name: str, side: int) -> npt.NDArray[Any]:
        return self._catalogs[side].column(name)[self.a if side == 0 else self.b]


def _way(catalog: Catalog, at: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    columns = (catalog.column(facet)[at] for facet in (Facet.STATUS, Facet.RUNG))
    return ways(*columns, catalog.names(Facet.STATUS), catalog.names(Facet.RUNG))


def _both_ways(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], by: By) -> npt.NDArray[np.uint8]:
    keeps: Callable[[int], bool] = (lambda way: way == FIRST) if by is By.FIRST else (lambda way: way != BROKEN)
    table = np.zeros((_WAYS, _WAYS), np.uint8)
    for one in range(1, _WAYS):
        for other in range(1, _WAYS):
            table[one, other] = 1 + (not keeps(other)) + 2 * (not keeps(one))
    return table[a, b]
