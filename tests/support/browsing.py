"""A gallery as a person meets it: in a real browser, which must find nothing wrong and ask nobody else."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

import psutil
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from producer.web.server import Server
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from producer import Client

Scheme: TypeAlias = Literal["light", "dark"]

#: How long a person would look at a page that does not come, in milliseconds; with room for a busy machine.
_PATIENCE = 30_000
expect.set_options(timeout=_PATIENCE)
#: The first one has no windows, and takes three quarters of the time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
#: A picture that cannot be shown is answered so, and the page says it in its place.
_NO_PICTURE = "/pictures/"


def chromium() -> str | None:
    """The browser of this machine, if there is one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def browsing(program: str) -> Generator[Browser]:
    """A browser without a window; its processes end with the block."""
    before = set(psutil.Process().children(recursive=True))
    # One process for all pages: starting one for each takes a tenth of the time of all that is done in them.
    flags = ["--renderer-process-limit=1", "--process-per-site"]
    if os.geteuid() == 0:
        # The superuser's browser refuses to start behind its own walls.
        flags.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        started = set(psutil.Process().children(recursive=True)) - before
        try:
            yield browser
        finally:
            browser.close()
    # What tests have started meanwhile may live longer.
    wait_until(lambda: not any(one.is_running() for one in started), describe="the browser has ended")


@dataclass
class Gallery:
    """A gallery that is served, and a browser of its own for it, with its own cookies.

    Attributes:
        client: whose database is shown.
        address: as `persqa ui` says it.
        context: the browser's; its pages share cookies.
        page: the first page, still empty.
        asked: each request of all pages, as `GET http://...`.
        complaints: what the console and scripts complained of.
    """

    client: Client
    address: str
    context: BrowserContext
    page: Page = field(init=False)
    asked: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self.asked.append(f"{request.method} {request.url}"))
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        self.context.set_default_timeout(_PATIENCE)
        self.page = self.context.new_page()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    def go(self, path: str = "/", page: Page | None = None) -> Page:
        """Open a path, such as `/runs/portraits`, in the first page or in another one."""
        chosen = page or self.page
        chosen.goto(self.origin + path)
        return chosen

    def check(self) -> None:
        """Nothing was wrong so far, and nobody else was asked."""
        strangers = [one for one in self.asked if not one.partition(" ")[2].startswith((self.origin + "/", "about:"))]
        assert not strangers, f"asked elsewhere: {strangers}"
        assert not self.complaints, f"the browser complains: {self.complaints}"

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or _NO_PICTURE in message.location["url"]:
            return
        self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")


@contextmanager
def gallery_of(
    client: Client, browser: Browser, *, width: int = 1440, height: int = 900, scheme: Scheme = "light"
) -> Generator[Gallery]:
    """Serve the gallery of a client, and look at it; at the end nothing may have been wrong."""
    with (
        Server(client) as server,
        browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context,
    ):
        gallery = Gallery(client, server.address, context)
        yield gallery
        gallery.check()


def assert_accessible(page: Page) -> None:
    """Find what would keep somebody out: labels, contrast, headings, roles."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert_fits(page)


def assert_fits(page: Page) -> None:
    """Nothing is wider than the window; what is wide scrolls by itself."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels wider than its window"
