"""Two runs side by side, as a person compares them: by mouse and by keyboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Open
from tests.support.browsing import Scheme, assert_accessible
from tests.support.shown_runs import a_shown_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from producer import Client
    from tests.support.browsing import Gallery


@pytest.fixture
def two(portraits: Client, tmp_path: Path) -> Client:
    """A second run of the same records, whose items end otherwise."""
    a_shown_run(portraits, tmp_path / "data", "portraits-2", model="other", turned=3)
    return portraits


def _joined(gallery: Gallery, path: str) -> Page:
    seen = gallery.go(path)
    seen.locator("#counts-title").wait_for()
    return seen


def test_a_person_compares_two_runs(two: Client, open_gallery: Open) -> None:
    gallery = open_gallery(two)
    seen = gallery.go("/runs/portraits")
    seen.get_by_role("link", name="Compare", exact=True).click()
    assert_accessible(seen)
    seen.get_by_label("Run B").select_option("portraits-2")
    seen.get_by_role("button", name="Compare", exact=True).click()
    seen.locator("#counts-title").wait_for()
    assert_accessible(seen)
    assert re.search(r"tell|more often", seen.locator(".lead").inner_text())

    # A number of the table leads to its items.
    only_a = seen.locator(".ways td a").nth(1)
    number = int(only_a.inner_text())
    only_a.click()
    seen.wait_for_url("**show=only-a**")
    seen.locator("#counts-title").wait_for()
    assert seen.locator("#list-title").inner_text() == f"{number} items: only A keeps the rule"
    first = seen.locator(".pair").first
    assert first.locator("img").is_visible()
    assert first.locator(".label.ok").first.is_visible()
    assert seen.locator("mark.differs").count() > 0

    # Only of one question, and in the end instead of at the first try.
    seen.locator("select[name=question]").select_option(index=1)
    seen.locator("select[name=by]").select_option("end")
    seen.locator("select[name=show]").select_option("all")
    seen.get_by_role("button", name="Compare", exact=True).click()
    seen.wait_for_url("**by=end**")
    seen.locator("#counts-title").wait_for()
    assert seen.locator("#list-title").inner_text() == "24 items: all"


def test_keys_move_through_the_list_and_open_an_item(two: Client, open_gallery: Open) -> None:
    gallery = open_gallery(two)
    seen = _joined(gallery, "/compare?a=portraits&b=portraits-2&show=all")
    pairs = seen.locator("[data-pair]")
    assert pairs.count() == 20
    for key, place in (("j", 0), ("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0), ("k", 0)):
        seen.keyboard.press(key)
        assert pairs.nth(place).evaluate("(one) => one === document.activeElement"), (key, place)
    first = pairs.first.get_attribute("href")
    seen.keyboard.press("ArrowRight")
    seen.wait_for_url("**at=20**")
    seen.locator("#counts-title").wait_for()
    assert "21 to 40" in seen.locator(".list-head").inner_text()
    seen.keyboard.press("ArrowLeft")
    seen.wait_for_url(re.compile(r"at=0\b"))
    seen.locator("#counts-title").wait_for()
    seen.keyboard.press("j")
    seen.keyboard.press("Enter")
    seen.wait_for_url(f"**{first}")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_a_comparison_is_readable_everywhere(two: Client, open_gallery: Open, width: int, scheme: Scheme) -> None:
    gallery = open_gallery(two, width=width, scheme=scheme)
    seen = _joined(gallery, "/compare?a=portraits&b=portraits-2")
    assert_accessible(seen)
    for box in seen.locator(".chooser label").all():
        inside, around = box.locator("select").bounding_box(), box.bounding_box()
        assert inside
        assert around
        assert inside["x"] + inside["width"] <= around["x"] + around["width"] + 0.5, "it would touch what is beside it"


def test_a_wrong_address_says_what_there_is(two: Client, open_gallery: Open) -> None:
    gallery = open_gallery(two)
    gallery.go("/compare?a=portraits&b=portraits-2&show=some")
    assert "different" in gallery.page.locator("main").inner_text()
    gallery.complaints.clear()
    gallery.go("/compare?a=portraits&b=none")
    assert "There is no such run" in gallery.page.locator("main").inner_text()
    # The browser complains of the status itself.
    gallery.complaints.clear()
