"""A thousand programs at the door at once, the slow, the huge and the lying among them."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest

from persqa.settings import load_settings
from producer.web.door import reading
from tests.support.builders import an_outcome
from tests.support.programs_by_http import SUBMIT, served, with_tokens
from tests.support.servers import valkey_server
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from producer import Client
    from tests.support.programs_by_http import Program

_HONEST, _FOLLOWERS, _SLOW, _HUGE, _LIARS = 750, 100, 60, 10, 80
_MOST_BYTES = 200 * 2**20
_CURSOR = re.compile(rb'"cursor": (\d+)')
_JSON, _LINES = "application/json", "application/x-ndjson"


class Crowd:
    """Connections to one server, none of which waits for another one."""

    def __init__(self, program: Program) -> None:
        self._root = urlsplit(program.root)
        self.connected = 0

    async def open(self, head: str, *, kind: str = _JSON) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, and send the head of a request."""
        reader, writer = await asyncio.open_connection(self._root.hostname, self._root.port)
        self.connected += 1
        method, _, rest = head.partition(" ")
        path, _, more = rest.partition("\n")
        lines = [f"{method} {self._root.path}{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {SUBMIT}"]
        lines += [f"Content-Type: {kind}", "Connection: close", *filter(None, more.split("\n")), "", ""]
        writer.write("\r\n".join(lines).encode())
        return reader, writer

    async def ask(self, head: str, body: bytes = b"", *, kind: str = _JSON) -> int:
        """Ask once; gives the status, and 0 where there is no answer."""
        reader, writer = await self.open(f"{head}\nContent-Length: {len(body)}", kind=kind)
        writer.write(body)
        return await _status(reader, writer)


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    try:
        said = await reader.readuntil(b"\r\n\r\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        said = b""
    writer.close()
    return int(said.split(b" ", 2)[1]) if said else 0


def test_a_thousand_at_once_and_none_costs_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CHUNK", 4096)
    with valkey_server() as broker:
        # A line has at most some 1.6 MB.
        limits = {"max_image_bytes": 10**6, "max_images": 1, "queue_bound": 10**6}
        where = {"database_url": f"sqlite:///{tmp_path}/persqa.db", "blob_store": f"{tmp_path}/blobs"}
        with served(with_tokens(load_settings(), broker_url=broker, **where, **limits)) as (client, program):
            program.ask("PUT", "/runs/r", {"key": "id"})
            program.add("r", [{"id": f"before-{number}", "image": "/x.png", "pad": "x" * 5000} for number in range(20)])
            for chunk in client.store.ledger.pending(client.run("r").run.id):
                client.store.results.commit([an_outcome(item) for item in chunk])
            before = psutil.Process().memory_info().rss
            asyncio.run(_all_at_once(client, Crowd(program)))
            assert psutil.Process().memory_info().rss - before < _MOST_BYTES
            run = client.run("r")
            ids = Counter(str(row.record.get("id")) for row in run.results())
            honest = {str(number) for number in range(_HONEST)}
            assert {one: number for one, number in ids.items() if one in honest} == dict.fromkeys(honest, 1)
            assert program.ask("GET", "/runs/r").status == 200


async def _all_at_once(client: Client, crowd: Crowd) -> None:
    followers = [asyncio.create_task(_follow(crowd, reads=number % 10 != 0)) for number in range(_FOLLOWERS)]
    stuck = [await _half(crowd) for _ in range(_SLOW)]
    huge = [asyncio.create_task(_endless(crowd)) for _ in range(_HUGE)]
    liars = [asyncio.create_task(_lie(crowd, number)) for number in range(_LIARS)]
    honest = [
        asyncio.create_task(crowd.ask("POST /runs/r/records", json.dumps({"id": str(one), "image": "/a.png"}).encode()))
        for one in range(_HONEST)
    ]
    assert Counter(await asyncio.gather(*honest)) == {200: _HONEST}
    assert Counter(await asyncio.gather(*huge)) == {413: _HUGE}
    assert set(await asyncio.gather(*liars)) <= {0, 400, 415}
    assert crowd.connected == _HONEST + _FOLLOWERS + _SLOW + _HUGE + _LIARS
    # Those who are stuck are still there, and have kept nobody waiting. What is left has its result, and no more comes.
    run = client.run("r")
    for chunk in client.store.ledger.pending(run.run.id):
        client.store.results.commit([an_outcome(item) for item in chunk])
    client.store.additions.close(run.run)
    wait_until(lambda: client.run("r").progress().pending == 0, describe="all have ended")
    seen = await asyncio.gather(*followers)
    submitted = client.run("r").progress().submitted
    assert Counter(seen) == {submitted: _FOLLOWERS - _FOLLOWERS // 10, 0: _FOLLOWERS // 10}
    for writer in stuck:
        writer.close()


async def _follow(crowd: Crowd, *, reads: bool) -> int:
    """Follow to the end, and count; who does not read goes after a while."""
    reader, writer = await crowd.open("GET /runs/r/results?follow=true")
    cursors = list[int]()
    if reads:
        async for line in _chunks(reader):
            cursors += map(int, _CURSOR.findall(line))
    writer.close()
    assert cursors == list(range(1, len(cursors) + 1))
    return len(cursors)


async def _chunks(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """What a chunked answer holds; each chunk has whole lines."""
    await reader.readuntil(b"\r\n\r\n")
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def _half(crowd: Crowd) -> asyncio.StreamWriter:
    """Half of a record, and then nothing."""
    _reader, writer = await crowd.open("POST /runs/r/records\nContent-Length: 100")
    writer.write(b'{"id": "slow", ')
    return writer


async def _endless(crowd: Crowd) -> int:
    """A line that never ends."""
    reader, writer = await crowd.open("POST /runs/r/records\nTransfer-Encoding: chunked", kind=_LINES)
    answer = asyncio.create_task(_status(reader, writer))
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    try:
        # As any program that sends much, it looks for an answer meanwhile.
        while not answer.done():
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    return await answer


async def _lie(crowd: Crowd, number: int) -> int:
    """Say one thing and send another."""
    match number % 4:
        case 0:
            # More than is sent: the rest never comes.
            reader, writer = await crowd.open("POST /runs/r/records\nContent-Length: 1000", kind=_LINES)
            writer.write(b'{"id": "liar", "image"')
            writer.write_eof()
            return await _status(reader, writer)
        case 1:
            reader, writer = await crowd.open("POST /runs/r/records\nTransfer-Encoding: chunked")
            writer.write(b"this is no chunk\r\n")
            return await _status(reader, writer)
        case 2:
            return await crowd.ask("POST /runs/r/records\nContent-Encoding: gzip", b"\x1f\x8b" * 1000)
        case _:
            return await crowd.ask("POST /runs/r/records", b"no JSON", kind=_JSON)
