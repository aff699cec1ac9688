"""Web servers with certificates, good and bad."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from persqa.images import web
from persqa.reasons import Reason
from tests.support.web import WebServer, drip, page, redirect, write_certificate
from tests.support.web_images import PICTURE, read, refusal, resolve


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        server.pages["/a.png"] = page(PICTURE)
        yield server


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    certificate = write_certificate(tmp_path / "certificate.pem", "pictures.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    web.trust.cache_clear()
    yield certificate
    web.trust.cache_clear()


def test_the_certificate_must_be_the_hosts(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"pictures.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    with WebServer(trusted) as server:
        server.pages["/a"] = page(PICTURE)
        assert read(f"https://pictures.test:{server.port}/a") == PICTURE
        error = refusal(f"https://other.test:{server.port}/a")
    assert error.reason is Reason.FETCH_FAILED
    assert "certificate" in str(error)


def test_an_unknown_certificate_is_refused(trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
    stranger = write_certificate(tmp_path / "stranger.pem", "pictures.test")
    assert stranger != trusted
    with WebServer(stranger) as server:
        server.pages["/a"] = page(PICTURE)
        assert refusal(f"https://pictures.test:{server.port}/a").reason is Reason.FETCH_FAILED
        assert server.asked == []


def test_https_does_not_become_http(trusted: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
    with WebServer(trusted) as secure:
        secure.pages["/a"] = redirect(f"{server.url}/a.png")
        server.pages["/up"] = redirect(f"https://pictures.test:{secure.port}/b")
        secure.pages["/b"] = page(PICTURE)
        found = refusal(f"https://pictures.test:{secure.port}/a")
        assert found.reason is Reason.INSECURE_REDIRECT
        assert read(f"{server.url}/up") == PICTURE


@pytest.mark.timeout(20)
def test_a_slow_handshake_and_a_slow_body_are_cut(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"pictures.test": ["127.0.0.1"]})
    with WebServer(trusted) as secure, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        secure.pages["/a"] = drip(first=b"HTTP/1.1 200 OK\r\n\r\n", each=b"x")
        for port in (secure.port, silent.getsockname()[1]):
            started = time.monotonic()
            assert refusal(f"https://pictures.test:{port}/a", seconds=0.5).reason is Reason.TOO_SLOW
            assert time.monotonic() - started < 2
