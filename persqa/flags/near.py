"""Near: which pictures and answers of many are nearly the same, without comparing each with each."""

from __future__ import annotations

from array import array
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Hashes of nearly the same picture differ in so many bits at most (docs/quality.md says why).
NEAR_BITS: Final = 3
#: Of so many bands of bits, two are the same in hashes that differ in three bits at most.
_BANDS: Final = (13, 13, 13, 13, 12)
_SAME_BANDS = len(_BANDS) - NEAR_BITS
#: Each picture is compared with so many others at most that have two bands in common.
_COMPARED = 32
_BITS = 2**64 - 1

#: Answers with fewer words are the same, or they are not.
_WORDS = 8
#: What of an answer's pairs of words is kept: so many numbers, in bands of so many.
_NUMBERS, _BAND = 32, 4
#: Answers with so large a part of these numbers in common are nearly the same.
_ALIKE = 0.85
_AT_ONCE = 2_000


def near_pictures(hashes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Pairs of nearly the same picture: the places of both, the lower first, and the bits that differ.

    Args:
        hashes: each once. Memory grows with them, by some 100 bytes each; time by 30 s for a million.
    """
    masks = _masks()
    for bands in combinations(masks, _SAME_BANDS):
        mask = sum(bands)
        keys = [one & mask for one in hashes]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        start = 0
        for at in range(1, len(order)):
            if keys[order[at]] != keys[order[start]]:
                start = at
                continue
            for other in order[max(start, at - _COMPARED) : at]:
                different = ((hashes[order[at]] ^ hashes[other]) & _BITS).bit_count()
                if different <= NEAR_BITS:
                    yield min(order[at], other), max(order[at], other), different


def _masks() -> list[int]:
    masks: list[int] = []
    shift = 0
    for width in _BANDS:
        masks.append((2**width - 1) << shift)
        shift += width
    return masks


class NearAnswers:
    """Collects different answers, by keys, and tells which are nearly the same."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._numbers = array("I")
        self._waiting: list[tuple[int, list[str]]] = []

    def add(self, key: int, normal: str) -> None:
        """Take in an answer that was not seen before, as `normal_answer` gives it; short ones are left out."""
        words = normal.split()
        if len(words) < _WORDS:
            return
        self._waiting.append((key, [f"{one} {two}" for one, two in pairwise(words)]))
        if len(self._waiting) >= _AT_ONCE:
            self._work()

    def firsts(self) -> dict[int, int]:
        """By key, the key of the first answer that is nearly the same; answers unlike all before are left out."""
        self._work()
        firsts: dict[int, int] = {}
        rows = memoryview(self._numbers).cast("B")
        size, width = _NUMBERS * self._numbers.itemsize, _BAND * self._numbers.itemsize
        for band in range(0, size, width):
            seen: dict[bytes, int] = {}
            for place, key in enumerate(self._keys):
                begin = place * size + band
                first = seen.setdefault(bytes(rows[begin : begin + width]), place)
                if first != place and key not in firsts and self._alike(first, place):
                    firsts[key] = firsts.get(self._keys[first], self._keys[first])
        return firsts

    def _alike(self, one: int, other: int) -> bool:
        some = self._numbers[one * _NUMBERS : (one + 1) * _NUMBERS]
        others = self._numbers[other * _NUMBERS : (other + 1) * _NUMBERS]
        return sum(map(int.__eq__, some, others)) >= _ALIKE * _NUMBERS

    def _work(self) -> None:
        # Imported here: only who looks over a run needs it.
        from rensa import RMinHash

        digests = RMinHash.digests_from_token_sets([pairs for _, pairs in self._waiting], num_perm=_NUMBERS, seed=1)
        for (key, _), digest in zip(self._waiting, digests, strict=True):
            self._keys.append(key)
            self._numbers.extend(digest)
        self._waiting.clear()
