"""Views in addresses: reading them, and the addresses of what is beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from persqa.items import ItemId
from producer.web.catalog import Facet, Order, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

#: Names in addresses that say where in a view one is, or what to do with it.
BESIDE = ("at", "focus", "place", "unreviewed", "after", "inside", "total", "ended", "decision", "token")
#: Tiles of one page.
PAGE_SIZE = 60
#: The facets by their names for people, in the order of a page.
FACETS = {
    Facet.REVIEW: "Review",
    Facet.STATUS: "Status",
    Facet.KIND: "Broke the rule by",
    Facet.FLAG: "Flag",
    Facet.REASON: "Reason",
    Facet.TOPIC: "Topic",
    Facet.QUESTION: "Question",
    Facet.RUNG: "Rung",
    Facet.FORCED: "Tag forced",
    Facet.TAG: "Tag",
    Facet.MODEL: "Model",
    Facet.WORKER: "Worker",
}
#: The orders by their names for people.
ORDERS = {
    Order.INPUT: "as in the input",
    Order.NEWEST: "newest first",
    Order.LONGEST: "longest answer first",
    Order.SHORTEST: "shortest answer first",
    Order.SLOWEST: "slowest first",
    Order.FASTEST: "fastest first",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One thing that a view chooses by.

    Attributes:
        query: the address without it.
    """

    name: str
    value: str
    is_left_out: bool
    query: str


def view_of(request: Request) -> View:
    """The view that the address says.

    Raises:
        SettingsError: the address says something unknown.
    """
    return View.parse(request.query_params.multi_items(), beside=BESIDE)


def parsed_view(query: Iterable[tuple[str, str]]) -> View:
    """The same of the fields of a form."""
    return View.parse(query, beside=BESIDE)


def item_in(request: Request, name: str) -> ItemId | None:
    """The item that the address names so; None where it names none.

    Raises:
        SettingsError: it is no number.
    """
    number = number_in(request, name)
    return None if number is None else ItemId(number)


def number_in(request: Request, name: str) -> int | None:
    """The number that the address gives so; None where it gives none.

    Raises:
        SettingsError: it is no number.
    """
    text = request.query_params.get(name, "").replace(",", "").strip()
    if not text:
        return None
    # No number of a run has more digits.
    if not text.isdecimal() or len(text) > 19:
        raise SettingsError(f"{text[:40]!r} is no number: write one, such as 120")
    return int(text)


def inside(request: Request) -> str:
    """Whether to go to a place in the grid or to an item's own page."""
    return parse_choice(request.query_params.get("inside", "grid"), ("grid", "item"), name="place")


def chips(view: View) -> list[Chip]:
    """What the view chooses by, each with the address that no longer does."""
    found = [
        Chip(
            name=FACETS[facet],
            value=value,
            is_left_out=left_out,
            query=view.toggled(facet, value, leave_out=left_out).query(),
        )
        for left_out, choices in ((False, view.keep), (True, view.leave_out))
        for facet, values in choices.items()
        for value in values
    ]
    for span, (low, high) in view.spans.items():
        query = view.without_span(span).query()
        found.append(Chip(name=span.words, value=span.said(low, high), is_left_out=False, query=query))
    if view.search:
        found.append(Chip(name="Text", value=view.search, is_left_out=False, query=view.query(search="")))
    return found


def address(run: str, query: str, item: int | None = None) -> str:
    """The address of a view of a run, or of an item in it."""
    path = f"/runs/{run}" if item is None else f"/runs/{run}/items/{item}"
    return f"{path}?{query}" if query else path
