"""From looking to exporting: one item after the other, many at once, and what goes wrong between people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from persqa.items import ItemId
from persqa.reviews import Review
from persqa.store.reviews import Reviews
from producer import Client
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_accessible

RUN = "/runs/portraits"


def item_of(page: Page) -> int:
    """The item that is looked at."""
    return int(page.locator(".one").get_attribute("data-item") or 0)


def at(page: Page, item: int) -> None:
    """Wait for an item."""
    expect(page.locator(".one")).to_have_attribute("data-item", str(item))


def reviewed(client: Client, *items: int) -> list[Review]:
    """What was said of items."""
    found = client.store.reviews.of([ItemId(item) for item in items])
    return [found[ItemId(item)] for item in items]


def said(page: Page, text: str) -> None:
    """Wait for what the page says in its corner."""
    expect(page.locator("#said")).to_contain_text(text)


def test_one_item_after_the_other_is_decided_by_keys(gallery: Gallery, portraits: Client) -> None:
    page = gallery.go(f"{RUN}?status=ok")
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    first = item_of(page)
    assert_accessible(page)
    expect(page.locator(".where")).to_have_text(re.compile(r"1 of \d+"))

    # The next pictures are there before one asks for them.
    page.wait_for_load_state("networkidle")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: f"/items/{first}" not in url)
    second = item_of(page)
    page.wait_for_load_state("networkidle")
    asked = len(gallery.asked)
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: f"/items/{second}" not in url)
    third = item_of(page)
    address = f"/items/{third}/pictures/0?size=screen"
    assert not [one for one in gallery.asked[asked:] if one.endswith(address)]
    page.keyboard.press("ArrowLeft")
    at(page, second)
    page.keyboard.press("ArrowLeft")
    at(page, first)

    page.keyboard.press("a")
    at(page, second)
    said(page, "Accepted")
    page.keyboard.press("r")
    at(page, third)
    said(page, "Rejected")
    assert [review.decision for review in reviewed(portraits, first, second)] == ["accepted", "rejected"]

    page.keyboard.press("z")
    at(page, second)
    expect(page.get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "false")
    assert not portraits.store.reviews.of([ItemId(second)])
    page.get_by_label("go on after deciding").uncheck()
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "true")
    at(page, second)
    page.keyboard.press("u")
    at(page, third)
    page.go_back()
    at(page, second)

    page.keyboard.press("g")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    at(page, first)
    page.keyboard.press("f")
    expect(page.locator(".view.full")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator(".view.full")).to_have_count(0)
    page.keyboard.press("?")
    for key in ("a", "r", "e", "s", "n", "z", "u", "f", "g", "Esc"):
        expect(page.locator("#keys kbd", has_text=re.compile(f"^{key}$")).first).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Backspace")
    page.wait_for_url(f"**{RUN}?status=ok&focus={first}")


def test_answers_are_edited_noted_and_starred_and_a_broken_edit_is_told(gallery: Gallery, portraits: Client) -> None:
    page = gallery.go(f"{RUN}?status=noncompliant&order=longest")
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    item = item_of(page)
    expect(page.locator(".note").first).to_contain_text("cut off by the length limit")
    expect(page.locator(".generations li")).to_have_count(3)
    expect(page.locator(".generations mark.fault").first).to_have_text("<bob>")

    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("The person stands there.")
    page.keyboard.press("Escape")
    expect(page.locator("#edit")).to_be_hidden()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("The person stands there.")
    page.keyboard.press("Control+Enter")
    said(page, "missing_tag")
    expect(page.locator(".problem")).to_contain_text("breaks the tag rule")
    expect(page.locator(".answer mark.missing")).to_be_visible()
    assert_accessible(page)
    assert reviewed(portraits, item)[0].answer == "The person stands there."

    page.keyboard.press("e")
    page.keyboard.press("Home")
    page.keyboard.type("<mam>, that is: ")
    page.keyboard.press("Control+Enter")
    tag = page.locator("#edit .mono").text_content() or ""
    if tag == "<mam>":
        expect(page.locator(".problem")).to_have_count(0)
    else:
        expect(page.locator(".answer mark.fault")).to_have_text("<mam>")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Use the model's again").click()
    expect(page.locator(".said-of .label.edited")).to_have_count(0)

    page.keyboard.press("n")
    page.keyboard.type("ask again with a longer limit")
    page.keyboard.press("Control+Enter")
    said(page, "note is stored")
    page.keyboard.press("s")
    expect(page.locator(".said-of .label.starred")).to_be_visible()
    (review,) = reviewed(portraits, item)
    assert (review.answer, review.note, review.starred) == (None, "ask again with a longer limit", True)
    page.locator("summary", has_text="earlier reviews").click()
    assert_accessible(page)

    page.locator("summary", has_text="same picture elsewhere").click()
    expect(page.locator(".found li").first).to_be_visible()
    page.locator(".siblings").first.get_by_role("link").first.click()
    expect(page.locator(".one")).not_to_have_attribute("data-item", str(item))
    page.get_by_label("You review as").fill("Ann B")
    page.get_by_label("You review as").press("Enter")
    page.get_by_label("You review as").blur()
    page.keyboard.press("s")
    expect(page.locator(".said-of .label.starred")).to_be_visible()
    assert reviewed(portraits, item_of(page))[0].reviewer == "Ann B"


def test_a_newcomer_rejects_the_worst_and_exports_the_rest(gallery: Gallery, portraits: Client, tmp_path: Path) -> None:
    page = gallery.go(f"{RUN}?status=ok")
    count = int(page.locator(".pager .where strong").first.text_content() or 0)
    page.keyboard.press("A")
    expect(page.locator("#batch h2")).to_have_text(f"Accept {count} answers?")
    assert_accessible(page)
    page.get_by_role("button", name=f"Accept {count}").click()
    expect(page.locator("#batch h2")).to_have_text(f"{count} accepted")
    page.keyboard.press("Escape")
    expect(page.locator(".tile.is-accepted")).to_have_count(count)
    page.keyboard.press("z")
    said(page, f"{count} answers are as before")
    expect(page.locator(".tile.is-accepted")).to_have_count(0)

    page.get_by_role("button", name="Accept all").click()
    page.get_by_role("button", name=f"Accept {count}").click()
    expect(page.locator("#batch h2")).to_have_text(f"{count} accepted")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name=re.compile("^late_tag ")).click()
    page.wait_for_url("**kind=late_tag**")
    worst = page.locator(".tile").evaluate_all("all => all.map(one => Number(one.dataset.item))")
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Reject 2 selected")).to_be_visible()
    page.keyboard.press("R")
    said(page, "2 rejected")
    page.goto(f"{gallery.origin}{RUN}?review=accepted")
    expect(page.locator(".pager .where strong").first).to_have_text(str(count - 2))
    kept = page.locator(".tile").evaluate_all("all => all.map(one => Number(one.dataset.item))")
    assert not set(kept) & set(worst[:2])

    path = tmp_path / "kept.jsonl"
    portraits.run("portraits").export(path, reviewed="accepted", output_key="qa", with_meta=True)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["persqa"]["item"] for row in written} == set(kept)


def test_what_others_do_meanwhile_is_told(gallery: Gallery, portraits: Client) -> None:
    page = gallery.go(f"{RUN}?status=ok")
    page.locator(".tile .look").nth(1).click()
    page.wait_for_url("**/items/**")
    item, run = item_of(page), portraits.run("portraits")
    portraits.store.reviews.change(run.run.id, [item], {"decision": "rejected"}, reviewer="Bob", action="b" * 16)
    page.keyboard.press("a")
    said(page, "Bob has rejected it meanwhile")
    at(page, item)
    assert reviewed(portraits, item)[0].decision == "rejected"
    page.keyboard.press("a")
    said(page, "Accepted")
    assert reviewed(portraits, item)[0].decision == "accepted"

    page.keyboard.press("ArrowLeft")
    expect(page.locator(".one")).not_to_have_attribute("data-item", str(item))
    other = item_of(page)
    run.requeue(items=[other])
    page.keyboard.press("a")
    said(page, "nothing to review yet")
    at(page, other)


def test_who_may_only_read_sees_why_there_is_nothing_to_press(
    open_gallery: Open, portraits: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What tells it of a role or a file is tested with the store.
    monkeypatch.setattr(Reviews, "may_write", lambda _self: False)
    page = open_gallery(portraits).go(RUN)
    expect(page.locator(".note", has_text="may only be read")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Accept"))).to_have_count(0)
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    expect(page.locator(".note", has_text="may only be read")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Accept"))).to_have_count(0)
    page.keyboard.press("a")
    said(page, "nothing to decide")
    assert_accessible(page)
