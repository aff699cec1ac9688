"""One Chromium for all tests of what a person sees, and a gallery with a run of portraits for each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser

from persqa.settings import load_settings
from producer import Client
from tests.support.browsing import Gallery, Scheme, browsing, chromium, gallery_of
from tests.support.databases import with_tables
from tests.support.shown_runs import a_shown_run


class Open(Protocol):
    """Serves the gallery of a client, and looks at it."""

    def __call__(self, client: Client, *, width: int = 1440, height: int = 900, scheme: Scheme = "light") -> Gallery:
        """Start both; the size of the window is in pixels."""
        ...


#: Of the package, and not of the session: while Playwright runs, its thread has a loop, and can run no other.
_SCOPE = "package"


@pytest.fixture(scope=_SCOPE)
def browser() -> Iterator[Browser]:
    """The browser; where there is none these tests are skipped, but never where CI runs them."""
    program = chromium()
    if program is None:
        said = "no browser on this machine: these tests want Chromium (Debian: chromium-headless-shell)"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    with browsing(program) as started:
        yield started


@pytest.fixture
def open_gallery(browser: Browser) -> Iterator[Open]:
    """Galleries of clients that a test has made; at its end nothing may have been wrong in any."""
    with ExitStack() as stack:

        def opened(client: Client, *, width: int = 1440, height: int = 900, scheme: Scheme = "light") -> Gallery:
            return stack.enter_context(gallery_of(client, browser, width=width, height=height, scheme=scheme))

        yield opened


@pytest.fixture
def portraits(tmp_path: Path) -> Iterator[Client]:
    """A client of a SQLite database with the run `portraits`, and its pictures in `data/` below the test's folder."""
    with Client(load_settings(database_url=with_tables(tmp_path / "persqa.db")), local_worker=False) as client:
        a_shown_run(client, tmp_path / "data")
        yield client


@pytest.fixture
def gallery(open_gallery: Open, portraits: Client) -> Gallery:
    """The gallery of the run `portraits`, and a page that is 1440 pixels wide."""
    return open_gallery(portraits)
