"""The gallery of a run: a grid of what its view shows, and the facets to choose by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from producer.web.site import Site


def gallery(request: Request) -> Response:
    """One page of the grid."""
    site: Site = request.app.state.site
    return site.page(request, "gallery.html", run=site.run(request), tab="gallery")


routes = [Route("/runs/{run}", gallery)]
