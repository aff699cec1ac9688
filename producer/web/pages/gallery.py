"""The gallery of a run: a grid of what its view shows, and the facets to choose by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from persqa.errors import UserError
from producer.web.catalog import Facet, View
from producer.web.pages.tiles import shown_tiles
from producer.web.pages.views import (
    FACETS,
    ORDERS,
    PAGE_SIZE,
    address,
    chips,
    inside,
    item_in,
    number_in,
    view_of,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from persqa.items import ItemId
    from producer.web.catalog import Catalog, FacetCounts
    from producer.web.site import Site

#: The template of each part of the page that scripts put in the place of the old one.
_PARTS = {"gallery": "gallery_part.html", "tiles": "tiles.html"}


def gallery(request: Request) -> Response:
    """One page of the grid, or a part of it."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = view_of(request)
    catalog = site.catalogs.of(run.run)
    focus = item_in(request, "focus")
    at = item_in(request, "at") or _page_of(catalog, view, focus)
    if view.search:
        # Waits for what is found.
        catalog.page(view, size=1)
    # Asked before the page is made: while it is, the rest may come.
    loaded, is_complete, (searched, whole) = catalog.loaded, catalog.is_complete, catalog.searched(view)
    page = catalog.page(view, at=at, size=PAGE_SIZE)
    part = _PARTS.get(request.headers.get("hx-target", ""))
    progress = run.progress()
    return site.page(
        request,
        part or "gallery.html",
        run=run,
        tab="gallery",
        view=view,
        catalog=catalog,
        page=page,
        focus=focus,
        tiles=shown_tiles(site, run, page.items),
        last=None if page.next is None else catalog.last_page(view, PAGE_SIZE),
        # Paging does not change them.
        facets=[] if part == "tiles.html" else _facets(catalog.facets(view)),
        chips=chips(view),
        orders=ORDERS,
        names=FACETS,
        is_same=_is_same,
        here=address(run.name, view.query(at=at)),
        address=address,
        goes_on=progress.goes_on,
        ended=sum(progress.ended.values()),
        progress=progress,
        loaded=loaded,
        is_complete=is_complete,
        is_searched=searched >= whole,
        searched=searched,
        may_review=site.may_review,
    )


def _page_of(catalog: Catalog, view: View, focus: ItemId | None) -> ItemId | None:
    """The first item of the page that shows this one."""
    if focus is None:
        return None
    rank = catalog.rank(view, focus)
    return catalog.at_place(view, rank - rank % PAGE_SIZE)


def _facets(counts: list[FacetCounts]) -> list[FacetCounts]:
    """Those that tell something, in the order of the page."""
    by_name = {count.facet: count for count in counts}
    return [by_name[facet] for facet in FACETS if facet in by_name and by_name[facet].values]


def _is_same(counts: FacetCounts, view: View) -> bool:
    """Whether there is nothing to choose: all that is shown has one value, or none."""
    chosen = counts.facet in view.keep or counts.facet in view.leave_out
    return len(counts.values) == 1 and not counts.others and not chosen and counts.facet is not Facet.REVIEW


def news(request: Request) -> Response:
    """How many answers have come since the page was made, which stays as it is until its person wants to see them."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = view_of(request)
    progress = run.progress()
    ended = sum(progress.ended.values())
    if view.is_whole:
        more = ended - (number_in(request, "ended") or 0)
    else:
        more = site.catalogs.of(run.run).page(view, at=None, size=1).total - (number_in(request, "total") or 0)
    if more <= 0 and not progress.goes_on:
        # Tells htmx to ask no more.
        return Response(status_code=286)
    return site.page(request, "gallery_news.html", run=run, view=view, more=more, at=item_in(request, "at"))


def find(request: Request) -> Response:
    """Go to a place of the view, or to its first item that nobody has reviewed."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = view_of(request)
    catalog = site.catalogs.of(run.run)
    place = number_in(request, "place")
    if place is None:
        found = _unreviewed(catalog, view, item_in(request, "after"))
    else:
        total = catalog.page(view, at=None, size=1).total
        found = catalog.at_place(view, min(max(place, 1), max(total, 1)) - 1)
    if found is None:
        said = "nothing is shown" if place is not None else "everything that is shown is reviewed"
        if request.headers.get("hx-request"):
            return HTMLResponse(f"{said}\n", headers={"cache-control": "no-store"})
        raise UserError(f"{said}: {address(run.name, view.query())}")
    query = view.query(focus=found) if inside(request) == "grid" else view.query()
    to = address(run.name, query, None if inside(request) == "grid" else found)
    if request.headers.get("hx-request"):
        return Response(headers={"x-go": to, "cache-control": "no-store"})
    return RedirectResponse(to, 303)


def _unreviewed(catalog: Catalog, view: View, after: ItemId | None) -> ItemId | None:
    """The first one behind an item, or else the first of all."""
    found = catalog.first_unreviewed(view, after=after)
    return found if found is not None or after is None else catalog.first_unreviewed(view)


routes = [Route("/runs/{run}", gallery), Route("/runs/{run}/news", news), Route("/runs/{run}/find", find)]
