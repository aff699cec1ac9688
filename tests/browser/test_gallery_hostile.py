"""Whoever writes answers, records, file names or tags must not get a script, a request or the layout by that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from starlette.routing import Match

from persqa.settings import load_settings
from producer import Client
from producer.web.pages import routes
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_fits
from tests.support.hostile_runs import HARM, a_hostile_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How many items are looked at in a window of that width, of which each has another harm; of other kinds of addresses
#: it is two.
_ITEMS = {1440: len(HARM), 390: 5}
_ITEM = "/runs/hostile/items/0"


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Client]:
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), local_worker=False) as client:
        a_hostile_run(client, tmp_path / "data")
        a_hostile_run(client, tmp_path / "data", "hostile-too")
        yield client


@pytest.mark.parametrize("width", [1440, 390])
def test_a_hostile_run_harms_no_page(open_gallery: Open, hostile: Client, width: int) -> None:
    gallery = open_gallery(hostile, width=width)
    seen, left = dict[str, int](), ["/", "/runs/hostile", *_items(hostile, _ITEMS[width])]
    visited = set[str]()
    while left:
        path = left.pop(0)
        kind = _kind(path)
        if path in visited or seen.get(kind, 0) >= (_ITEMS[width] if kind.startswith(_ITEM) else 2):
            continue
        visited.add(path)
        seen[kind] = seen.get(kind, 0) + 1
        found = _look(gallery, path)
        # The same pages in a narrow window; what they lead to was looked at in the wide one.
        left += found if width > 390 else []
    # The pages that there are at least; whatever else they link to was walked, too.
    pages = {"/", "/runs/hostile", _ITEM, "/runs/hostile/figures", "/runs/hostile/failures", "/compare?"}
    assert (pages if width > 390 else {"/", "/runs/hostile", _ITEM}) <= seen.keys(), seen


def _items(client: Client, number: int) -> list[str]:
    """So many, of harm and endings by turns."""
    first, every = client.run("hostile").run.id * 10**10, 4 * len(HARM) // number
    return [f"/runs/hostile/items/{first + place * every + place % 4}" for place in range(number)]


def _kind(path: str) -> str:
    """The page that an address is of, with a view or whole."""
    parts = urlsplit(path)
    return re.sub(r"\d+", "0", parts.path).replace("hostile-too", "hostile") + ("?" if parts.query else "")


def _scope(path: str) -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": path.partition("?")[0], "headers": []}


def _look(gallery: Gallery, path: str) -> list[str]:
    """Open a page, touch it, and see that nothing happened; gives where it leads to."""
    assert any(route.matches(_scope(path))[0] is Match.FULL for route in routes()), path
    page = gallery.go(path)
    # A sentence for people is an answer, too, such as that none is left; a defect is none.
    gallery.complaints[:] = [one for one in gallery.complaints if not ("status of 4" in one and f"{path})" in one)]
    assert page.evaluate("window.harmed") is None, path
    # What would wait for a pointer or the focus.
    page.evaluate("""for (const one of document.querySelectorAll("main *")) {
        one.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
        one.dispatchEvent(new Event("focus"));
    }""")
    page.wait_for_function("[...document.images].every((one) => one.complete || one.loading === 'lazy')")
    assert page.evaluate("window.harmed") is None, path
    assert not page.locator("main script, main iframe, main style, main [style], main [onerror], main [onload]").count()
    assert_fits(page)
    assert page.evaluate("document.documentElement.scrollHeight") < 60_000, f"{path} is endless"
    turned = page.locator("main").evaluate("main => /[\\u202a-\\u202e\\u2066-\\u2069]/.test(main.innerText)")
    assert not turned, f"{path} has marks that turn text"
    links = page.locator("a[href]").evaluate_all(
        "links => links.map((link) => new URL(link.getAttribute('href'), location).href)"
    )
    strange = [link for link in links if not link.startswith(gallery.origin + "/")]
    assert not strange, f"{path} links elsewhere: {strange[:3]}"
    gallery.check()
    return [link.removeprefix(gallery.origin).partition("#")[0] for link in links]
