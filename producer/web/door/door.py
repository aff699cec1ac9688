"""Door: which request may do what, and who does it; see docs/http.md.

It knows no cookie, so no page of another site reaches it in somebody's name; and it allows no other site to ask.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from anyio import CapacityLimiter, to_thread

from persqa.errors import SettingsError
from persqa.questions import BUILT_IN_POOLS
from persqa.runs import check_run_name
from persqa.words import listed, without_flags
from producer.status import one_status
from producer.web.door.bodies import Body, Spool
from producer.web.door.calls import Call
from producer.web.door.description import description
from producer.web.door.feeds import Feeds
from producer.web.door.problems import ClientGone, Problem, problem_of
from producer.web.door.reading import single
from producer.web.door.records import Asked, Records
from producer.web.door.tokens import Right

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from persqa.runs import Run
    from producer.client import Client
    from producer.options import GivenOpenOptions
    from producer.web.door.tokens import Tokens

_T = TypeVar("_T")
#: Where all of it is.
ROOT = "/api/v1"
#: Bytes of the options of a run.
_MOST_OPTIONS = 2**20
#: What an option could tell of this machine, or make it read.
_OF_THIS_MACHINE = ("image_base",)
#: Looks at the database at once.
_THREADS = 4


class Door:
    """The HTTP interface, an ASGI application for one event loop."""

    def __init__(self, client: Client, tokens: Tokens) -> None:
        """Prepare; the client stays the caller's."""
        self._client, self._tokens = client, tokens
        self._threads = CapacityLimiter(_THREADS)
        self._feeds = Feeds(client.store)
        self._records = Records(client, self._feeds.ending)
        self._bodies = set[Body]()

    def end(self) -> None:
        """Let go of those who would stay; call it on the event loop."""
        self._feeds.end()
        for body in self._bodies:
            body.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = Call(scope, receive, send)
        self._bodies.add(call.body)
        try:
            with without_flags():
                await self._way(call)(call)
        except ClientGone:
            await call.gone()
        except Exception as error:  # noqa: BLE001 - the client gets it
            problem = problem_of(error)
            with suppress(ClientGone):
                if call.started:
                    # As a last line, since the status has been said.
                    await call.write(json.dumps(problem.body).encode() + b"\n", more=False)
                    return
                await call.answer(problem.status, problem.body, problem.headers)
        finally:
            self._bodies.discard(call.body)

    def _way(self, call: Call) -> Callable[[Call], Awaitable[None]]:
        """What does it; raises a `Problem` where nothing does, or the client may not."""
        path = str(call.scope["path"]).removeprefix(ROOT)
        for pattern, methods in _PATTERNS:
            if (found := pattern.fullmatch(path)) is None:
                continue
            if (way := methods.get(call.scope["method"])) is None:
                allowed = ", ".join(methods)
                raise Problem(405, "bad_method", f"use {allowed} here", headers={"allow": allowed})
            self._let_in(call, way[0])
            _refuse_packed(call)
            _refuse_unknown(call, _ASKED.get(way[1], ()))
            call.run = _name(found.groupdict().get("run"))
            return partial(way[1], self)
        raise Problem(404, "not_found", f"there is nothing at this address: see {ROOT}/openapi.json")

    def _let_in(self, call: Call, needed: Right) -> None:
        if needed is Right.NONE:
            return
        right = self._tokens.right_of(call.headers.get("authorization", ""))
        if right is Right.NONE:
            said = "send the header `Authorization: Bearer TOKEN`, with a token that `persqa serve` knows"
            raise Problem(401, "bad_token", said, headers={"www-authenticate": "Bearer"})
        if needed is Right.SUBMIT and right is not Right.SUBMIT:
            raise Problem(403, "read_only", "this token may read, and not submit")

    async def describe(self, call: Call) -> None:
        """Tell what there is."""
        await call.answer(200, description())

    async def open(self, call: Call) -> None:
        """Open a run."""
        with Spool(self._records.space, most=_MOST_OPTIONS, what="the options") as spool:
            await spool.fill(call.body)
            given = single(spool).value if spool.size else {}
        options = _options(cast("dict[str, object]", given))
        run = await self._in_thread(lambda: self._client.open_run(call.run, **options).run)
        await self._tell(call, run)

    async def progress(self, call: Call) -> None:
        """Tell how far a run is."""
        await self._tell(call, await self._run(call))

    async def close(self, call: Call) -> None:
        """Close a run."""
        # There is nothing in it, and what is read needs no new connection.
        await call.body.drain()
        run = await self._run(call)
        await self._tell(call, await self._in_thread(lambda: self._client.store.additions.close(run)))

    async def _run(self, call: Call) -> Run:
        return await self._in_thread(lambda: self._client.store.runs.find(call.run))

    async def _tell(self, call: Call, run: Run) -> None:
        told = (await self._in_thread(lambda: one_status(self._client.store, run))).facts()
        await call.answer(200, {**told, "open": run.open, "key": run.key_field})

    async def _in_thread(self, do: Callable[[], _T]) -> _T:
        return await to_thread.run_sync(do, limiter=self._threads)

    async def add(self, call: Call) -> None:
        """Add records to a run."""
        asked = Asked(
            run=await self._run(call),
            body=call.body,
            content_type=call.headers.get("content-type", ""),
            replacing=call.flag("replace"),
        )
        await call.answer(200, await self._records.add(asked))

    async def results(self, call: Call) -> None:
        """Give results of a run."""
        after, most = call.whole("after", 0) or 0, call.whole("limit", None)
        following = call.flag("follow")
        if following and most is not None:
            raise Problem(400, "bad_query", "limit: what is followed has no limit")
        run = await self._run(call)
        # Before the answer begins, so that it can say what is wrong.
        page = await self._feeds.page(run, after)
        gone = asyncio.ensure_future(call.gone())
        try:
            found = self._feeds.follow(run, page, gone) if following else self._feeds.rest(run, page, most)
            await _stream(call, found, gone)
        finally:
            gone.cancel()


#: What is below the root: for each method what it needs, and what does it.
WAYS: dict[str, dict[str, tuple[Right, Callable[[Door, Call], Awaitable[None]]]]] = {
    "/openapi.json": {"GET": (Right.NONE, Door.describe)},
    "/runs/{run}": {"PUT": (Right.SUBMIT, Door.open), "GET": (Right.READ, Door.progress)},
    "/runs/{run}/records": {"POST": (Right.SUBMIT, Door.add)},
    "/runs/{run}/results": {"GET": (Right.READ, Door.results)},
    "/runs/{run}/close": {"POST": (Right.SUBMIT, Door.close)},
}
#: What the query of an address may ask for.
_ASKED: dict[Callable[[Door, Call], Awaitable[None]], tuple[str, ...]] = {
    Door.add: ("replace",),
    Door.results: ("after", "limit", "follow"),
}
_PATTERNS = [(re.compile(path.replace("{run}", "(?P<run>[^/]+)")), methods) for path, methods in WAYS.items()]


async def _stream(call: Call, found: AsyncGenerator[bytes], gone: asyncio.Future[None]) -> None:
    await call.start(200, "application/x-ndjson", {"x-accel-buffering": "no"})
    async with aclosing(found):
        async for part in found:
            if gone.done():
                return
            await call.write(part)
    await call.write(b"", more=False)


def _options(given: dict[str, object]) -> GivenOpenOptions:
    """Options of a run; raises SettingsError for those that would make the server read its own files."""
    for name in _OF_THIS_MACHINE:
        if name in given:
            raise SettingsError(f"{name} names something on the server's machine, and is not taken from elsewhere")
    for name in ("key", "pool", "priority"):
        if not isinstance(given.get(name), str | None):
            raise SettingsError(f"{name} is no text")
    if (pool := given.get("pool")) is not None and pool not in BUILT_IN_POOLS:
        raise SettingsError(f"pool: {pool!r} is not {' or '.join(BUILT_IN_POOLS)}; a file is not read for others")
    return cast("GivenOpenOptions", given)


def _name(given: str | None) -> str:
    """The name of a run in an address; raises a `Problem` for what cannot be one."""
    if given is None:
        return ""
    try:
        return check_run_name(given)
    except SettingsError as error:
        raise Problem(400, "bad_name", str(error)) from None


def _refuse_unknown(call: Call, names: Sequence[str]) -> None:
    for name in call.query:
        if name not in names:
            known = f"there is {listed(names, 'and')}" if names else "there is none here"
            raise Problem(400, "bad_query", f"{name!r}: no such parameter of a query; {known}")


def _refuse_packed(call: Call) -> None:
    packed = call.headers.get("content-encoding", "identity")
    if packed.strip().lower() not in ("identity", ""):
        raise Problem(415, "packed", f"the body is packed ({packed}): send it as it is")
