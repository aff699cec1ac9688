"""A few pages over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import pytest
from prometheus_client import REGISTRY, Gauge

from persqa.errors import SettingsError
from persqa.http_pages import Page, PageServer, facts_page, metrics_page
from tests.support.pages import facts, page
from tests.support.wait import wait_until


def _broken() -> Page:
    raise KeyError("nobody thought of this")


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server with some pages."""
    pages: dict[str, Callable[[], Page]] = {
        "/well": lambda: facts_page({"a": "ok"}, well=True),
        "/unwell": lambda: facts_page({"a": "not"}, well=False),
        "/metrics": metrics_page,
        "/broken": _broken,
    }
    with PageServer(pages, address="127.0.0.1", port=0, setting="X", address_setting="Y") as server:
        server.start("persqa-pages")
        yield server.server_address[1]
        server.shutdown()


def test_names_of_metrics_stay_as_they_are_for_every_prometheus(port: int) -> None:
    # As versions before 3 ask; vLLM's names have a colon.
    wish = (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5"
    )
    entry = Gauge("pages:colon", "A name with a colon.")
    try:
        asked = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": wish})
        with urlopen(asked, timeout=10) as answer:
            assert "\npages:colon 0.0\n" in answer.read().decode()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    finally:
        REGISTRY.unregister(entry)


def test_a_page_has_its_status_and_anything_else_is_not_found(port: int) -> None:
    assert facts(port, "well?x=1") == (200, {"a": "ok"})
    assert facts(port, "unwell") == (503, {"a": "not"})
    assert page(port, "")[0] == page(port, "well/../metrics")[0] == 404
    assert "process_cpu_seconds_total" in page(port, "metrics")[1]


def test_a_defect_of_one_page_is_noted_and_harms_no_other(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert page(port, "broken")[0] == 0
    assert facts(port, "well")[0] == 200
    assert "nobody thought of this" in caplog.text


def test_who_says_nothing_or_goes_away_keeps_nobody_from_being_served(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    # Those beyond the limit are let go at once, those within it when they have had their time.
    wait_until(lambda: page(port, "well")[0] == 0, describe="it is full")
    for connection in silent:
        connection.close()
    wait_until(lambda: page(port, "well")[0] == 200, describe="there is room")
    assert "defect" not in caplog.text


def test_a_client_that_drips_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.http_pages._CLIENT_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port)) as dripping:

        def cut_off() -> bool:
            try:
                dripping.sendall(b"G")
            except OSError:
                return True
            return False

        wait_until(cut_off, describe="it is cut off", seconds=5)


def test_a_port_that_is_taken_and_an_address_that_is_none_are_errors_for_people(port: int) -> None:
    for address, taken, words in (
        ("127.0.0.1", port, "^X: cannot listen on 127.0.0.1, port .*: another program listens there"),
        ("192.0.2.1", 0, "^Y: '192.0.2.1' is no address of this machine"),
        ("no such host", 0, "^Y: 'no such host' is no address of this machine"),
    ):
        with pytest.raises(SettingsError, match=words):
            PageServer({}, address=address, port=taken, setting="X", address_setting="Y")
