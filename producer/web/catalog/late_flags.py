"""LateFlags: finds the items whose flags have changed though nothing else of them has.

A picture turns out to be that of an earlier record, or somebody looks the whole run over: then a result gets a flag
long after it was stored. Only the run's counters tell, so where they differ from the columns, the run is gone through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from producer.web.catalog.columns import BITS
from producer.web.catalog.facet import Facet

if TYPE_CHECKING:
    from persqa.store.catalog_rows import RunMarks, Snapshot
    from producer.web.catalog.columns import Batch, Columns

#: What is gone through at a look, in indexes, and items that one look finds: as many as it reads at most.
_SWEPT: Final = 1 << 18
_MOST: Final = 1 << 14
_BITS: Final = BITS[Facet.FLAG]


class LateFlags:
    """Those of one run."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._sweep = 0

    def differ(self, marks: RunMarks, batch: Batch | None = None) -> bool:
        """Whether the columns, with these rows in them, have other numbers of flags than the run's counters."""
        ours = self._columns.flagged if batch is None else self._columns.flagged_with(batch)
        return ours.tolist() != [marks.flags.get(flag, 0) for flag in _BITS]

    def found(self, look: Snapshot, marks: RunMarks, batch: Batch | None = None) -> list[int]:
        """Items of the next part, beside these rows, that have other flags than in the columns, if numbers differ."""
        if not self.differ(marks, batch):
            return []
        first = self._sweep if self._sweep < len(self._columns) else 0
        ours = self._columns[Facet.FLAG.value][first : first + _SWEPT].copy()
        there = np.zeros_like(ours)
        for item_id, flag in look.flags_between(first, first + len(ours) - 1):
            there[item_id - self._columns.base - first] |= _BITS.get(flag, 0)
        if batch is not None:
            own = batch.indexes - first
            own = own[(own >= 0) & (own < len(ours))]
            there[own] = ours[own]
        differing = np.flatnonzero(ours != there)
        if len(differing) <= _MOST:
            self._sweep = first + _SWEPT
        return (differing[:_MOST] + (first + self._columns.base)).tolist()
