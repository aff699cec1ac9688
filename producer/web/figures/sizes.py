"""Sizes: how long answers are, how long they took, and when they came."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from producer.web.catalog import Span
from producer.web.figures.charts import Cell, Column, Columns, Figure, Table, Tick, axis, counted_bars
from producer.web.figures.scales import even_edges, growing_edges, plain, seconds, time_step
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
    found = ordered(values[values > 0].astype(np.float32))
    edges = even_edges(float(found[0]), quantile(found, _LONG), _BINS) if len(found) else [0.0, 1.0]
    edges = sorted({float(math.floor(edge)) for edge in edges})
    return _spread(
        "lengths",
        "How long the answers are",
        spread(found, [*edges, math.inf]),
        Span.LENGTH,
        lambda low, high: f"{plain(low)} or more" if high == math.inf else _whole(low, high),
        lambda value: f"{value:,.0f} characters",
        addresses,
    )


def times(key: str, title: str, span: Span, values: Numbers, addresses: Addresses) -> Figure:
    """How long a stage took, in seconds; the column has NaN where nothing was measured."""
    found = ordered(values)
    most = float(found[-1]) if len(found) else 0.0
    edges = growing_edges(max(_SHORTEST, quantile(found, 0.0)), max(most, _SHORTEST))
    if len(found) and found[0] < edges[0]:
        edges = [0.0, *edges]
    return _spread(key, title, spread(found, edges), span, _between, seconds, addresses)


def throughput(moments: Numbers, addresses: Addresses) -> Figure:
    """How many items ended, over time; the column has seconds since 1970, and NaN or 0 where nothing has ended."""
    known = moments[moments > 0]
    begin, end = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    step = time_step((end - begin) / _COLUMNS)
    begin, counts = over_time(known, step)
    peak = max(counts, default=0)
    per, unit = next(
        ((s, name) for s, name in ((1, "second"), (_MINUTE, "minute"), (_HOUR, "hour")) if peak * s >= step),
        (_DAY, "day"),
    )
    rates = [number * per / step for number in counts]
    top, up = axis(max(rates, default=0.0))
    made, rows = list[Column](), list[tuple[Cell, ...]]()
    for place, (number, rate) in enumerate(zip(counts, rates, strict=True)):
        since = begin + place * step
        address = addresses.to(span=(Span.FINISHED, since, since + step))
        when = f"{_moment(since, step)} UTC"
        label = f"{when}: {number:,} items, {_rate(rate)} a {unit}"
        if number:
            width = 100 / len(counts)
            made.append(Column(place * width, width, 100 * rate / top, label, address))
        rows.append((Cell(when, address), Cell(f"{number:,}", address if number else ""), Cell(_rate(rate))))
    across = _across(begin, step * len(counts), step)
    return Figure(
        key="throughput",
        title="When the answers came",
        says=_paced(len(known), end - begin, max(rates, default=0.0), unit),
        drawing=Columns(tuple(made), across, up),
        table=Table(("Time", "Items", f"A {unit}"), tuple(rows)),
        unit=f"items a {unit}, by the time in UTC at which they ended",
    )


def _spread(
    key: str,
    title: str,
    found: Spread,
    span: Span,
    named: Callable[[float, float], str],
    shown: Callable[[float], str],
    addresses: Addresses,
) -> Figure:
    bins = zip(found.edges[:-1], found.edges[1:], found.counts, strict=True)
    rows = [(named(low, high), number, addresses.to(span=(span, low, high))) for low, high, number in bins]
    # Bins at the ends of which there is nothing say nothing.
    while rows and not rows[-1][1]:
        rows.pop()
    return Figure(
        key=key,
        title=title,
        says=(
            f"Half of {found.items:,} have less than {shown(found.median)}, and 95 of 100 less than {shown(found.most)}."
            if found.items
            else "There is none yet."
        ),
        drawing=counted_bars(rows, whole=found.items),
        table=Table(
            (span.words, "Items", "Share"),
            tuple(
                (Cell(label, address), Cell(f"{number:,}", address), Cell(f"{100 * number / found.items:.1f} %"))
                for label, number, address in rows
                if number
            ),
        ),
        unit=f"items, by {span.words.lower()}",
    )


def _whole(low: float, high: float) -> str:
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


def _across(begin: float, whole: float, step: int) -> tuple[Tick, ...]:
    """Round moments on the axis of time."""
    if not whole:
        return ()
    each = time_step(whole / _MARKS)
    first = math.ceil(begin / each) * each
    moments = [first + place * each for place in range(int((begin + whole - first) / each) + 1)]
    return tuple(Tick(100 * (moment - begin) / whole, _moment(moment, each)) for moment in moments)


def _moment(since: float, step: float) -> str:
    moment = datetime.fromtimestamp(since, UTC)
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%m-%d %H:%M}" if step >= _HOUR else f"{moment:%H:%M}"
