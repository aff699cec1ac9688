"""Images from web servers of every kind of malice, over real sockets."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from urllib3.util import connection as urllib3_connection

from persqa.errors import Infrastructure, Rejected
from persqa.images import ImageLimits, patience, read_image, web
from persqa.reasons import Reason
from tests.support.wait import wait_until
from tests.support.web import Page, WebServer, page, redirect, write_certificate

PICTURE = bytes(range(256)) * 16
OPEN = ImageLimits(
    roots=(), max_pixels=9, max_bytes=10_000, hosts=("127.0.0.1", "*.test"), allow_private=True, seconds=10
)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        server.pages["/a.png"] = page(PICTURE)
        yield server


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)


def read(url: str, **limits: object) -> bytes:
    found = read_image(url, base=Path("/nowhere"), limits=replace(OPEN, **limits))
    return found.data


def refusal(url: str, **limits: object) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(url, **limits)
    return caught.value


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Let names resolve to one address after the other, the last one for ever; gives the names asked for."""
    real, asked = socket.getaddrinfo, list[str]()

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        if host in names:
            asked.append(host)
            answers = names[host]
            host = answers.pop(0) if len(answers) > 1 else answers[0]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def route(monkeypatch: pytest.MonkeyPatch, routes: dict[str, int]) -> list[str]:
    """Let public addresses be ports of this machine; gives the addresses that were connected to."""
    real, connected = urllib3_connection.create_connection, list[str]()

    def create_connection(address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        connected.append(address[0])
        if address[0] in routes:
            address = "127.0.0.1", routes[address[0]]
        return real(address, *args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(urllib3_connection, "create_connection", create_connection)
    return connected


class TestPlain:
    def test_the_bytes_are_those_that_were_sent(self, server: WebServer) -> None:
        assert read(f"{server.url}/a.png") == PICTURE
        head = server.asked[0].lower()
        assert f"host: 127.0.0.1:{server.port}" in head
        assert "accept-encoding: identity" in head

    def test_the_path_is_sent_as_it_was_quoted(self, server: WebServer) -> None:
        server.pages["/gr%C3%B6%C3%9Fe%201.png?a=b%2Fc"] = page(PICTURE)
        assert read(f"{server.url}/größe%201.png?a=b%2Fc#there") == PICTURE

    @pytest.mark.parametrize(
        "answer",
        [
            page(PICTURE, Content_Length=""),
            b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + PICTURE + b"\r\n0\r\n\r\n",
            page(PICTURE, Content_Encoding="identity"),
            page(PICTURE, Content_Type="text/html"),
            b"HTTP/1.1 100 Continue\r\n\r\n" + page(PICTURE),
        ],
    )
    def test_ways_to_say_it(self, server: WebServer, answer: bytes) -> None:
        server.pages["/b"] = answer
        assert read(f"{server.url}/b") == PICTURE

    def test_proxies_of_the_environment_are_not_asked(self, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert read(f"{server.url}/a.png") == PICTURE

    def test_it_leaves_no_socket_and_no_thread(self, server: WebServer) -> None:
        process = psutil.Process()

        def ours() -> list[object]:
            """Our ends; those of the server are in this process, too."""
            return [c for c in process.net_connections("tcp") if c.raddr and c.raddr.port == server.port]

        # Without a length, an answer holds its connection by itself.
        server.pages["/large"] = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(10_001)
        read(f"{server.url}/a.png")
        assert ours() == []
        # Whoever keeps the error does not keep the connection.
        errors = [refusal(f"{server.url}{path}") for path in ("/none", "/large")]
        assert ours() == []
        assert len(errors) == 2
        wait_until(
            lambda: not [thread for thread in threading.enumerate() if "cut-off" in thread.name],
            describe="the timers of the connections end",
        )


class TestAllowLists:
    def test_no_host_is_allowed_unless_it_is_listed(self, server: WebServer) -> None:
        error = refusal(f"{server.url}/a.png", hosts=())
        assert error.reason is Reason.HOST_NOT_ALLOWED
        assert "PERSQA_IMAGE_HOSTS" in str(error)
        assert server.asked == []

    def test_a_listed_host_on_this_machine_is_refused_all_the_same(self, server: WebServer) -> None:
        for host in ("127.0.0.1", "*"):
            error = refusal(f"{server.url}/a.png", hosts=(host,), allow_private=False)
            assert error.reason is Reason.ADDRESS_NOT_ALLOWED
        assert server.asked == []

    def test_a_name_that_leads_to_this_machine_is_refused(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
        error = refusal(f"http://pictures.test:{server.port}/a.png", allow_private=False)
        assert error.reason is Reason.ADDRESS_NOT_ALLOWED
        assert "127.0.0.1" not in str(error)
        assert server.asked == []

    def test_a_metadata_service_is_never_asked(self) -> None:
        for host in ("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"):
            assert refusal(f"http://{host}/latest/meta-data/", hosts=("*",)).reason is Reason.ADDRESS_NOT_ALLOWED


class TestRebinding:
    def test_the_checked_address_is_the_one_connected_to(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = resolve(monkeypatch, {"pictures.test": ["93.184.216.34", "127.0.0.1"]})
        connected = route(monkeypatch, {"93.184.216.34": server.port})
        assert read("http://pictures.test/a.png", allow_private=False) == PICTURE
        assert (asked, connected) == (["pictures.test"], ["93.184.216.34"])
        assert "host: pictures.test\r\n" in server.asked[0].lower()

    def test_each_redirect_is_checked_anew(self, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        server.pages["/from"] = redirect("/to")
        asked = resolve(monkeypatch, {"pictures.test": ["93.184.216.34", "127.0.0.1"]})
        connected = route(monkeypatch, {"93.184.216.34": server.port})
        error = refusal("http://pictures.test/from", allow_private=False)
        assert error.reason is Reason.ADDRESS_NOT_ALLOWED
        assert (asked, connected, server.paths) == (["pictures.test"] * 2, ["93.184.216.34"], ["/from"])

    def test_of_several_addresses_only_allowed_ones_are_tried(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def getaddrinfo(_host: str, port: int, *_: int, **__: int) -> list[object]:
            addresses = ("127.0.0.1", "93.184.216.34", "10.0.0.1", "93.184.216.35")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        connected = list[str]()

        def create_connection(address: tuple[str, int], **_: object) -> socket.socket:
            connected.append(address[0])
            if address[0] != "93.184.216.35":
                raise OSError(errno.ECONNREFUSED, "refused")
            return socket.socket()

        def create(address: tuple[str, int], *_args: object, **_options: object) -> socket.socket:
            opened = create_connection(address)
            opened.connect(("127.0.0.1", server.port))
            return opened

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(urllib3_connection, "create_connection", create)
        assert read("http://pictures.test/a.png", allow_private=False) == PICTURE
        assert connected == ["93.184.216.34", "93.184.216.35"]


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_five_are_followed_and_no_sixth(self, server: WebServer, status: int) -> None:
        for number in range(6):
            server.pages[f"/{number}"] = redirect(f"/{number + 1}" if number < 5 else "/a.png", status)
        assert read(f"{server.url}/1") == PICTURE
        assert refusal(f"{server.url}/0").reason is Reason.TOO_MANY_REDIRECTS
        assert len(server.asked) == 12

    def test_a_circle_ends(self, server: WebServer) -> None:
        server.pages["/a"] = redirect("/a")
        assert refusal(f"{server.url}/a").reason is Reason.TOO_MANY_REDIRECTS

    @pytest.mark.parametrize(
        ("location", "reason"),
        [
            ("http://evil.example/a.png", Reason.HOST_NOT_ALLOWED),
            ("http://169.254.169.254/latest/", Reason.HOST_NOT_ALLOWED),
            ("http://inner.test/", Reason.ADDRESS_NOT_ALLOWED),
            ("http://2852039166/", Reason.ADDRESS_NOT_ALLOWED),
            ("file:///etc/passwd", Reason.BAD_URL),
            ("s3://bucket/a", Reason.BAD_URL),
            ("data:image/png;base64,AAAA", Reason.BAD_URL),
            ("//user:word@127.0.0.1/", Reason.BAD_URL),
        ],
    )
    def test_none_leads_where_no_url_may(
        self, server: WebServer, monkeypatch: pytest.MonkeyPatch, location: str, reason: Reason
    ) -> None:
        resolve(monkeypatch, {"inner.test": ["169.254.169.254"]})
        server.pages["/a"] = redirect(location)
        found = refusal(f"{server.url}/a")
        assert found.reason is reason
        assert ":word" not in str(found)

    def test_one_to_nowhere_is_no_picture(self, server: WebServer) -> None:
        server.pages["/a"] = page(PICTURE, 302)
        assert refusal(f"{server.url}/a").reason is Reason.FETCH_FAILED


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
        error = refusal(f"{server.url}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert len(server.asked) == 4

    def test_more_than_was_announced_is_not_read(self, server: WebServer) -> None:
        server.pages["/a"] = page(PICTURE, Content_Length="100")
        assert read(f"{server.url}/a") == PICTURE[:100]

    def test_two_lengths_are_none(self, server: WebServer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
        server.pages["/a"] = head + PICTURE
        assert refusal(f"{server.url}/a").reason is Reason.FETCH_FAILED

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip"])
    def test_a_bomb_is_not_unpacked(self, server: WebServer, coding: str) -> None:
        server.pages["/a"] = page(gzip.compress(bytes(2**26))[:9000], Content_Encoding=coding)
        error = refusal(f"{server.url}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert len(server.asked) == 1

    def test_nothing_is_no_picture(self, server: WebServer) -> None:
        server.pages["/a"] = page(b"")
        assert refusal(f"{server.url}/a").reason is Reason.EMPTY_FILE

    def test_an_endless_head_is_cut(self, server: WebServer) -> None:
        server.pages["/a"] = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000
        server.pages["/b"] = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"
        for path in ("/a", "/b"):
            assert refusal(f"{server.url}{path}").reason is Reason.FETCH_FAILED


def drip(*, first: bytes, each: bytes) -> Page:
    def say(send: Callable[[bytes], None], closing: threading.Event) -> None:
        send(first)
        while not closing.wait(0.02):
            send(each)

    return say


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

    def test_but_not_for_ever(self, server: WebServer) -> None:
        server.pages["/a"] = page(b"", 503)
        error = refusal(f"{server.url}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert "503 Service Unavailable; asked 4 times, `persqa requeue RUN --status invalid` asks again" in str(error)
        assert len(server.asked) == 4

    def test_one_that_wants_more_time_than_there_is_gets_none(self, server: WebServer) -> None:
        server.pages["/a"] = page(b"", 429, Retry_After="60")
        assert refusal(f"{server.url}/a").reason is Reason.FETCH_FAILED
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (404, Reason.NOT_FOUND),
            (410, Reason.NOT_FOUND),
            (401, Reason.NOT_PERMITTED),
            (403, Reason.NOT_PERMITTED),
            (451, Reason.NOT_PERMITTED),
            (400, Reason.FETCH_FAILED),
            (204, Reason.FETCH_FAILED),
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
        assert refusal(f"{server.url}/a").reason is Reason.FETCH_FAILED

    def test_one_that_is_not_there_is_given_up(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        error = refusal(f"http://127.0.0.1:{port}/a")
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


class TestTls:
    @pytest.fixture
    def trusted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        certificate = write_certificate(tmp_path / "certificate.pem", "pictures.test")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        web.trust.cache_clear()
        yield certificate
        web.trust.cache_clear()

    def test_the_certificate_must_be_the_hosts(self, trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve(monkeypatch, {"pictures.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
        with WebServer(trusted) as server:
            server.pages["/a"] = page(PICTURE)
            assert read(f"https://pictures.test:{server.port}/a") == PICTURE
            error = refusal(f"https://other.test:{server.port}/a")
        assert error.reason is Reason.FETCH_FAILED
        assert "certificate" in str(error)

    def test_an_unknown_certificate_is_refused(
        self, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
        stranger = write_certificate(tmp_path / "stranger.pem", "pictures.test")
        assert stranger != trusted
        with WebServer(stranger) as server:
            server.pages["/a"] = page(PICTURE)
            assert refusal(f"https://pictures.test:{server.port}/a").reason is Reason.FETCH_FAILED
            assert server.asked == []

    def test_https_does_not_become_http(
        self, trusted: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
        with WebServer(trusted) as secure:
            secure.pages["/a"] = redirect(f"{server.url}/a.png")
            server.pages["/up"] = redirect(f"https://pictures.test:{secure.port}/b")
            secure.pages["/b"] = page(PICTURE)
            found = refusal(f"https://pictures.test:{secure.port}/a")
            assert found.reason is Reason.INSECURE_REDIRECT
            assert read(f"{server.url}/up") == PICTURE

    @pytest.mark.timeout(20)
    def test_a_slow_handshake_and_a_slow_body_are_cut(self, trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
        with WebServer(trusted) as secure, socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            secure.pages["/a"] = drip(first=b"HTTP/1.1 200 OK\r\n\r\n", each=b"x")
            for port in (secure.port, silent.getsockname()[1]):
                started = time.monotonic()
                assert refusal(f"https://pictures.test:{port}/a", seconds=0.5).reason is Reason.TOO_SLOW
                assert time.monotonic() - started < 2
