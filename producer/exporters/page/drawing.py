"""Drawing: a figure as markup: bars or columns, and the same as a table; lengths are in percent of the width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.charts import Bars, Columns
from producer.markup import Markup, element, joined
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producer.charts import Bar, Figure, Table, Tick

_LABEL = 200
_LONG = 600
#: Of an upright drawing, in pixels: its foot, and what a hundredth of its axis takes.
_FOOT, _HUNDREDTH = 160, 1.5


def drawn(figures: Iterable[Figure]) -> Markup:
    """All figures of a page."""
    return element("div", _HATCH, *map(_figure, figures), class_="figures")


_HATCH = element(
    "svg",
    element(
        "defs",
        element(
            "pattern",
            element("line", x1=0, x2=0, y1=0, y2=6, class_="hatch-line"),
            id="hatch", width=6, height=6, patternUnits="userSpaceOnUse", patternTransform="rotate(45)",
        ),
    ),
    width=0, height=0, class_="patterns", aria_hidden="true",
)  # fmt: skip


def _figure(figure: Figure) -> Markup:
    title = f"{figure.key}-title"
    drawing = figure.drawing
    return element(
        "section",
        element("h2", figure.title, id=title),
        element("p", shown(figure.says, _LONG), class_="words") if figure.says else None,
        _bars(drawing) if isinstance(drawing, Bars) else _columns(drawing),
        element("p", figure.unit, class_="unit soft") if figure.unit else None,
        element("p", figure.note, class_="soft") if figure.note else None,
        _table(figure.table, figure.title),
        class_="figure",
        aria_labelledby=title,
    )


def _bars(drawing: Bars) -> Markup:
    rows = [element("li", *_row(bar, drawing.axis), class_="bar-row") for bar in drawing.bars]
    marks = [_mark(tick, 13) for tick in drawing.axis]
    foot = element("svg", *marks, width="100%", height=18)
    return joined([
        element("ul", *rows, class_="bars"),
        element("div", element("span"), foot, element("span"), class_="bar-row bar-axis", aria_hidden="true"),
    ])  # fmt: skip


def _row(bar: Bar, axis: Iterable[Tick]) -> list[Markup]:
    inside = [
        element("line", x1=_percent(tick.place), x2=_percent(tick.place), y1=0, y2="100%", class_="rule")
        for tick in axis
    ]
    for part in bar.parts:
        where = {"x": _percent(part.start), "y": 3, "width": _percent(part.width), "height": 14}
        said = element("title", shown(part.label, _LONG))
        inside.append(element("rect", said, **where, class_=f"part {part.look}"))
        if part.look == "forced":
            inside.append(element("rect", **where, fill="url(#hatch)"))
    if bar.between is not None:
        low, high = map(_percent, bar.between)
        ends = [element("line", x1=end, x2=end, y1=6.5, y2=13.5) for end in (low, high)]
        inside.append(element("g", element("line", x1=low, x2=high, y1=10, y2=10), *ends, class_="whisker"))
    value = element(
        "span", element("strong", bar.value), " ", element("span", bar.more, class_="soft"), class_="bar-value"
    )
    return [
        element("span", shown(bar.label, _LABEL), class_="bar-label words"),
        element("svg", *inside, width="100%", height=20, aria_hidden="true"),
        value,
    ]


def _columns(drawing: Columns) -> Markup:
    side = [
        element("text", tick.text, x=50, y=_high(tick.place), dy=4, text_anchor="end", class_="mark")
        for tick in drawing.up
    ]
    inside = [
        element("line", x1=0, x2="100%", y1=_high(tick.place), y2=_high(tick.place), class_="rule")
        for tick in drawing.up
    ]
    for column in drawing.columns:
        height = f"{_HUNDREDTH * column.height:.2f}"
        inside.append(
            element(
                "rect", element("title", column.label), x=_percent(column.start), y=_high(column.height),
                width=_percent(column.width), height=height, class_="part plain column",
            )
        )  # fmt: skip
    inside += [_mark(tick, 177) for tick in drawing.across]
    return element(
        "div",
        element("svg", *side, width=56, height=180),
        element("svg", *inside, width="100%", height=180),
        class_="columns",
        aria_hidden="true",
    )


def _mark(tick: Tick, y: int) -> Markup:
    anchor = "start" if tick.place < 4 else "end" if tick.place > 96 else "middle"
    return element("text", tick.text, x=_percent(tick.place), y=y, text_anchor=anchor, class_="mark")


def _table(found: Table, title: str) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in found.heads))
    rows: list[Markup] = []
    for first, *others in found.rows:
        cells = [element("td", shown(cell.text, _LABEL), class_="number") for cell in others]
        rows.append(element("tr", element("th", shown(first.text, _LABEL), scope="row", class_="words"), *cells))
    table = element("table", element("thead", head), element("tbody", *rows))
    # Who has no mouse scrolls it with the keys.
    scroll = element("div", table, class_="scroll", tabindex=0, role="region", aria_label=f"{title}, as a table")
    return element("details", element("summary", "As a table"), scroll)


def _percent(value: float) -> str:
    return f"{value:.3f}%"


def _high(value: float) -> str:
    return f"{_FOOT - _HUNDREDTH * value:.2f}"
