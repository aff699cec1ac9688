"""Figures as a person reads them: on a screen, on a telephone, in print, and of a run that means harm."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from persqa.policies import Rung
from persqa.verdicts import ViolationKind
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, Scheme, assert_accessible, assert_fits
from tests.support.builders import an_item, an_outcome
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from producer import Client

_HOSTILE = (
    '"><script>document.title = "taken"</script>',
    "</svg><img src=x onerror=alert(1)>",
    "\u202egnp.exe",
    "x" * 5000,
    "a" + "\u0301" * 300,
    "{{ 7 * 7 }} & <i>",
    "javascript:alert(1)//",
)


def _whole(gallery: Gallery, path: str) -> Page:
    """Open a page of figures, and wait until the run is counted."""
    seen = gallery.go(path)
    seen.locator("#figures .note").first.wait_for(state="detached")
    return seen


def test_a_person_reads_the_figures_and_follows_a_bar(gallery: Gallery) -> None:
    seen = _whole(gallery, "/runs/portraits/figures")
    assert seen.locator(".figure").count() == 8
    assert re.search(
        r"Of \d+ answers, [\d.]+ % \([\d.]+ to [\d.]+ %\) keep the rule", seen.locator(".lead").inner_text()
    )

    topics = seen.locator("#topics")
    row = topics.locator(".bar-row").first
    assert re.match(r"[\d.]+ %", row.locator(".bar-value").inner_text())
    assert row.locator("rect.first").is_visible()
    assert row.locator(".whisker").is_visible()

    # The same as a table, whose numbers lead to the items.
    assert not topics.locator("table").is_visible()
    topics.get_by_text("As a table").click()
    assert topics.locator("tbody tr").count() == 3
    assert_accessible(seen)
    link = topics.locator("tbody td a").first
    link.click()
    seen.wait_for_url(re.compile(r"/runs/portraits\?status=noncompliant&status=ok&topic=|status=ok&status=nonc"))

    seen = _whole(gallery, "/runs/portraits/figures")
    bar = seen.locator("#lengths svg a").first
    bar.click()
    seen.wait_for_url(re.compile(r"/runs/portraits\?length=\d+-\d*"))


def test_a_part_of_the_run_has_figures_of_its_own(gallery: Gallery) -> None:
    seen = _whole(gallery, "/runs/portraits/figures")
    seen.get_by_text("Look at a part").click()
    kinds = seen.get_by_role("region", name="Kind of violation")
    kinds.get_by_role("link", name=ViolationKind.LATE_TAG).click()
    seen.wait_for_url("**/figures?kind=late_tag")
    assert ": late_tag" in seen.locator(".chips").inner_text()
    assert "100.0 %" in seen.locator("#kinds .bar-row").first.inner_text()
    # In this part a first try never keeps the rule.
    assert seen.locator("rect.first").count() == 0
    seen.locator(".chips a").click()
    seen.wait_for_url("**/figures")
    # While a search looks on, the page counts on by itself.
    seen = _whole(gallery, "/runs/portraits/figures?q=person-0003")
    assert "3 items." in seen.locator(".figures-head").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_figures_are_readable_everywhere(portraits: Client, open_gallery: Open, width: int, scheme: Scheme) -> None:
    gallery = open_gallery(portraits, width=width, scheme=scheme)
    seen = _whole(gallery, "/runs/portraits/figures")
    assert_accessible(seen)
    for summary in seen.locator("summary").all():
        summary.click()
    assert_fits(seen)
    # No label lies on another one, and none is cut off.
    for row in seen.locator(".bar-row:has(.bar-value)").all():
        label, value = row.locator(".bar-label").bounding_box(), row.locator(".bar-value").bounding_box()
        assert label is not None
        assert value is not None
        assert label["x"] + label["width"] <= value["x"] + 0.5
        assert value["x"] + value["width"] <= width


def test_figures_are_printed_in_ink_on_paper(gallery: Gallery) -> None:
    seen = _whole(gallery, "/runs/portraits/figures")
    seen.emulate_media(media="print", color_scheme="dark")
    colours = seen.evaluate(
        "[...document.querySelectorAll('h1, .bar-value strong')].map((one) => getComputedStyle(one).color)"
    )
    assert set(colours) == {"rgb(0, 0, 0)"}
    assert seen.evaluate("getComputedStyle(document.querySelector('rect.first')).fill") == "rgb(47, 99, 201)"
    assert not seen.get_by_text("Look at a part").is_visible()


def test_a_run_that_means_harm_breaks_no_figure(portraits: Client, open_gallery: Open) -> None:
    store = portraits.store
    run = store.runs.create(
        "hostile",
        options=portraits.run("portraits").run.options,
        pool_digest="p",
        fingerprint="f",
        base="/data",
        item_count=4 * len(_HOSTILE),
    )
    asked = [_HOSTILE[index % len(_HOSTILE)] for index in range(4 * len(_HOSTILE))]
    items = [replace(an_item(run.id, index, question=text), topic=text) for index, text in enumerate(asked)]
    store.ledger.add(items, [])
    store.results.commit(
        [an_outcome(item, answer=item.topic, model=item.topic, worker=item.topic, rung=Rung.FREE) for item in items]
    )
    gallery = open_gallery(portraits, width=390)
    seen = _whole(gallery, "/runs/hostile/figures")
    wait_until(lambda: seen.locator("#topics .bar-row .bar-value").count() == len(_HOSTILE), describe="all are shown")
    for summary in seen.locator("summary").all():
        summary.click()
    assert seen.title() == "Figures of hostile · PersQA"
    assert seen.locator("script:not([src])").count() == 0
    assert seen.locator("main img").count() == 0
    assert seen.locator("#answers").get_by_text("⟨U+202E⟩gnp.exe").first.is_visible()
    assert "49" not in seen.locator("#answers .bars").inner_text()
    assert_accessible(seen)
    for address in {link.get_attribute("href") or "" for link in seen.locator("main a").all()}:
        assert address.startswith("/runs/hostile"), address
