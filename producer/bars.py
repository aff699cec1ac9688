"""Bars: how many items have which status, as a picture of shares; it needs no styles of the page around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.pairs import PENDING
from persqa.results import Status
from producer.markup import Markup, element, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persqa.progress import Progress

#: To be told apart on light and on dark ground.
_COLOURS = {
    Status.OK: "#2e9e5b",
    Status.NONCOMPLIANT: "#d79a1b",
    Status.INVALID: "#cf4b3f",
    Status.DEAD: "#8a3a6b",
    PENDING: "#a9b0bc",
}
_WIDTH = 1000


def by_status(progress: Progress) -> dict[str, int]:
    """The counts by status, `pending` as the last one."""
    return {**progress.ended, PENDING: progress.pending}


def bar(counts: Mapping[str, int], *, height: int = 10) -> Markup:
    """A bar as wide as there is room, so many pixels high, with a part for each status that has items."""
    whole = sum(counts.values())
    parts, done = list[Markup](), 0
    for status, number in counts.items():
        if number:
            # Rounded at both ends, so that no gap is left between two parts.
            left, right = round(_WIDTH * done / whole, 2), round(_WIDTH * (done + number) / whole, 2)
            parts.append(_part(f"{status}: {number:,}", left, max(right - left, 1), height, _COLOURS.get(status, "")))
            done += number
    said = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number) or "no items"
    return element(
        "svg", *parts, class_="bar", role="img", aria_label=said, width="100%", height=height,
        viewBox=f"0 0 {_WIDTH} {height}", preserveAspectRatio="none",
    )  # fmt: skip


def swatch(status: str) -> Markup:
    """A square in the colour of a status."""
    square = element("rect", width=10, height=10, rx=2, fill=_COLOURS.get(status, ""))
    return element("svg", square, width=10, height=10, aria_hidden="true")


def _part(title: str, left: float, width: float, height: int, colour: str) -> Markup:
    shape = {"x": left, "width": width, "height": height, "fill": colour}
    return element("rect", joined([element("title", title)]), **shape)
