"""Sizes: how long answers are, how long they took, and when they came."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from producer.charts import Cell, Column, Columns, Figure, Table, Tick, axis, counted_bars
from producer.scales import even_edges, growing_edges, plain, seconds, time_step
from producer.web.catalog import Span
from producer.web.figures.tallies import Spread, ordered, over_time, quantile, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer.web.figures.addresses import Addresses
    from producer.web.figures.tallies import Numbers

_BINS: Final = 14
#: Longer answers than 99 of 100 are one bin, since a single one would squeeze all others into the first.
_LONG: Final = 0.99
#: What took less is not told apart, in seconds.
_SHORTEST: Final = 0.001
_COLUMNS: Final = 60
_MARKS: Final = 4
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def lengths(values: Numbers, addresses: Addresses) -> Figure:
    """How long the answers are, in characters; the column has -1 where there is none."""
    found = ordered(values[values >= 0].astype(np.float32))
    edges = even_edges(float(found[0]), quantile(found, _LONG), _BINS) if len(found) else [0.0, 1.0]
    edges = sorted({float(math.floor(edge)) for edge in edges})
    # All longer ones are one bin.
    found_in = spread(found, [*edges, math.inf])
    words = _Words(_whole, _characters)
    return _spread("lengths", "How long the answers are", found_in, Span.LENGTH, words, addresses)


def times(key: str, title: str, span: Span, values: Numbers, addresses: Addresses) -> Figure:
    """How long a stage took, in seconds; the column has NaN where nothing was measured."""
    found = ordered(values)
    # The column has fewer digits than an edge: the next number that it can hold is beyond its last bin, too.
    most = float(np.nextafter(found[-1], np.inf, dtype=found.dtype)) if len(found) else 0.0
    edges = growing_edges(max(_SHORTEST, quantile(found, 0.0)), max(most, _SHORTEST))
    if len(found) and found[0] < edges[0]:
        edges = [0.0, *edges]
    return _spread(key, title, spread(found, edges), span, _Words(_between, seconds), addresses)


def throughput(moments: Numbers, addresses: Addresses) -> Figure:
    """How many items ended, over time; the column has seconds since 1970, and NaN or 0 where nothing has ended."""
    known = moments[moments > 0]
    begin, end = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    step = time_step((end - begin) / _COLUMNS)
    begin, counts = over_time(known, step)
    per, unit = _unit(max(counts, default=0) / step)
    top, up = axis(max(counts, default=0) * per / step)
    made, rows = list[Column](), list[tuple[Cell, ...]]()
    for place, number in enumerate(counts):
        since = begin + place * step
        address = addresses.to(span=(Span.FINISHED, since, since + step)) if number else ""
        when, rate = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S}", number * per / step
        if number:
            label, width = f"{when} UTC: {number:,} items, {_rate(rate)} a {unit}", 100 / len(counts)
            made.append(Column(place * width, width, 100 * rate / top, label, address))
        rows.append((Cell(when, address), Cell(f"{number:,}", address), Cell(_rate(rate))))
    return Figure(
        key="throughput",
        title="When the answers came",
        says=_paced(len(known), end - begin, max(counts, default=0) * per / step, unit),
        drawing=Columns(tuple(made), _across(begin, step * len(counts)), up),
        table=Table(("From, in UTC", "Items", f"A {unit}"), tuple(rows)),
        unit=f"items a {unit}, by the time in UTC at which they ended",
    )


def _unit(most: float) -> tuple[int, str]:
    """The time, in seconds, in which at least one item ends where most do; `most` is how many do in a second."""
    units = ((1, "second"), (_MINUTE, "minute"), (_HOUR, "hour"))
    return next(((per, name) for per, name in units if most * per >= 1), (_DAY, "day"))


class _Words(NamedTuple):
    """How a quantity is written."""

    between: Callable[[float, float], str]
    value: Callable[[float], str]


def _spread(key: str, title: str, found: Spread, span: Span, words: _Words, addresses: Addresses) -> Figure:
    bins = zip(found.edges[:-1], found.edges[1:], found.counts, strict=True)
    rows = [(words.between(low, high), number, addresses.to(span=(span, low, high))) for low, high, number in bins]
    # Bins at the end in which there is nothing say nothing.
    while rows and not rows[-1][1]:
        rows.pop()
    median, most = words.value(found.median), words.value(found.most)
    says = f"Half of {found.items:,} have less than {median}, and 95 of 100 less than {most}."
    return Figure(
        key=key,
        title=title,
        says=says if found.items else "There is none yet.",
        drawing=counted_bars(rows, whole=found.items),
        table=Table(
            (span.words, "Items", "Share"),
            tuple(
                (Cell(label, address), Cell(f"{number:,}", address), Cell(f"{100 * number / found.items:.1f} %"))
                for label, number, address in rows
                if number
            ),
        ),
        unit=f"items, by {span.words[0].lower()}{span.words[1:]}",
    )


def _characters(value: float) -> str:
    return f"{value:,.0f} characters"


def _whole(low: float, high: float) -> str:
    if high == math.inf:
        return f"{plain(low)} or more"
    return plain(low) if high - low == 1 else f"{plain(low)} to {plain(high - 1)}"


def _between(low: float, high: float) -> str:
    return f"{seconds(low)} to {seconds(high)}" if low else f"less than {seconds(high)}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _paced(items: int, span: float, peak: float, unit: str) -> str:
    if not items:
        return "Nothing has ended yet."
    return f"{items:,} items ended within {_span(span)}; at best {_rate(peak)} a {unit}."


def _span(value: float) -> str:
    if value < _HOUR:
        return seconds(max(value, 1.0))
    return f"{value / _HOUR:,.1f} h" if value < 2 * _DAY else f"{value / _DAY:,.1f} days"


def _across(begin: float, whole: float) -> tuple[Tick, ...]:
    """Round moments on the axis of time."""
    if not whole:
        return ()
    each = time_step(whole / _MARKS)
    first = math.ceil(begin / each) * each
    moments = [first + place * each for place in range(int((begin + whole - first) / each) + 1)]
    return tuple(Tick(100 * (moment - begin) / whole, _moment(moment, each)) for moment in moments)


def _moment(since: float, step: float) -> str:
    """A round moment, as an axis with such steps shows it."""
    moment = datetime.fromtimestamp(since, UTC)
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    if step >= _HOUR:
        return f"{moment:%m-%d %H:%M}"
    return f"{moment:%H:%M}" if step >= _MINUTE else f"{moment:%H:%M:%S}"
