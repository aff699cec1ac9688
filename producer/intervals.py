"""Intervals and tests: how much counts can be trusted, in numbers and in words for people.

Nothing here is an approximation for large numbers that fails for small ones: the interval of a share holds for any
count, and the sign test is exact.
"""

from __future__ import annotations

import math

from persqa.shares import Share, percent, share

__all__ = [
    "DOUBTFUL",
    "FEWEST_TO_TELL",
    "Share",
    "by_chance",
    "by_chance_in_groups",
    "often",
    "percent",
    "share",
    "verdict",
]

#: A difference that comes by chance more often than this is none that one may build on.
DOUBTFUL = 0.05
#: Even if all of so few items went one way, chance could have done it.
FEWEST_TO_TELL = 6
_RAREST = 1e-6


def by_chance(one: int, other: int) -> float:
    """How likely chance alone parts so many items at least so unevenly, from 0 to 1: the exact sign test.

    With the items that only one of two runs has right, this is McNemar's exact test.
    """
    total, fewer = one + other, min(one, other)
    if one == other:
        return 1.0
    # The terms fall from the middle outwards, so some hundred of them are all that counts, however many items.
    term = math.exp(
        math.lgamma(total + 1) - math.lgamma(fewer + 1) - math.lgamma(total - fewer + 1) - total * math.log(2)
    )
    tail = 0.0
    for place in range(fewer, -1, -1):
        tail += term
        term *= place / (total - place + 1)
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * tail)


def by_chance_in_groups(total: int, squares: int) -> float:
    """As `by_chance`, where items come in groups that are alike, such as the questions about one picture.

    A group may fall to either side as a whole. Of groups of one item each, this is McNemar's test with its correction.

    Args:
        total: the sum over all groups of how many more items of it the one has right than the other.
        squares: the sum of the squares of these numbers.
    """
    return math.erfc(max(abs(total) - 1, 0) / math.sqrt(2 * squares)) if squares else 1.0


def verdict(a: int, b: int, *, chance: float | None = None) -> str:
    """What the counts say of two runs, A and B, in a sentence.

    Args:
        a: how many items only A has right.
        b: how many items only B has right.
        chance: how likely chance alone parts them so; by default as if each were independent of all others.
    """
    if a == b:
        return "Neither keeps the rule more often."
    counts = f"{max(a, b):,} items only in {'A' if a > b else 'B'}, {min(a, b):,} only in {'B' if a > b else 'A'}"
    if a + b < FEWEST_TO_TELL:
        return f"Too few to tell: {counts}."
    chance = by_chance(a, b) if chance is None else chance
    better = "A" if a > b else "B"
    if chance > DOUBTFUL:
        odds = f"a difference as large comes by chance in {often(chance)}"
        return f"Too close to tell: {counts}; {odds} such comparisons, so it may well be none."
    return (
        f"{better} keeps the rule more often: {counts}; "
        f"a difference as large comes by chance in {often(chance)} such comparisons."
    )


def often(chance: float) -> str:
    """A chance as a count: `about 1 of 170`, `about 4 of 10`, `nearly all`, or `less than 1 of 1,000,000`."""
    if chance < _RAREST:
        return f"less than 1 of {round(1 / _RAREST):,}"
    if chance > 0.95:
        return "nearly all"
    if chance > 0.1:
        return f"about {round(10 * chance)} of 10"
    one_of = 1 / chance
    digits = 10 ** max(0, math.floor(math.log10(one_of)) - 1)
    return f"about 1 of {round(one_of / digits) * digits:,}"
