"""The grid as a person walks through it, with keys and with a mouse."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from persqa.flags import Finding, Flag
from persqa.items import ItemId
from persqa.results import Outcome, Result, Status
from producer import Client
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_accessible
from tests.support.walking import RUN, grid, tiles, total, wait_counted


def in_hand(page: Page) -> int:
    """The item of the tile that has the focus."""
    item = page.evaluate("document.activeElement.closest('.tile')?.dataset.item ?? '0'")
    return int(item)


def test_a_view_is_chosen_and_its_address_says_all_of_it(gallery: Gallery) -> None:
    page = grid(gallery)
    assert total(page) == 72
    assert_accessible(page)
    kept = _choose_by_filters(page)
    _choose_by_text_and_order(page, most=kept)

    other = gallery.context.new_page()
    other.goto(page.url)
    wait_counted(other)
    assert tiles(other) == tiles(page)
    assert other.get_by_label("Order").input_value() == "longest"
    other.close()

    page.locator(".chip", has_text="late_tag").click()
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(3)
    page.locator(".chips").get_by_role("link", name="Show all").click()
    page.wait_for_url(f"**{RUN}")
    assert total(page) == 72
    page.goto(f"{gallery.origin}{RUN}?q=nothing-is-called-so")
    expect(page.locator("main")).to_contain_text("Nothing in this run is so")
    assert_accessible(page)


def _choose_by_filters(page: Page) -> int:
    """Keep what is good, and leave out what the model said wrongly first; gives how many are left."""
    page.get_by_role("link", name=re.compile("^ok ")).click()
    page.wait_for_url("**status=ok")
    kept = total(page)
    assert 0 < kept < 72
    expect(page.locator(".chip")).to_have_text(re.compile("Status: ok"))

    late = page.get_by_role("link", name=re.compile("^late_tag "))
    broken = int(late.locator(".number").text_content() or "0")
    late.click(modifiers=["Shift"])
    page.wait_for_url("**not-kind=late_tag**")
    assert total(page) == kept - broken

    page.get_by_role("link", name="leave out attire").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**not-topic=attire**")
    assert_accessible(page)
    page.get_by_role("link", name="no longer leave out attire").click()
    expect(page.locator(".chip")).to_have_count(2)
    return kept - broken


def _choose_by_text_and_order(page: Page, *, most: int) -> None:
    page.keyboard.press("/")
    page.keyboard.type("hair")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=hair**")
    assert 0 < total(page) < most
    page.get_by_label("Order").select_option(label="longest answer first")
    page.wait_for_url("**order=longest**")
    lengths = [len(text) for text in page.locator(".tile .answer").all_text_contents()]
    assert lengths[0] > 2 * lengths[-1]


def test_keys_lead_through_pages_and_back_to_the_same_place(gallery: Gallery) -> None:
    page = grid(gallery)
    second = _turn_pages(page)
    page.keyboard.press("g")
    page.keyboard.type("65")
    assert_accessible(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**focus=*")
    expect(page.locator(f"#look-{second[4]}")).to_be_focused()

    page.keyboard.press("Enter")
    page.wait_for_url(f"**/items/{second[4]}**")
    page.keyboard.press("Escape")
    page.wait_for_url(f"**{RUN}?focus={second[4]}")
    expect(page.locator(f"#look-{second[4]}")).to_be_focused()

    page.keyboard.press("d")
    page.keyboard.press("t")
    page.reload()
    wait_counted(page)
    assert page.evaluate("document.documentElement.dataset.density") == "large"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert_accessible(page)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    for key in ("Enter", "a", "z", "x", "A", "Home", "u", "g", "/", "d", "t"):
        expect(page.locator("#keys kbd", has_text=re.compile(f"^{re.escape(key)}$")).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def _turn_pages(page: Page) -> list[int]:
    """Move from tile to tile and from page to page; gives the items of the second page."""
    first, shown = tiles(page), page.locator(".grid")
    assert len(first) == 60
    page.keyboard.press("ArrowRight")
    assert in_hand(page) == first[1]
    page.keyboard.press("j")
    assert first.index(in_hand(page)) > 2
    page.keyboard.press("k")
    page.keyboard.press("h")
    assert in_hand(page) == first[0]

    page.keyboard.press(".")
    expect(shown).to_have_attribute("data-place", "60")
    second = tiles(page)
    assert len(second) == 12
    assert not set(first) & set(second)
    expect(page.locator(f"#look-{second[0]}")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(shown).to_have_attribute("data-place", "0")
    expect(page.locator(f"#look-{first[-1]}")).to_be_focused()
    page.keyboard.press("End")
    expect(shown).to_have_attribute("data-place", "60")
    page.keyboard.press("Home")
    expect(shown).to_have_attribute("data-place", "0")
    return second


def test_tiles_are_decided_in_place(gallery: Gallery, portraits: Client) -> None:
    page = grid(gallery, f"{RUN}?status=ok")
    first, second, third, fourth = tiles(page)[:4]
    page.keyboard.press("a")
    expect(page.locator(f"#tile-{first}")).to_have_attribute("data-decision", "accepted")
    assert in_hand(page) == second
    expect(page.get_by_role("link", name=re.compile("^accepted 1"))).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator(f"#tile-{second}")).to_have_attribute("data-decision", "rejected")
    page.keyboard.press("s")
    expect(page.locator(f"#tile-{third}")).to_have_attribute("data-starred", "1")
    page.locator(f"#tile-{fourth}").get_by_role("button", name="Reject").click()
    expect(page.locator(f"#tile-{fourth}")).to_have_attribute("data-decision", "rejected")
    assert_accessible(page)
    reviews = portraits.store.reviews.of([ItemId(item) for item in (first, second, third, fourth)])
    said = [(review.decision, review.starred) for review in reviews.values()]
    assert said == [("accepted", False), ("rejected", False), (None, True), ("rejected", False)]

    page.keyboard.press("z")
    expect(page.locator(f"#tile-{fourth}")).to_have_attribute("data-decision", "")
    page.keyboard.press("u")
    expect(page.locator(f"#look-{third}")).to_be_focused()


def test_what_comes_meanwhile_is_said_and_moves_nothing(gallery: Gallery, portraits: Client) -> None:
    page = grid(gallery)
    seen = tiles(page)
    pending = [item for ids in portraits.store.ledger.pending(portraits.run("portraits").run.id) for item in ids]
    portraits.store.results.commit(
        [
            Outcome(
                Result(item_id=one.id, run_id=one.run_id, status=Status.OK, answer=f"{one.tag} is here."),
                findings=(Finding(Flag.HEDGE, 1.0),),
            )
            for one in pending[:3]
        ]
    )
    expect(page.locator("#news")).to_contain_text("3 more answers have come")
    assert tiles(page) == seen
    assert_accessible(page)
    page.locator("#news").get_by_role("link", name="show").click()
    expect(page.locator("#news")).not_to_contain_text("more")
    page.keyboard.press("End")
    expect(page.locator(f"#tile-{pending[0].id}")).to_contain_text("is here.")
    flag = page.locator(f"#tile-{pending[0].id} .label.flag")
    expect(flag).to_have_attribute("title", "The answer takes back what it says.")


def test_a_narrow_window_has_everything(open_gallery: Open, portraits: Client) -> None:
    gallery = open_gallery(portraits, width=390, height=844, scheme="dark")
    page = grid(gallery)
    assert_accessible(page)
    page.locator(".facets > summary").click()
    page.get_by_role("link", name="leave out ok").click()
    page.wait_for_url("**not-status=ok")
    assert_accessible(page)
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    assert_accessible(page)
    label, short = (page.locator(".facts th", has_text=words).last for words in ("Generations", "Item"))
    heights = [box["height"] for one in (label, short) if (box := one.bounding_box())]
    assert heights[0] < 1.5 * heights[1], "no label is broken inside a word"
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#said")).to_contain_text("Rejected")
