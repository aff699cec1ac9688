"""Choosing: which items a view has, and how many of them have which values."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from producer.web.catalog.columns import BITS, Columns
from producer.web.catalog.facet import Facet, FacetCounts, ValueCount
from producer.web.catalog.names import OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.web.catalog.columns import Indexes, Mask
    from producer.web.catalog.view import View

#: Values of a facet that are shown, beside those that the view names.
MOST_SHOWN: Final = 20
#: Views whose items are kept in mind.
_KEPT: Final = 4


class Choosing:
    """Masks over columns; the last ones are kept until the columns change. It is locked as they are."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._kept: OrderedDict[str, tuple[tuple[int, int], Mask]] = OrderedDict()

    def mask(self, view: View, found: Mask | None, version: int) -> Mask:
        """Where the view has an item.

        Args:
            view: the view.
            found: where its search has found something, if it has one; its length is that of the columns.
            version: of what was found.
        """
        key, versions = view.chosen, (self._columns.version, version)
        kept = self._kept.get(key)
        if kept is None or kept[0] != versions:
            mask = self._base(view, found)
            for facet in _named(view):
                mask &= self._of(view, facet)
            kept = versions, mask
            self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    def counts(self, view: View, found: Mask | None, version: int) -> list[FacetCounts]:
        """The counts of all facets, each with the view's other facets applied and not its own."""
        named = _named(view)
        own = {facet: self._of(view, facet) for facet in named} if len(named) > 1 else {}
        whole = self.mask(view, found, version)
        # Most facets are counted over the same items: to pick these by their places is faster than by a mask.
        places = None if whole.all() else np.flatnonzero(whole)
        counted: list[FacetCounts] = []
        for facet in Facet:
            picked = places
            if facet in named:
                mask = self._base(view, found)
                for other in named:
                    if other is not facet:
                        mask &= own[other]
                picked = np.flatnonzero(mask)
            counted.append(self._counts(facet, picked, view))
        return counted

    def _base(self, view: View, found: Mask | None) -> Mask:
        mask = self._columns.present
        if found is not None:
            mask &= found
        for span, (low, high) in view.spans.items():
            column = self._columns[span.column]
            # What is no number is neither.
            mask &= (column >= low) & (column < high)
        return mask

    def _of(self, view: View, facet: Facet) -> Mask:
        kept, left_out = view.keep.get(facet), view.leave_out.get(facet)
        if kept is None:
            return ~self._having(facet, left_out or ())
        mask = self._having(facet, kept)
        return mask if left_out is None else mask & ~self._having(facet, left_out)

    def _having(self, facet: Facet, values: Sequence[str]) -> Mask:
        """Where an item has at least one of the values."""
        column = self._columns[facet.value]
        if facet in BITS:
            return (column & sum(BITS[facet][value] for value in values)) != 0
        names = self._columns.names[facet]
        codes = [code for value in values if (code := names.code(value)) is not None]
        if len(codes) == 1:
            return column == codes[0]
        wanted = np.zeros(np.iinfo(column.dtype).max + 1, np.bool_)
        wanted[codes] = True
        return wanted[column]

    def _counts(self, facet: Facet, places: Indexes | None, view: View) -> FacetCounts:
        """The counts of a facet over the items at these places; over all where that is None."""
        column = self._columns[facet.value]
        chosen = column if places is None else column[places]
        counted = np.bincount(chosen, minlength=2)
        if facet in BITS:
            # Of many bits there are many codes, most of which no item has.
            codes = np.flatnonzero(counted)
            found = {word: int(counted[codes[(codes & bit) != 0]].sum()) for word, bit in BITS[facet].items()}
            others = 0
        else:
            texts = self._columns.names[facet].texts
            numbers: list[int] = counted.tolist()
            found = {texts[code]: number for code, number in enumerate(numbers) if code > OTHER and number}
            others = numbers[OTHER]
        kept, left_out = view.keep.get(facet, ()), view.leave_out.get(facet, ())
        ordered = sorted((value for value in found if found[value]), key=lambda value: (-found[value], value))
        shown = set(ordered[:MOST_SHOWN]) | {*kept, *left_out}
        return FacetCounts(
            facet=facet,
            values=tuple(
                ValueCount(value=value, items=found.get(value, 0), is_kept=value in kept, is_left_out=value in left_out)
                for value in [*ordered, *sorted(shown - set(ordered))]
                if value in shown
            ),
            others=others + sum(found[value] for value in ordered if value not in shown),
        )


def _named(view: View) -> list[Facet]:
    """The facets that the view says something of."""
    return [facet for facet in Facet if facet in view.keep or facet in view.leave_out]
