"""Scales: round numbers for axes and bins."""

from __future__ import annotations

import math

_ROUND = (1.0, 2.0, 5.0, 10.0)
_TICKS = 4
#: Steps in which people count time, in seconds.
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_DAY_SECONDS = 86_400


def ticks(most: float) -> list[float]:
    """Round numbers from 0 up to the first one that is not less than `most`, for an axis; some four of them."""
    step = round_step(most / _TICKS)
    number = max(1, math.ceil(most / step - 1e-9))
    return [_tidy(step * place) for place in range(number + 1)]


def round_step(least: float) -> float:
    """The first of 1, 2 and 5, times a power of ten, that is not less; 1 where there is nothing to divide."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    # What rounding has made a trifle too large is still the round number.
    return next(_tidy(power * one) for one in _ROUND if power * one >= least * (1 - 1e-9))


def time_step(least: float) -> int:
    """The first step in which people count time that is not less: seconds, minutes, hours or whole days."""
    found = next((step for step in _TIMES if step >= least), None)
    return found or math.ceil(least / _DAY_SECONDS) * _DAY_SECONDS


def even_edges(least: float, most: float, bins: int) -> list[float]:
    """Edges of about so many bins of one round width that hold everything from `least` to `most`."""
    # A narrower bin would be lost in the digits that a number has.
    step = round_step(max((most - least) / bins, most * 1e-6))
    first, last = math.floor(least / step + 1e-9), math.floor(most / step + 1e-9) + 1
    return [_tidy(step * place) for place in range(first, last + 1)]


def growing_edges(least: float, most: float) -> list[float]:
    """Edges at 1, 2, 5, 10, 20 ... that hold everything from `least` to `most`; for what differs by powers of ten."""
    # One power below: rounding may have made it too large.
    power = math.floor(math.log10(least)) - 1
    edges = list[float]()
    while not edges or edges[-1] <= most:
        edges += [_tidy(one * 10.0**power) for one in _ROUND[:-1]]
        power += 1
    first = max(place for place, edge in enumerate(edges) if edge <= least or place == 0)
    last = next(place for place, edge in enumerate(edges) if edge > most)
    return edges[first : last + 1]


def plain(value: float) -> str:
    """A number as an axis shows it: no more digits than it has, its thousands set apart."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6f}".rstrip("0")


def seconds(value: float) -> str:
    """A duration for people, such as `40 ms`, `1.5 s` or `2 min`."""
    if value < 1:
        return f"{_digits(value * 1000)} ms"
    return f"{_digits(value)} s" if value < 120 else f"{_digits(value / 60)} min"


def _digits(value: float) -> str:
    """Two digits that count, or all that are before the point."""
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}"


def _tidy(value: float) -> float:
    """Without the dust of multiplication, so that three times 0.1 is 0.3."""
    return float(f"{value:.12g}")
