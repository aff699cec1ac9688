"""Guard: who may ask, and what a browser may do with the answers.

The pages show what models and strangers wrote, beside buttons that change data. So a page of another site must reach
neither: not by a name that it points at this machine, nor by a form, nor by a script that an answer contains.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Nothing from elsewhere, no script and no style inside a page, and no page inside another one.
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_TOKEN = "token"
_LOOKING = frozenset({"GET", "HEAD"})
_YEAR_SECONDS = 31_536_000
#: Of what a page sends: an answer of a megabyte, each of its letters in nine.
MOST_BODY_BYTES = 10 * 2**20
#: What no address of ours has, and databases refuse: the number zero, and numbers of more than 63 bits.
_SENSELESS = re.compile(r"\x00|/\d{19}")
_SENSELESS_QUERY = b"%00"


class Guard:
    """Lets requests through to the pages, and sets what a browser may do with what they give."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None, token: str | None = None) -> None:
        """Guard an application.

        Args:
            app: gets what is let through.
            hosts: the names by which it may be asked for, without ports; None for any, where a token is wanted.
            token: what every request has to bring, in its address once and as a cookie from then on.
        """
        self._app = app
        self._hosts = hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = self._refusal(scope) or self._welcome(scope)
        await (answer or self._app)(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            allowed = " or ".join(sorted(self._hosts))
            return PlainTextResponse(f"this is not {host!r}: open the gallery as {allowed}\n", 421)
        if scope["method"] not in _LOOKING and not _is_own(headers, host):
            return PlainTextResponse("only the gallery's own pages may change anything\n", 403)
        if _SENSELESS.search(scope["path"]) or _SENSELESS_QUERY in scope["query_string"]:
            return PlainTextResponse("there is no such page\n", 404)
        return None

    def _welcome(self, scope: Scope) -> PlainTextResponse | RedirectResponse | None:
        """What who brings the token in the address gets, or who brings none."""
        if self._token is None:
            return None
        cookie = f"persqa-{_port(scope)}"
        if _is_same(_cookie(Headers(scope=scope), cookie), self._token):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(name == _TOKEN and _is_same(value, self._token) for name, value in query):
            said = "the address of this gallery has a token: open it as `persqa ui` has printed it\n"
            return PlainTextResponse(said, 403)
        # Without the token, so that it is not sent on with an address that is copied from the browser.
        others = urlencode([(name, value) for name, value in query if name != _TOKEN])
        # What begins with two slashes would lead to another site.
        path = "/" + scope["path"].lstrip("/")
        answer = RedirectResponse(path + (f"?{others}" if others else ""), 303)
        answer.set_cookie(cookie, self._token, max_age=_YEAR_SECONDS, httponly=True, samesite="lax")
        return answer


def _bounded(receive: Receive) -> Receive:
    """What is received, as long as it is not too much: a body is kept in memory."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BODY_BYTES:
            raise HTTPException(413, f"more than {MOST_BODY_BYTES // 2**20} MiB in one request")
        return message

    return receive_bounded


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a page of ours sends it; every browser says where a form or a script comes from."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is not None and origin.partition("://")[2] == host


def _name(host: str) -> str:
    """The host without its port."""
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0].lower()


def _port(scope: Scope) -> int:
    return scope["server"][1]


def _cookie(headers: Headers, name: str) -> str:
    return cookie_parser(headers.get("cookie", "")).get(name, "")


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())
