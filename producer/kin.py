"""Kin: records that have a picture in common, or nearly; whoever separates them would let a test know its training."""

from __future__ import annotations

import hashlib
from array import array
from itertools import combinations, groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from persqa.store.pictures import Pictured

#: Two pictures look the same if so few of the 64 bits of their hashes differ. Of 1,000 drawn portraits no two do.
NEAR_BITS: Final = 2
_BITS: Final = 64
#: Hashes that differ in two bits agree in at least two of four parts.
_PARTS: Final = 4
#: More hashes than these that agree in half of their bits are taken for one picture, as nobody compares them all.
_MOST_COMPARED: Final = 500


class Kin:
    """Records by their pictures; each group is known by its first record, so it keeps its place when a run grows."""

    def __init__(self, pictured: Iterable[Pictured]) -> None:
        """Read all items of a run; some hundred bytes for each record stay in memory."""
        self._parents = array("q")
        #: A key of each record's own pictures.
        self._keys = array("Q")
        by_reference = dict[int, int]()
        by_hash = dict[int, int]()
        for one in pictured:
            self._add(one)
            for reference in one.images:
                self._join(by_reference.setdefault(_key(reference), one.position), one.position)
            if one.hash is not None:
                self._join(by_hash.setdefault(one.hash, one.position), one.position)
        del by_reference
        for one, other in _near([hash_ % 2**_BITS for hash_ in by_hash]):
            self._join(by_hash[_signed(one)], by_hash[_signed(other)])

    def first(self, position: int) -> int:
        """The first record that has a picture in common with this one."""
        parents = self._parents
        while (parent := parents[position]) != position:
            # Halves the way for whoever comes next.
            parents[position] = parents[parent]
            position = parents[position]
        return position

    def share(self, position: int, seed: int) -> float:
        """A number from 0 to below 1 that is random, the same for all of a group, and whatever else the run has."""
        own = self._keys[self.first(position)].to_bytes(8, "big")
        digest = hashlib.blake2b(own, digest_size=8, key=f"split {seed}".encode()).digest()
        return int.from_bytes(digest, "big") / 2**_BITS

    def _add(self, one: Pictured) -> None:
        while len(self._parents) <= one.position:
            self._parents.append(len(self._parents))
            # A record without pictures has only its place.
            self._keys.append(_key(f"record {len(self._keys)}"))
        if one.images:
            self._keys[one.position] = _key("\n".join(one.images))

    def _join(self, one: int, other: int) -> None:
        first, second = self.first(one), self.first(other)
        if first != second:
            self._parents[max(first, second)] = min(first, second)


def _key(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _signed(value: int) -> int:
    return value - 2**_BITS if value >> (_BITS - 1) else value


def _near(hashes: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of different hashes, so many that all that are near are joined by them."""
    width = _BITS // _PARTS
    parts = [(2**width - 1) << (place * width) for place in range(_PARTS)]
    for one, other in combinations(parts, _PARTS - NEAR_BITS):
        mask = one | other
        hashes.sort(key=lambda value, mask=mask: value & mask)
        for _, alike in groupby(hashes, key=lambda value, mask=mask: value & mask):
            yield from _compared(list(alike))


def _compared(alike: Sequence[int]) -> Iterator[tuple[int, int]]:
    if len(alike) > _MOST_COMPARED:
        yield from ((alike[0], one) for one in alike[1:])
        return
    yield from ((one, other) for one, other in combinations(alike, 2) if (one ^ other).bit_count() <= NEAR_BITS)
