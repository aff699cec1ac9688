"""Charts: what a template needs to draw a figure, and to say the same as a table.

Places and lengths are percentages of the drawing's width, so that it fits any screen and any page while its words keep
their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producer.scales import plain, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what is written there."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar.

    Attributes:
        start: where it begins, in percent; `width` likewise.
        look: its class: `first`, `repaired`, `forced` or `plain`.
        label: what it says to who cannot see it.
        address: of the items behind it.
    """

    start: float
    width: float
    look: str
    label: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar with its label and its value.

    Attributes:
        label: a text of strangers, perhaps.
        value: the figure that it shows, in words.
        more: a second figure, in small.
        parts: from left to right.
        between: where its interval begins and ends, in percent.
        address: of the items behind the whole bar.
        group: what it belongs to, such as a question.
    """

    label: str
    value: str
    parts: tuple[Part, ...]
    address: str
    more: str = ""
    group: str = ""
    between: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from left to right, one below the other, on one axis."""

    bars: tuple[Bar, ...]
    axis: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One upright bar.

    Attributes:
        start: its left side in percent; `width` likewise.
        height: in percent of the axis.
        label: its time and value, in words.
    """

    start: float
    width: float
    height: float
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Upright bars side by side over a time."""

    columns: tuple[Column, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table; with the address of the items that it counts."""

    text: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of a drawing; the first field of a row is what the others are of."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        key: its name in the page's address.
        title: what it shows.
        says: the sentence that one should remember of it.
        unit: what its axis counts.
        note: what one should know before one builds on it.
    """

    key: str
    title: str
    says: str
    drawing: Bars | Columns
    table: Table
    unit: str = ""
    note: str = ""

    @property
    def is_upright(self) -> bool:
        """Whether its bars stand side by side."""
        return isinstance(self.drawing, Columns)


def axis(most: float, shown: Callable[[float], str] = plain) -> tuple[float, tuple[Tick, ...]]:
    """The end of an axis that begins at 0, and its round numbers."""
    values = ticks(most)
    return values[-1], tuple(Tick(100 * value / values[-1], shown(value)) for value in values)


#: The axis of shares, from none to all.
SHARES = tuple(Tick(float(place), f"{place} %") for place in (0, 25, 50, 75, 100))


def shares_to(most: float) -> tuple[float, tuple[Tick, ...]]:
    """The end of an axis of small shares, as a share, and its round numbers; at most it ends at the whole."""
    if most > 0.5:
        return 1.0, SHARES
    end, marks = axis(100 * most, lambda value: f"{plain(value)} %")
    return end / 100, marks


def counted_bars(rows: Sequence[tuple[str, int, str]], *, whole: int) -> Bars:
    """Plain bars of counts: label, number and address of each, with its part of the whole."""
    end, marks = axis(max((number for _, number, _ in rows), default=0))
    return Bars(
        tuple(
            Bar(
                label=label,
                value=f"{number:,}",
                more=f"{100 * number / whole:.1f} %" if whole else "",
                parts=(Part(0, 100 * number / end, "plain", f"{label}: {number:,}", address),) if number else (),
                address=address,
            )
            for label, number, address in rows
        ),
        marks,
    )
