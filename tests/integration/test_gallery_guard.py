"""Who may ask the gallery for what, over real sockets: strangers, other sites, and whoever sends nonsense."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.types import Message

from persqa.errors import SettingsError
from persqa.settings import load_settings
from producer import Client
from producer.texts import MOST_SHOWN, shown
from producer.web.guard import MOST_BODY_BYTES, Guard
from producer.web.server import MOST_CONNECTIONS, Server
from tests.support.asking import ask, status_of
from tests.support.databases import with_tables
from tests.support.servers import fresh_database
from tests.support.shown_runs import a_shown_run
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa
    from starlette.types import Receive, Scope, Send

_PICTURE = "/runs/portraits/items/10000000000/pictures/0"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(load_settings(database_url=with_tables(tmp_path / "persqa.db")), local_worker=False) as made:
        a_shown_run(made, tmp_path / "data", records=2)
        yield made


@pytest.fixture
def address(client: Client) -> Iterator[str]:
    """That of a gallery on loopback, without a slash at its end."""
    with Server(client) as server:
        yield server.address.rstrip("/")


def test_only_its_own_names_and_pages_reach_it(address: str) -> None:
    port = urlsplit(address).port
    for host in ("localhost", f"localhost:{port}", "LOCALHOST:1", f"127.0.0.1:{port}", "[::1]", f"[::1]:{port}"):
        assert ask(address, host=host).status == 200, host
    # What a page of another site makes its own name point at is asked for by that name.
    for host in ("", "evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil", "[::2]", "a]"):
        refused = ask(address, host=host)
        assert (refused.status, "open the gallery as" in refused.text) == (421, True), host
    assert status_of(address, b"GET / HTTP/1.0\r\n\r\n") == 421
    assert status_of(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n") == 400
    own = f"127.0.0.1:{port}"
    strange: list[dict[str, str]] = [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": f"http://{own}.evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": f"http://{own}", "sec_fetch_site": "cross-site"},
        {"origin": f"http://{own}", "sec_fetch_site": "same-site"},
    ]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        for headers in strange:
            assert ask(address, "/", method, host=own, **headers).status == 403, (method, headers)
        mine = ask(address, "/", method, host=own, origin=f"http://{own}", sec_fetch_site="same-origin")
        assert mine.status == 405, method


def test_every_answer_says_what_a_browser_may_do(address: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page, head = ask(address), ask(address, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(page.body)))

    def broken(*_given: object, **_more: object) -> None:
        raise ValueError("a secret of ours")

    answers = [page, head, ask(address, "/static/gallery.css"), ask(address, "/nowhere"), ask(address, _PICTURE)]
    answers += [ask(address, host="evil.example"), ask(address, method="POST"), ask(address, "/runs/%00")]
    monkeypatch.setattr(client.store.queries, "progresses", broken)
    answers.append(ask(address))
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 200, 421, 403, 404, 500]
    assert "secret" not in answers[-1].text
    assert "defect" in answers[-1].text
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in policy
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_elsewhere_than_on_loopback_a_token_opens_it(client: Client, host: str) -> None:
    with Server(client, host=host) as server:
        port, token = urlsplit(server.address).port, server.address.partition("?token=")[2]
        assert len(token) >= 16
        here = f"http://127.0.0.1:{port}"
        for path in ("/", "/?token=", f"/?token={token[:-1]}", f"/?token={token}x", "/static/gallery.js", _PICTURE):
            refused = ask(here, path, host="gallery.example")
            assert (refused.status, token in refused.text) == (403, False), path
        assert ask(here, "/", cookie=f"persqa-{port}={token[:-1]}").status == 403
        # Forwarded headers are anybody's to send.
        assert ask(here, "/", x_forwarded_for="127.0.0.1", x_forwarded_host="localhost").status == 403
        welcome = ask(here, f"/runs/portraits?status=ok&token={token}&q=a%26b", host="gallery.example")
        assert (welcome.status, welcome.headers["location"]) == (303, "/runs/portraits?status=ok&q=a%26b")
        cookie = welcome.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ask(here, f"//evil.example/?token={token}").headers["location"] == "/evil.example/"
        assert ask(here, f"/%5C%5Cevil.example/?token={token}").headers["location"].startswith("/%5C")
        kept = f"a=b; x; =; odd[]=1;;; persqa-{port}={token}; c=\x7f"
        for name in ("gallery.example", f"gallery.example:{port}", "192.0.2.7"):
            assert ask(here, _PICTURE, host=name, cookie=kept).status == 200
        # Behind a proxy that ends TLS, a page of ours is from https.
        posted = {"host": "gallery.example", "cookie": kept}
        assert ask(here, "/", "POST", origin="https://gallery.example", **posted).status == 405
        assert ask(here, "/", "POST", origin="https://evil.example", **posted).status == 403
        assert ask(here, "/", "POST", **posted).status == 403


def test_where_it_listens(client: Client) -> None:
    for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"):
        with Server(client, host=host) as server:
            assert "token" not in server.address
            assert ask(server.address).status == 200, host
    with Server(client) as server, Server(client) as other:
        port = urlsplit(server.address).port
        assert port != urlsplit(other.address).port
        assert other.elsewhere == "port 9760 is taken: "
        with pytest.raises(SettingsError, match=rf"port {port} of '127.0.0.1': .*; choose another port or host"):
            Server(client, port=port)
    for host in ("no.such.host.invalid", "192.0.2.1", "a" * 300, "-", "\0"):
        with pytest.raises(SettingsError, match="cannot listen"):
            Server(client, host=host)


def test_nonsense_is_refused_and_changes_nothing(address: str) -> None:
    host = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    long = b"x" * 15_000
    gone = (400, 404)
    for target in (
        b"/runs/" + long,
        b"/runs/%00",
        b"/runs/a%00b/items/1",
        b"/runs/portraits/items/" + b"9" * 19,
        b"/runs/portraits/items/" + b"9" * 9000,
        b"/runs/portraits/items/10000000000/pictures/" + b"9" * 18,
        b"/runs/portraits/items/10000000000/pictures/-1",
        b"/runs/portraits/items/1/pictures/0",
        b"/runs/%FF%FE%C0%80",
        b"/runs/%ED%A0%80",
        b"/runs/..%2f..%2f..%2fetc%2fpasswd",
        b"/static/../app.py",
        b"/static/..%2fapp.py",
        b"/static/%2e%2e/app.py",
        b"/static//etc/passwd",
        b"/runs/portraits/items/10000000000/pictures/0?size=../../etc",
        b"/?x=%00",
        b"http://evil.example/",
    ):
        assert status_of(address, b"GET " + target + host) in gone, target[:60]
    for request in (
        b"GET /?" + b"a=b&" * 100_000 + host,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n",
        b"GET /\xff\xfe" + host,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b: c\x00\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 100 + b"what is this\r\n\r\n",
    ):
        assert status_of(address, request) in {0, 400, 421}, request[:60]
    for odd in (b"/?" + b"a=%ff&" * 2000, b"/?%ed%a0%80=%ed%a0%80&&&=&?", b"/?" + b"&" * 15_000):
        assert status_of(address, b"GET " + odd + host) == 200, odd[:60]
    assert ask(address).status == 200


def test_many_slow_connections_keep_nobody_out(address: str) -> None:
    parts = urlsplit(address)
    with ExitStack() as stack:
        slow = list[socket.socket]()
        for _ in range(MOST_CONNECTIONS + 60):
            connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
            slow.append(stack.enter_context(closing(connection)))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        assert ask(address).status == 200

        def closed() -> int:
            return sum(_is_closed(connection) for connection in slow)

        wait_until(lambda: closed() > 60, describe="the oldest connections are closed")
        # Those that came last are still there.
        assert closed() < 70
        slow[-1].settimeout(60)
        slow[-1].sendall(b"alhost\r\n\r\n")
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 200")


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(("chunks", "is_let_through"), [(10, True), (11, False)])
def test_a_body_is_taken_up_to_a_size(chunks: int, is_let_through: bool) -> None:
    given_chunks = iter([bytes(MOST_BODY_BYTES // 10)] * chunks)

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> Message:
        body = next(given_chunks, b"")
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/", "query_string": b"", "server": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost:1"), (b"origin", b"http://localhost:1")],
    }  # fmt: skip
    asked = Guard(app, hosts={"localhost"})(scope, receive, send)
    if is_let_through:
        asyncio.run(asked)
        assert sent[0]["status"] == 204
    else:
        with pytest.raises(HTTPException) as caught:
            asyncio.run(asked)
        assert caught.value.status_code == 413


def test_it_begins_without_a_database_and_outlives_its_absence(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db")
    with Client(settings, local_worker=False) as client, Server(client) as server:
        none_yet = ask(server.address)
        assert (none_yet.status, "No run yet" in none_yet.text) == (200, True)
        a_shown_run(client, tmp_path / "data", records=2)
        assert "portraits" in ask(server.address).text
    server_url: sa.URL = request.getfixturevalue("_postgres")
    with fresh_database(server_url) as url:
        settings = load_settings(database_url=url)
        with Client(settings, local_worker=False) as client, Server(client) as server:
            a_shown_run(client, tmp_path / "data", records=2)
            assert "portraits" in ask(server.address).text
            assert ask(server.address.rstrip("/"), "/runs/%F0%9F%99%88").status == 404
            name = url.rpartition("/")[2].partition("?")[0]
            with psycopg.connect(
                server_url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
            ) as admin:
                # Whoever may do all is let in all the same, so the database is away under its name.
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                admin.execute(ended, [name])
                admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"'.encode())
                away = ask(server.address)
                assert (away.status, "does not exist" in away.text) == (200, True)
                assert ask(server.address.rstrip("/"), "/runs/portraits").status in {400, 503}
                admin.execute(f'ALTER DATABASE "{name}_away" RENAME TO "{name}"'.encode())
            assert "portraits" in ask(server.address).text


@given(st.text(st.characters(categories=None)) | st.text("a\u202e\u0301\u20dd\u2028\x00\ud800é<", max_size=60))
def test_a_text_of_strangers_is_harmless(text: str) -> None:
    seen = shown(text)
    assert not set(seen) & {"\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\u2028"}
    seen.encode()
    assert "\u0301" * 9 not in seen


def test_a_text_of_strangers_is_cut() -> None:
    assert shown("é" + "\u0301" * 100_000) == "é" + "\u0301" * 8 + "…"
    assert len(shown("x" * 10**6)) == MOST_SHOWN + 1
    assert shown("ok \u202e<b>") == "ok ⟨U+202E⟩<b>"
    assert shown("a" + "\n \n" * 1000 + "b") == "a\n⟨1999 empty lines⟩\nb"
    for fine in ("a\n\n\nb", "שלום", "नमस्ते", "👩‍👩‍👧", "Å", "한국어", "a\nb\tc", "ཧཱུྃ"):
        assert shown(fine) == fine
