"""One item: its pictures, its record, every generation, and what people say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from producer.web.site import Site


def item(request: Request) -> Response:
    """The page of one item."""
    site: Site = request.app.state.site
    run = site.run(request)
    (row,) = run.results(item=request.path_params["item"])
    return site.page(request, "item.html", run=run, tab="gallery", row=row)


routes = [Route("/runs/{run}/items/{item:int}", item)]
