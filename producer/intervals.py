"""Intervals and tests: how much counts can be trusted, in numbers and in words for people.

Nothing here is an approximation for large numbers that fails for small ones: Wilson's interval holds for any count, and
the sign test is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Standard deviations to both sides of a normal distribution that hold 95 % of it.
_WIDTH = 1.959963984540054
#: A difference that comes by chance more often than this is none that one may build on.
DOUBTFUL = 0.05
#: Even if all of so few items went one way, chance could have done it.
FEWEST_TO_TELL = 6
_RAREST = 1e-6


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, with the interval in which the true share lies, 19 times out of 20.

    Attributes:
        part: how many.
        whole: of how many; 0 where there is nothing to say.
        low: lower end of the interval, from 0 to 1.
        high: upper end.
    """

    part: int
    whole: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, from 0 to 1; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0

    def __str__(self) -> str:
        return percent(self.value) if self.whole else "none"

    @property
    def between(self) -> str:
        """The interval in words, such as `88.1 to 90.3 %`."""
        return f"{percent(self.low)[:-2]} to {percent(self.high)}"


def share(part: int, whole: int) -> Share:
    """A share with Wilson's interval, which stays within 0 and 1 and holds for small numbers, too.

    Raises:
        ValueError: the part is less than nothing, or more than the whole.
    """
    if not 0 <= part <= whole:
        raise ValueError(f"{part} is no part of {whole}")
    if whole == 0:
        return Share(part, whole, 0.0, 1.0)
    squared = _WIDTH**2
    value = part / whole
    middle = (value + squared / (2 * whole)) / (1 + squared / whole)
    half = _WIDTH / (1 + squared / whole) * math.sqrt(value * (1 - value) / whole + squared / (4 * whole**2))
    # Rounding must not leave the value outside of its own interval.
    low = 0.0 if part == 0 else min(max(middle - half, 0.0), value)
    high = 1.0 if part == whole else max(min(middle + half, 1.0), value)
    return Share(part, whole, low, high)


def percent(value: float) -> str:
    """A share as people read it: never 100 % or 0 % where something is missing or there."""
    points = 100 * value
    if 0 < points < 0.1:
        return "<0.1 %"
    if 99.9 < points < 100:
        return ">99.9 %"
    return f"{points:.1f} %"


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
