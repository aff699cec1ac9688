"""The pages: each module reads an address, asks the client and the catalog, and fills a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.web.pages import compare, figures, gallery, item, pictures, reviews, runs

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def routes() -> list[BaseRoute]:
    """The addresses of all pages."""
    return [
        *(*runs.routes, *gallery.routes, *item.routes, *reviews.routes, *pictures.routes),
        *(*figures.routes, *compare.routes),
    ]
