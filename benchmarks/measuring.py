"""What every measure is made of: rates while nothing starts or ends, pairs in turn, medians of ratios."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.wait import spend

if TYPE_CHECKING:
    from collections.abc import Callable

#: Each look costs the machine a millisecond or two that the measured side would have had.
_POLL_SECONDS = 0.1
#: The steady part of a run: neither the filling of an empty window nor its emptying.
_FROM, _TO = 0.15, 0.9


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides measured one right after the other, on a machine that may be another one a minute later."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], *, pairs: int) -> list[Pair]:
    """Measure both sides again and again, now the one first and now the other."""
    measured: list[Pair] = []
    for number in range(pairs):
        if number % 2:
            second = theirs()
            first = ours()
        else:
            first = ours()
            second = theirs()
        measured.append(Pair(first, second))
    return measured


def median_ratio(pairs: list[Pair]) -> float:
    """The median of the ratios, which one disturbed pair does not move."""
    return statistics.median(pair.ratio for pair in pairs)


def steady_rate(done: Callable[[], int], total: int, *, timeout_seconds: float) -> float:
    """Items a second while most of `total` items are done, read from a counter that only grows.

    Raises:
        TimeoutError: not all were done in time.
    """
    seen: list[tuple[float, int]] = []
    until = time.monotonic() + timeout_seconds
    while not seen or seen[-1][1] < total:
        if time.monotonic() > until:
            raise TimeoutError(f"{seen[-1][1] if seen else 0} of {total} items after {timeout_seconds:g} s")
        count = done()
        if not seen or count > seen[-1][1]:
            seen.append((time.monotonic(), count))
        spend(_POLL_SECONDS)
    middle = [point for point in seen if _FROM * total <= point[1] <= _TO * total]
    (first, before), (last, after) = (middle[0], middle[-1]) if len(middle) > 1 else (seen[0], seen[-1])
    return (after - before) / (last - first)


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started
