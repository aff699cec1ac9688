"""The application: all routes behind the guard, and errors as pages for people."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from persqa.errors import Infrastructure, NoDatabase, RunNotFound, RunStopped, UserError
from producer.web.door.door import ROOT
from producer.web.guard import Guard
from producer.web.pages import routes

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from producer.web.site import Site

_HOUR_SECONDS = 3600


def application(
    site: Site, *, hosts: Collection[str] | None, token: str | None, door: ASGIApp | None = None
) -> ASGIApp:
    """The gallery as an ASGI application; `hosts` and `token` as in `Guard`; `door` gets what is below its root."""

    def failed(request: Request, error: Exception) -> Response:
        status, heading = _told(error)
        said = _said(error)
        if request.headers.get("hx-request"):
            return site.page(request, "error_part.html", status=status, heading=heading, said=said)
        passes = isinstance(error, (NoDatabase, Infrastructure))
        return site.page(request, "error.html", status=status, heading=heading, said=said, passes=passes)

    app = Starlette(
        routes=[*routes(), Mount("/static", _Static(directory=Path(__file__).parent / "static"))],
        # A defect is on the terminal, too, with its traceback.
        exception_handlers=dict.fromkeys((UserError, Infrastructure, HTTPException, Exception), failed),
    )
    app.state.site = site
    # Around everything, as pages about defects are made outside of what Starlette calls middleware.
    guarded = Guard(app, hosts=hosts, token=token)
    return guarded if door is None else _beside(guarded, door)


def _beside(pages: ASGIApp, door: ASGIApp) -> ASGIApp:
    """Pages, and an interface for programs: each has its own rule about who may ask."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        is_for_programs = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{ROOT}/")
        await (door if is_for_programs else pages)(scope, receive, send)

    return choose


class _Static(StaticFiles):
    """Our own files; their addresses change with them."""

    def file_response(self, *args: object, **more: object) -> Response:
        response = super().file_response(*args, **more)  # pyrefly: ignore[bad-argument-type]
        response.headers["cache-control"] = f"max-age={_HOUR_SECONDS}"
        return response


def _told(error: Exception) -> tuple[int, str]:
    match error:
        case HTTPException(status_code=404):
            return 404, "There is no such page"
        case HTTPException():
            return error.status_code, HTTPStatus(error.status_code).phrase
        case RunNotFound():
            return 404, "There is no such run"
        case NoDatabase():
            return 404, "There is no database yet"
        case RunStopped():
            return 409, "The run is stopped"
        case Infrastructure():
            return 503, "The database or the broker does not answer"
        case UserError():
            return 400, "That cannot be done"
        case _:
            return 500, "The gallery has a defect"


def _said(error: Exception) -> str:
    match error:
        case HTTPException():
            return error.detail
        case UserError() | Infrastructure():
            return str(error)
        case _:
            return "Where `persqa ui` runs, the terminal says more. The data is as it was."
