"""Figures of a run, or of a part of it: /runs/{run}/figures?view."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import Route

from producer.web.catalog import Facet, View
from producer.web.figures.drawn import Drawn
from producer.web.pages.views import chips

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from producer.web.catalog import Catalog
    from producer.web.site import Site

#: What one looks at a part by, and how it is called.
_PARTS = {
    Facet.TOPIC: "Question",
    Facet.MODEL: "Model",
    Facet.KIND: "Kind of violation",
    Facet.STATUS: "Status",
    Facet.REVIEW: "Review",
    Facet.TAG: "Tag",
    Facet.WORKER: "Worker",
}


class _Value(NamedTuple):
    text: str
    address: str
    items: int = 0
    is_kept: bool = False


class _Part(NamedTuple):
    title: str
    values: list[_Value]


def figures(request: Request) -> Response:
    """All figures of the view."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = View.parse(request.query_params.multi_items())
    catalog = site.catalogs.of(run.run)
    # While a search looks on, figures are of what it has found so far.
    done, whole = catalog.searched(view) if catalog.is_complete else (catalog.loaded, catalog.whole)
    drawn = Drawn(run.run, catalog, view, site.client.store.comparing.answers)
    return site.page(
        request,
        "figures.html",
        run=run,
        tab="figures",
        view=view,
        query=view.query(),
        drawn=drawn,
        figures=drawn.figures(),
        chips=chips(view),
        parts=_parts(run.name, catalog, view),
        is_complete=catalog.is_complete and done == whole,
        loaded=done,
        whole=whole,
        trouble=catalog.trouble,
    )


def _address(run: str, view: View) -> str:
    query = view.query()
    return f"/runs/{run}/figures" + (f"?{query}" if query else "")


def _parts(run: str, catalog: Catalog, view: View) -> list[_Part]:
    """The facets by which one looks at a part; one with a single value parts nothing."""
    counts = {found.facet: found for found in catalog.facets(view)}
    return [
        _Part(
            title,
            [
                _Value(one.value, _address(run, view.toggled(facet, one.value)), one.items, one.is_kept)
                for one in counts[facet].values
            ],
        )
        for facet, title in _PARTS.items()
        if len(counts[facet].values) > 1
    ]


routes = [Route("/runs/{run}/figures", figures)]
