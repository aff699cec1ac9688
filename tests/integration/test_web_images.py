"""Images from web servers: what is read, from whom, and where redirects may lead."""

from __future__ import annotations

import errno
import re
import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version

import psutil
import pytest
from urllib3.util import connection as urllib3_connection

import persqa
from persqa.images import patience
from persqa.reasons import Reason
from tests.support.pictures import encoded, quarters
from tests.support.wait import wait_until
from tests.support.web import WebServer, page, redirect
from tests.support.web_images import PICTURE, read, refusal, resolve, route


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        server.pages["/a.png"] = page(PICTURE)
        yield server


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)


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
            *(
                page(PICTURE, Content_Encoding=coding)
                for coding in ("identity", "aws-chunked", "none", "UTF-8", "binary", " ", "aws-chunked, identity", ",")
            ),
            page(PICTURE, Content_Type="text/html"),
            page(PICTURE, Content_Type=""),
            page(PICTURE, 203),
            b"HTTP/1.1 100 Continue\r\n\r\n" + page(PICTURE),
        ],
    )
    def test_ways_to_say_it(self, server: WebServer, answer: bytes) -> None:
        server.pages["/b"] = answer
        assert read(f"{server.url}/b") == PICTURE

    @pytest.mark.parametrize("coding", ["gzip", "aws-chunked, br"])
    def test_a_picture_is_none_that_is_packed_whatever_is_said(self, server: WebServer, coding: str) -> None:
        picture = encoded(quarters(), "PNG")
        server.pages["/b"] = page(picture, Content_Encoding=coding)
        assert read(f"{server.url}/b") == picture

    def test_who_asks(self, server: WebServer) -> None:
        read(f"{server.url}/a.png")
        read(f"{server.url}/a.png", user_agent="lab-data/1.0 (me@lab.example)")
        plain, named = (re.findall(r"(?mi)^user-agent: (.*?)\r$", head) for head in server.asked)
        assert plain == [f"persqa/{persqa.__version__} urllib3/{version('urllib3')}"]
        assert named == ["lab-data/1.0 (me@lab.example)"]

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

    @pytest.mark.parametrize(
        ("location", "target"),
        [
            (b"/a b.jpg", "/a%20b.jpg"),
            ("/größe х.jpg".encode(), "/gr%C3%B6%C3%9Fe%20%D1%85.jpg"),
            ("/größe.jpg".encode("latin-1"), "/gr%F6%DFe.jpg"),
            (b"  b.jpg\t", "/x/b.jpg"),
            (b"?a b", "/x/y?a%20b"),
            (b"/c#d e", "/c"),
        ],
    )
    def test_they_are_read_as_browsers_do(self, server: WebServer, location: bytes, target: str) -> None:
        server.pages["/x/y"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
        server.pages[target] = page(PICTURE)
        assert read(f"{server.url}/x/y") == PICTURE
        assert server.paths == ["/x/y", target]

    def test_one_without_a_scheme(self, server: WebServer) -> None:
        server.pages["/b"] = redirect(f"//127.0.0.1:{server.port}/a.png")
        assert read(f"{server.url}/b") == PICTURE

    def test_of_two_the_first_counts(self, server: WebServer) -> None:
        two = b"Location: /a.png\r\nLocation: /b\r\n"
        server.pages["/b"] = b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n" + two + b"\r\n"
        assert read(f"{server.url}/b") == PICTURE

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
