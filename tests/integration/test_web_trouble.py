"""Web servers that send too much, take too long or fail."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from urllib3.util import connection as urllib3_connection

from persqa.errors import Infrastructure
from persqa.images import patience, read_image
from persqa.reasons import Reason
from tests.support.web import Page, WebServer, drip, page, redirect
from tests.support.web_images import OPEN, PICTURE, read, refusal

BOMB = gzip.compress(bytes(2**23))[:9000]


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        server.pages["/a.png"] = page(PICTURE)
        yield server


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)


class TestSizes:
    def test_what_says_that_it_is_too_large_is_not_read(self, server: WebServer) -> None:
        server.pages["/a"] = page(PICTURE, Content_Length="10001")
        assert refusal(f"{server.url}/a").reason is Reason.TOO_MANY_BYTES

    def test_the_largest_allowed(self, server: WebServer) -> None:
        server.pages["/a"] = page(bytes(10_000))
        assert len(read(f"{server.url}/a")) == 10_000

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
        ],
    )
    @pytest.mark.timeout(20)
    def test_what_never_ends_is_cut(self, server: WebServer, head: bytes) -> None:
        sent = 0

        def endless(send: Callable[[bytes], None], _closing: threading.Event) -> None:
            nonlocal sent
            send(head)
            while sent < 2**27:
                send(bytes(2**16))
                sent += 2**16

        server.pages["/a"] = endless
        assert refusal(f"{server.url}/a").reason is Reason.TOO_MANY_BYTES
        assert sent < 2**26

    @pytest.mark.parametrize("length", ["5000", "4097"])
    def test_less_than_was_announced_is_asked_for_again(self, server: WebServer, length: str) -> None:
        server.pages["/a"] = page(PICTURE, Content_Length=length)
        error = refusal(f"{server.url}/a", seconds=0.5)
        assert error.reason is Reason.FETCH_FAILED
        assert len(server.asked) > 1

    def test_more_than_was_announced_is_not_read(self, server: WebServer) -> None:
        server.pages["/a"] = page(PICTURE, Content_Length="100")
        assert read(f"{server.url}/a") == PICTURE[:100]

    def test_two_lengths_are_none(self, server: WebServer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
        server.pages["/a"] = head + PICTURE
        assert refusal(f"{server.url}/a", seconds=0.5).reason is Reason.FETCH_FAILED

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip", "aws-chunked,GZIP", "zstd", "x-gzip"])
    def test_a_bomb_is_not_unpacked(self, server: WebServer, coding: str) -> None:
        server.pages["/a"] = page(BOMB, Content_Encoding=coding)
        error = refusal(f"{server.url}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert str(error).endswith(f"the server compressed it ({coding.lower()}), though asked not to")
        assert len(server.asked) == 1

    def test_nothing_is_no_picture(self, server: WebServer) -> None:
        server.pages["/a"] = page(b"")
        assert refusal(f"{server.url}/a").reason is Reason.EMPTY_FILE

    def test_an_endless_head_is_cut(self, server: WebServer) -> None:
        server.pages["/a"] = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000
        server.pages["/b"] = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"
        for path in ("/a", "/b"):
            assert refusal(f"{server.url}{path}", seconds=1).reason is Reason.FETCH_FAILED


class TestTime:
    @pytest.mark.timeout(20)
    @pytest.mark.parametrize(
        "slow",
        [
            drip(first=b"", each=b""),
            drip(first=b"HTTP/1.1 200 OK\r\nX: ", each=b"x"),
            drip(first=b"HTTP/1.1 200 OK\r\n", each=b"X: y\r\n"),
            drip(first=b"", each=b"HTTP/1.1 100 Continue\r\n\r\n"),
            drip(first=b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", each=b"x"),
            drip(first=b"HTTP/1.1 200 OK\r\n\r\n", each=b"x"),
            drip(first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", each=b"1\r\nx\r\n"),
        ],
    )
    def test_a_slow_server_is_left(self, server: WebServer, slow: Page) -> None:
        server.pages["/a"] = slow
        started = time.monotonic()
        assert refusal(f"{server.url}/a", seconds=0.5).reason is Reason.TOO_SLOW
        assert time.monotonic() - started < 2

    @pytest.mark.timeout(20)
    def test_redirects_share_the_time(self, server: WebServer) -> None:
        def later(send: Callable[[bytes], None], closing: threading.Event) -> None:
            closing.wait(0.3)
            send(redirect("/a"))

        server.pages["/a"] = later
        started = time.monotonic()
        assert refusal(f"{server.url}/a", seconds=0.7).reason is Reason.TOO_SLOW
        assert time.monotonic() - started < 2

    @pytest.mark.timeout(20)
    def test_a_server_that_takes_no_connection_is_left(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            # It never accepts; what is beyond its backlog is not even answered.
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            started = time.monotonic()
            assert refusal(f"http://127.0.0.1:{port}/a", seconds=0.5).reason is Reason.TOO_SLOW
            assert time.monotonic() - started < 2
            for filler in fillers:
                filler.close()


class TestTrouble:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_busy_server_is_asked_again(self, server: WebServer, status: int) -> None:
        answers = [page(b"", status), page(b"", status), page(PICTURE)]
        server.pages["/a"] = lambda send, _: send(answers.pop(0))
        assert read(f"{server.url}/a") == PICTURE
        assert len(server.asked) == 3

    def test_one_that_is_busy_for_long_is_waited_for(self, server: WebServer) -> None:
        answers = [*[page(b"", 429)] * 6, page(PICTURE)]
        server.pages["/a"] = lambda send, _: send(answers.pop(0))
        assert read(f"{server.url}/a") == PICTURE

    def test_but_not_for_ever(self, server: WebServer) -> None:
        server.pages["/a"] = page(b"", 503)
        started = time.monotonic()
        error = refusal(f"{server.url}/a", seconds=1)
        assert error.reason is Reason.FETCH_FAILED
        number = len(server.asked)
        again = "`persqa requeue RUN --status invalid` asks again"
        assert str(error).endswith(f"503 Service Unavailable; asked {number} times, {again}")
        # The pauses double, so there are few, and the time is used.
        assert 4 <= number <= 9
        assert 0.5 < time.monotonic() - started < 2

    @pytest.mark.parametrize("wanted", ["60", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_one_that_wants_more_time_than_there_is_gets_none(self, server: WebServer, wanted: str) -> None:
        server.pages["/a"] = page(b"", 429, Retry_After=wanted)
        error = refusal(f"{server.url}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert "429 Too Many Requests and wants to be asked again in " in str(error)
        assert len(server.asked) == 1

    @pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
    def test_the_date_from_which_one_wants_to_be_asked(self, server: WebServer, form: str) -> None:
        # Its clock is an hour slow, which is known by the date of the answer.
        now = datetime.now(UTC) - timedelta(hours=1)
        asked = list[float]()

        def say(send: Callable[[bytes], None], _closing: threading.Event) -> None:
            asked.append(time.monotonic())
            dates = {"Date": now.strftime(form), "Retry-After": (now + timedelta(seconds=1)).strftime(form)}
            send(page(b"", 503, **dates) if len(asked) == 1 else page(PICTURE))

        server.pages["/a"] = say
        assert read(f"{server.url}/a") == PICTURE
        assert asked[1] - asked[0] >= 1

    @pytest.mark.parametrize("nonsense", ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-5", "1e3", "5 Nov", "0"])
    def test_a_wish_that_says_nothing_is_as_none(self, server: WebServer, nonsense: str) -> None:
        answers = [page(b"", 503, Retry_After=nonsense), page(PICTURE)]
        server.pages["/a"] = lambda send, _: send(answers.pop(0))
        started = time.monotonic()
        assert read(f"{server.url}/a") == PICTURE
        assert time.monotonic() - started < 4

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (404, Reason.NOT_FOUND),
            (410, Reason.NOT_FOUND),
            (401, Reason.NOT_PERMITTED),
            (403, Reason.NOT_PERMITTED),
            (451, Reason.NOT_PERMITTED),
            (400, Reason.FETCH_FAILED),
            (202, Reason.FETCH_FAILED),
            (204, Reason.FETCH_FAILED),
            (300, Reason.FETCH_FAILED),
            (206, Reason.FETCH_FAILED),
            (304, Reason.FETCH_FAILED),
        ],
    )
    def test_a_server_that_is_sure_is_asked_once(self, server: WebServer, status: int, reason: Reason) -> None:
        server.pages["/a"] = page(PICTURE, status)
        assert refusal(f"{server.url}/a").reason is reason
        assert len(server.asked) == 1

    @pytest.mark.parametrize("answer", [b"", b"HELLO\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 500])
    def test_one_that_speaks_no_http_is_given_up(self, server: WebServer, answer: bytes) -> None:
        server.pages["/a"] = answer
        assert refusal(f"{server.url}/a", seconds=0.5).reason is Reason.FETCH_FAILED

    def test_one_that_is_not_there_is_given_up(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        error = refusal(f"http://127.0.0.1:{port}/a", seconds=0.5)
        assert error.reason is Reason.FETCH_FAILED
        assert "Connection refused" in str(error)

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    def test_a_shortage_of_this_machine_is_no_fault_of_the_server(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def fail(*_: object, **__: object) -> socket.socket:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(urllib3_connection, "create_connection", fail)
        with pytest.raises(Infrastructure):
            read(f"{server.url}/a.png")

    @pytest.mark.timeout(20)
    def test_a_worker_that_stops_does_not_ask_again(self, server: WebServer) -> None:
        stop = threading.Event()
        server.pages["/a"] = page(b"", 503, Retry_After="8")
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(Infrastructure):
            read_image(f"{server.url}/a", base=Path("/nowhere"), limits=OPEN, stop=stop)
