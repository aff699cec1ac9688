"""Shares: a part of a whole, with the interval in which the true share lies.

Wilson's interval is no approximation for large numbers that fails for small ones: it holds for any count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Standard deviations to both sides of a normal distribution that hold 95 % of it.
_WIDTH = 1.959963984540054


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
