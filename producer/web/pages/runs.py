"""The first page: all runs, and how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from producer.web.site import Site


def runs(request: Request) -> Response:
    """All runs, the newest first."""
    site: Site = request.app.state.site
    return site.page(request, "runs.html", runs=site.client.runs())


routes = [Route("/", runs)]
