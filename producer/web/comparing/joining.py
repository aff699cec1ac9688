"""Joining: which item of one run is which of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Keys = npt.NDArray[np.int64]
    Indexes = npt.NDArray[np.int64]
    #: Half as large: no catalog keeps more than some million items.
    Places = npt.NDArray[np.int32]

#: An odd number with as many ones as zeros: it spreads the places of equal keys over all 64 bits.
_SPREAD: Final = -7046029254386353131


@dataclass(frozen=True, slots=True)
class Joined:
    """The indexes of the items that both runs have, in the order of the first run.

    Attributes:
        a: in the first run; `b`, in the second one, at the same place.
        only_a: how many items only the first run has; `only_b` likewise.
    """

    a: Places
    b: Places
    only_a: int
    only_b: int

    def __len__(self) -> int:
        """How many items both have."""
        return len(self.a)


def by_place(a: Indexes, b: Indexes) -> Joined:
    """Join by index, of which each run has these, in order."""
    both = a if np.array_equal(a, b) else np.intersect1d(a, b, assume_unique=True)
    both = both.astype(np.int32)
    return Joined(both, both, len(a) - len(both), len(b) - len(both))


def by_key(a: Keys, b: Keys) -> Joined:
    """Join by key, by index in each run; 0 is where there is no item.

    Where several items of a run have the same key, the first joins the first of the other run, the second the second,
    and so on.
    """
    a_keys, a_at = _numbered(a)
    b_keys, b_at = _numbered(b)
    if not len(a_keys) or not len(b_keys):
        none = np.zeros(0, np.int32)
        return Joined(none, none, len(a_keys), len(b_keys))
    places = np.minimum(np.searchsorted(b_keys, a_keys), len(b_keys) - 1)
    found = b_keys[places] == a_keys
    a_joined, b_joined = a_at[found], b_at[places[found]]
    order = np.argsort(a_joined)
    a_joined, b_joined = (joined[order].astype(np.int32) for joined in (a_joined, b_joined))
    return Joined(a_joined, b_joined, len(a_keys) - len(order), len(b_keys) - len(order))


def _numbered(keys: Keys) -> tuple[Keys, Indexes]:
    """Ordered keys, each different from all others, with the indexes of their items."""
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] != 0]
    found = keys[order]
    if not len(found):
        return found, order
    first = np.ones(len(found), np.bool_)
    first[1:] = found[1:] != found[:-1]
    if first.all():
        return found, order
    starts = np.flatnonzero(first)
    number = np.arange(len(found)) - np.repeat(starts, np.diff(np.append(starts, len(found))))
    numbered = found + number * _SPREAD
    again = np.argsort(numbered, kind="stable")
    return numbered[again], order[again]
