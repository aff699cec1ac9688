"""Pictures of items: /runs/{run}/items/{item}/pictures/{place}?size=thumb, place from 0."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from persqa.choices import parse_choice
from persqa.errors import Infrastructure, Rejected
from persqa.items import ItemId
from producer.web.pictures import SIDES, Picture, Place
from producer.web.texts import shown

if TYPE_CHECKING:
    from starlette.requests import Request

    from persqa.runs import Run
    from producer.web.site import Site

#: A file may change, though hardly while somebody looks.
_KEEP = "private, max-age=600"


async def picture(request: Request) -> Response:
    """One picture of an item; where there is none, the sentence that says why, which the page shows in its place."""
    site: Site = request.app.state.site
    size = parse_choice(request.query_params.get("size", "thumb"), tuple(SIDES), name="size")
    item, number = request.path_params["item"], request.path_params["place"]
    place = Place(request.path_params["run"], item, number, size)
    made = site.pictures.known(place)
    if made is None:
        run, reference = await run_sync(_look_up, site, place, abandon_on_cancel=True)
        get = partial(site.pictures.get, place, run, reference)
        try:
            # Whoever ends the gallery does not wait for a web server.
            made = await run_sync(get, abandon_on_cancel=True, limiter=site.pictures.threads(reference))
        except (Rejected, Infrastructure) as error:
            status = 404 if isinstance(error, Rejected) else 503
            said = shown(str(error)).encode(errors="replace")
            return Response(said, status, {"cache-control": "no-store"}, "text/plain; charset=utf-8")
    return _sent(request, made)


def _look_up(site: Site, place: Place) -> tuple[Run, str]:
    run = site.client.run(place.run).run
    references = site.client.store.ledger.images(run.id, ItemId(place.item))
    if place.place >= len(references):
        raise HTTPException(404, f"the item has {len(references)} pictures, and none at place {place.place}")
    return run, references[place.place]


def _sent(request: Request, made: Picture) -> Response:
    headers = {"cache-control": _KEEP, "etag": f'"{made.name}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(made.data, media_type="image/jpeg", headers=headers)


routes = [Route("/runs/{run}/items/{item:int}/pictures/{place:int}", picture)]
