"""What went wrong in a run: its items that are not ok, in groups, with examples and what to do about each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from persqa.results import Status
from producer.advice import advice, is_worth_asking
from producer.web.catalog import Facet, View
from producer.web.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from persqa.close_ups import Tile
    from producer.web.catalog import Catalog
    from producer.web.site import Site

_EXAMPLES = 6
#: How long until the page looks again, in seconds: while the run goes on, and while it does not.
_OFTEN, _SELDOM = 4, 15
#: What each status means, and what its groups are.
MEANINGS: Final = {
    Status.NONCOMPLIANT: "The model answered, and broke the tag rule each time; grouped by how its last answer did.",
    Status.INVALID: "These cannot be asked as they are: something is wrong with the record or its image.",
    Status.DEAD: "These were given up, so that they do not keep the others from being answered.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that ended in the same way.

    Attributes:
        reason: why, in one word; empty where none was stored.
        share: of all items of the run, in words.
        query: the address of the view that shows exactly these.
        examples: the first of them.
        said: the sentence of one of them, or what the model said.
        advice: what to do about them.
        worth_asking: whether asking them again may end differently.
    """

    status: Status
    reason: str
    items: int
    share: str
    query: str
    examples: Sequence[Tile]
    said: str
    advice: str
    worth_asking: bool


def failures(request: Request) -> Response:
    """The groups, the largest first; a browser asks for the list alone again and again."""
    site: Site = request.app.state.site
    run = site.run(request)
    catalog = site.catalogs.of(run.run)
    progress = run.progress()
    ended = {status: progress.ended[status] for status in MEANINGS}
    found = _found(catalog)
    whole = max(progress.submitted, 1)
    examples = {view.query(): catalog.page(view, size=_EXAMPLES).items for _status, _reason, _items, view in found}
    tiles = {
        tile.item_id: tile
        for tile in site.client.store.close_ups.tiles(run.run.id, [one for some in examples.values() for one in some])
    }
    groups = [
        _group(status, reason, items, whole, view, [tiles[one] for one in examples[view.query()] if one in tiles])
        for status, reason, items, view in found
    ]
    return site.page(
        request,
        "failures_now.html" if request.headers.get("hx-request") else "failures.html",
        run=run,
        tab="failures",
        sections=[(status, ended[status], percent(ended[status] / whole)) for status in MEANINGS if ended[status]],
        meanings=MEANINGS,
        groups=groups,
        catalog=catalog,
        progress=progress,
        may_change=site.may_review,
        every=_OFTEN if progress.pending or not catalog.is_complete else _SELDOM,
    )


def _found(catalog: Catalog) -> list[tuple[Status, str, int, View]]:
    """Status, reason, number and view of each group, the largest first."""
    groups = [
        (status, reason, items, View(keep={Facet.STATUS: (str(status),), Facet.REASON: (reason,)}))
        for status in MEANINGS
        for reason, items in _reasons(catalog, status)
    ]
    return sorted(groups, key=lambda group: -group[2])


def _reasons(catalog: Catalog, status: Status) -> Iterator[tuple[str, int]]:
    """How many items of a status have each reason; a facet shows only the most frequent ones at a time."""
    view = View(keep={Facet.STATUS: (str(status),)})
    seen: list[str] = []
    while True:
        counts = next(one for one in catalog.facets(view) if one.facet is Facet.REASON)
        fresh = [one for one in counts.values if one.items and not one.is_left_out]
        yield from ((one.value, one.items) for one in fresh)
        seen += [one.value for one in fresh]
        if not fresh or not counts.others:
            return
        view = View(keep=view.keep, leave_out={Facet.REASON: tuple(seen)})


def _group(status: Status, reason: str, items: int, whole: int, view: View, examples: list[Tile]) -> Group:
    said = next((text for tile in examples if (text := _said(tile))), "")
    return Group(
        status=status,
        reason=reason,
        items=items,
        share=percent(items / whole),
        query=view.query(),
        examples=examples,
        said=said,
        advice=advice(reason),
        worth_asking=is_worth_asking(status, reason),
    )


def _said(tile: Tile) -> str:
    """The sentence about an item, or what the model said."""
    return tile.detail or tile.answer or ""


routes = [Route("/runs/{run}/failures", failures)]
