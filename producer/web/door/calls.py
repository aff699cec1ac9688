"""Calls: one request and its answer, with an end to the patience with who does not read it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.datastructures import Headers, QueryParams

from producer.web.door.bodies import SILENCE_SECONDS, Body
from producer.web.door.problems import ClientGone, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope, Send

#: Where the server says how a connection is cut: in `extensions` of the scope.
ABORT = "persqa.abort"
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        run: the name in its address.
        started: whether the answer has begun, so that its status cannot change.
    """

    scope: Scope
    receive: Receive
    send: Send
    run: str = ""
    started: bool = False
    headers: Headers = field(init=False)
    body: Body = field(init=False)

    def __post_init__(self) -> None:
        """Read its head."""
        self.headers = Headers(scope=self.scope)
        self.body = Body(self.receive)
        # Who asks first whether the body is wanted has not sent it.
        self.body.begun = "expect" not in self.headers

    @property
    def query(self) -> QueryParams:
        """What its address asks for."""
        return QueryParams(self.scope["query_string"])

    def whole(self, name: str, usual: int | None) -> int | None:
        """A whole number of the query; raises a `Problem` for what is none."""
        text = self.query.get(name)
        if text is None:
            return usual
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise Problem(400, "bad_query", f"{name}: {text!r} is no whole number from 0")
        return int(text)

    def flag(self, name: str) -> bool:
        """Whether the query says that something is true; raises a `Problem` for what is neither true nor false."""
        text = self.query.get(name, "false")
        if text not in ("true", "false"):
            raise Problem(400, "bad_query", f"{name}: {text!r} is neither true nor false")
        return text == "true"

    async def answer(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        text = json.dumps(value).encode() + b"\n"
        await self.start(status, "application/json", {"content-length": str(len(text)), **(headers or {})})
        await self.write(text)
        # Who is still sending reads the answer only if the connection is there until then.
        with suppress(Problem):
            await self.body.drain()
        await self.write(b"", more=False)

    async def start(self, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Begin an answer."""
        # What is still on its way of a body that nobody reads would be taken for another request.
        closing = {} if self.body.ended or self.scope["method"] == "GET" else {"connection": "close"}
        own = {"content-type": content_type, **closing, **(headers or {})}
        encoded = [*((name.encode(), value.encode()) for name, value in own.items()), *_ALWAYS]
        self.started = True
        await self._say({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the answer; raises `ClientGone` where nobody takes it."""
        await self._say({"type": "http.response.body", "body": data, "more_body": more})

    async def _say(self, message: Message) -> None:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                await self.send(message)
        except TimeoutError:
            self._abort()
            raise ClientGone from None

    def _abort(self) -> None:
        abort = cast("Callable[[], None] | None", self.scope.get("extensions", {}).get(ABORT))
        if abort is not None:
            abort()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
