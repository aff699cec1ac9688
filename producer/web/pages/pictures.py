"""Pictures of items: /runs/{run}/items/{item}/pictures/{place}?size=thumb, place from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from persqa.choices import parse_choice
from persqa.errors import BlobsUnavailable, Rejected
from persqa.items import ItemId
from producer.pictures import SIDES

if TYPE_CHECKING:
    from starlette.requests import Request

    from producer.web.site import Site

#: An item keeps its images, so a browser need not ask again.
_KEEP = "private, max-age=86400, immutable"


def picture(request: Request) -> Response:
    """One picture of an item."""
    site: Site = request.app.state.site
    size = parse_choice(request.query_params.get("size", "thumb"), tuple(SIDES), name="size")
    run = site.client.run(request.path_params["run"]).run
    references = site.client.store.ledger.images(run.id, ItemId(request.path_params["item"]))
    place = request.path_params["place"]
    if not 0 <= place < len(references):
        raise HTTPException(404, f"the item has {len(references)} pictures, and none at place {place}")
    try:
        made = site.pictures.get(run, references[place], size)
    except (Rejected, BlobsUnavailable) as error:
        # The page shows its sentence in place of the picture.
        return Response(str(error).encode(errors="replace"), 404, media_type="text/plain; charset=utf-8")
    return Response(made.data, media_type=made.kind, headers={"cache-control": _KEEP})


routes = [Route("/runs/{run}/items/{item:int}/pictures/{place:int}", picture)]
