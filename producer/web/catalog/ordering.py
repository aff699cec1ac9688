"""Ordering: pages, ranks and neighbours in an order, without sorting all items.

An item's place is given by its key and then by its index. A page is found by what comes before or after a place, in one
pass over the keys; only the page itself is sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from producer.web.catalog.view import Order

if TYPE_CHECKING:
    import numpy.typing as npt

    from producer.web.catalog.columns import Columns, Indexes, Mask

    Keys: TypeAlias = npt.NDArray[np.float64]


def keys_of(columns: Columns, order: Order, indexes: Indexes) -> Keys:
    """What the items of these indexes are ordered by, the smallest first; infinity where there is nothing to go by."""
    match order:
        case Order.INPUT:
            return np.zeros(len(indexes))
        case Order.NEWEST:
            keys = -columns["finished"][indexes]
        case Order.LONGEST | Order.SHORTEST:
            lengths = columns["answer_length"][indexes].astype(np.float64)
            keys = np.where(lengths < 0, np.nan, lengths if order is Order.SHORTEST else -lengths)
        case Order.SLOWEST | Order.FASTEST:
            images, engine = (columns[name][indexes].astype(np.float64) for name in ("image_seconds", "engine_seconds"))
            took = np.where(np.isnan(images), engine, images + np.nan_to_num(engine))
            keys = took if order is Order.FASTEST else -took
    return np.where(np.isnan(keys), np.inf, keys)


class Ordered:
    """The items of a view in an order, as of one moment."""

    def __init__(self, columns: Columns, mask: Mask, order: Order) -> None:
        self._columns = columns
        self._order = order
        #: Of the items that the view has, in the input's order.
        self.indexes: Indexes = np.flatnonzero(mask)
        self._keys = keys_of(columns, order, self.indexes) if order is not Order.INPUT else np.zeros(0)

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.indexes)

    def rank(self, index: int) -> int:
        """How many come before the item of this index, whether or not it is among them."""
        if self._order is Order.INPUT:
            return int(np.searchsorted(self.indexes, index))
        return int(np.count_nonzero(self._before(index)))

    def following(self, index: int | None, number: int, *, inclusive: bool = True) -> list[int]:
        """The first so many from an item on, in order, or behind it; from the beginning, if there is none."""
        if self._order is Order.INPUT:
            start = 0 if index is None else int(np.searchsorted(self.indexes, index, "left" if inclusive else "right"))
            return self.indexes[start : start + number].tolist()
        if index is None:
            return self._first(self.indexes, self._keys, number)
        behind = ~self._before(index)
        if not inclusive:
            behind &= self.indexes != index
        return self._first(self.indexes[behind], self._keys[behind], number)

    def preceding(self, index: int | None, number: int) -> list[int]:
        """The last so many before an item, in order; up to the end, if there is none."""
        if self._order is Order.INPUT:
            end = len(self) if index is None else self.rank(index)
            return self.indexes[max(end - number, 0) : end].tolist()
        before = slice(None) if index is None else self._before(index)
        indexes, keys = self.indexes[before], self._keys[before]
        # The first ones of the order turned round.
        return self._first(indexes[::-1], -keys[::-1], number)[::-1]

    def at(self, place: int) -> int | None:
        """The index of the item at a place, from 0; None beyond the end."""
        if not 0 <= place < len(self):
            return None
        if self._order is Order.INPUT:
            return int(self.indexes[place])
        key = np.partition(self._keys, place)[place]
        equal = self.indexes[self._keys == key]
        return int(equal[place - np.count_nonzero(self._keys < key)])

    def _before(self, index: int) -> Mask:
        key = keys_of(self._columns, self._order, np.array([index]))[0]
        return (self._keys < key) | ((self._keys == key) & (self.indexes < index))

    def _first(self, indexes: Indexes, keys: Keys, number: int) -> list[int]:
        """The first so many of some items; those with equal keys are in order already."""
        return indexes[_smallest(keys, number)].tolist()


def _smallest(keys: Keys, number: int) -> Indexes:
    """Where the smallest keys are, in order; of equal ones, the first."""
    places = np.arange(len(keys))
    if 0 < number < len(keys):
        last = np.partition(keys, number - 1)[number - 1]
        below = np.flatnonzero(keys < last)
        places = np.concatenate([below, np.flatnonzero(keys == last)[: number - len(below)]])
        places.sort()
    return places[np.argsort(keys[places], kind="stable")][:number]
