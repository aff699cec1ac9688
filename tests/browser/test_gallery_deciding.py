"""From looking to exporting: one item after the other, many at once, and what goes wrong between people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest.mock import Mock

import pytest
from playwright.sync_api import Page, expect

from persqa.items import ItemId
from persqa.reviews import Review
from persqa.store.reviews import Reviews
from producer import Client
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_accessible
from tests.support.walking import RUN, first_item, grid, tiles, total


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
    page = first_item(gallery, f"{RUN}?status=ok")
    assert_accessible(page)
    expect(page.locator(".where")).to_have_text(re.compile(r"1 of \d+"))
    first, second, third = _move(page, gallery)

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
    expect(page.get_by_label("go on after deciding")).not_to_be_checked()
    _look_closer(page, first)


def _move(page: Page, gallery: Gallery) -> list[int]:
    """Go on twice and back again; the pictures that come are there before one asks for them."""
    seen = [item_of(page)]
    asked = 0
    for _ in range(2):
        page.wait_for_load_state("networkidle")
        asked = len(gallery.asked)
        page.keyboard.press("ArrowRight")
        expect(page.locator(".one")).not_to_have_attribute("data-item", str(seen[-1]))
        seen.append(item_of(page))
    shown = f"/items/{seen[-1]}/pictures/0?size=screen"
    assert not [one for one in gallery.asked[asked:] if one.endswith(shown)]
    for item in (seen[1], seen[0]):
        page.keyboard.press("ArrowLeft")
        at(page, item)
    return seen


def _look_closer(page: Page, first: int) -> None:
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


def test_answers_are_edited_and_a_broken_edit_is_told(gallery: Gallery, portraits: Client) -> None:
    page = first_item(gallery, f"{RUN}?status=noncompliant&order=longest")
    item = item_of(page)
    expect(page.locator(".note").first).to_contain_text("cut off by the length limit")
    expect(page.locator(".generations li")).to_have_count(3)
    expect(page.locator(".generations mark.fault").first).to_have_text("<bob>")

    _edit(page, "Never stored.", "Escape")
    expect(page.locator("#edit")).to_be_hidden()
    assert not portraits.store.reviews.of([ItemId(item)])
    _edit(page, "The person stands there.", "Control+Enter")
    said(page, "missing_tag")
    expect(page.locator(".problem")).to_contain_text("breaks the tag rule")
    expect(page.locator(".answer mark.missing")).to_be_visible()
    assert_accessible(page)
    assert reviewed(portraits, item)[0].answer == "The person stands there."
    tag = page.locator("#edit .mono").text_content()
    _edit(page, f"{tag} stands there.", "Control+Enter")
    said(page, "used instead of the model's")
    expect(page.locator(".problem")).to_have_count(0)

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Use the model's again").click()
    expect(page.locator(".said-of .label.edited")).to_have_count(0)
    assert reviewed(portraits, item)[0].answer is None
    page.locator("summary", has_text="earlier reviews").click()
    assert_accessible(page)


def _edit(page: Page, text: str, last: str) -> None:
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press(last)


def test_notes_stars_names_and_what_stands_beside_an_item(gallery: Gallery, portraits: Client) -> None:
    page = first_item(gallery, RUN)
    item = item_of(page)
    page.keyboard.press("n")
    page.keyboard.type("ask again with a longer limit")
    page.keyboard.press("Control+Enter")
    said(page, "note is stored")
    page.keyboard.press("s")
    expect(page.locator(".said-of .label.starred")).to_be_visible()
    (review,) = reviewed(portraits, item)
    assert (review.note, review.starred) == ("ask again with a longer limit", True)

    page.locator("summary", has_text="same picture elsewhere").click()
    expect(page.locator(".found li").first).to_be_visible()
    page.locator(".siblings").first.get_by_role("link").first.click()
    expect(page.locator(".one")).not_to_have_attribute("data-item", str(item))
    name = page.get_by_label("You review as")
    name.fill("Ann B")
    name.blur()
    said(page, "You review as Ann B")
    page.reload()
    expect(name).to_have_value("Ann B")
    page.keyboard.press("r")
    said(page, "Rejected")
    assert reviewed(portraits, *[r for r in _others(portraits) if r != item])[0].reviewer == "Ann B"


def _others(client: Client) -> list[int]:
    """All items that somebody has reviewed."""
    run = client.run("portraits")
    ids = [ItemId(row.item_id) for row in run.results()]
    return [int(item) for item in client.store.reviews.of(ids)]


def test_a_newcomer_rejects_the_worst_and_exports_the_rest(gallery: Gallery, portraits: Client, tmp_path: Path) -> None:
    page = grid(gallery, f"{RUN}?status=ok")
    count = total(page)
    page.keyboard.press("A")
    expect(page.locator("#batch h2")).to_have_text(f"Accept all {count} that are shown?")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.locator("#batch")).to_be_hidden()
    page.keyboard.press("A")
    expect(page.get_by_role("button", name=f"Accept {count}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#batch h2")).to_have_text(f"{count} accepted")
    page.keyboard.press("Escape")
    expect(page.locator(".tile.is-accepted")).to_have_count(count)
    page.keyboard.press("z")
    said(page, f"{count} answers are as before")
    expect(page.locator(".tile.is-accepted")).to_have_count(0)

    page.get_by_role("button", name="Accept all").click()
    _accept_all(page, count)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name=re.compile("^late_tag ")).click()
    page.wait_for_url("**kind=late_tag**")
    worst = tiles(page)
    for key in ("x", "ArrowRight", "x"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="Reject 2 selected")).to_be_visible()
    page.keyboard.press("R")
    said(page, "2 rejected")
    page = grid(gallery, f"{RUN}?review=accepted")
    expect(page.locator(".pager .where strong").first).to_have_text(str(count - 2))
    assert not set(tiles(page)) & set(worst[:2])
    _export(portraits, tiles(page), tmp_path / "kept.jsonl")


def _export(portraits: Client, kept: list[int], path: Path) -> None:
    """What is exported is what the page has shown as accepted."""
    portraits.run("portraits").export(path, reviewed="accepted", output_key="qa", with_meta=True)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    accepted = [row for row in portraits.run("portraits").results() if row.item_id in kept]
    assert [(row["id"], row["qa"]) for row in written] == [(row.record_id, row.answer) for row in accepted]
    assert {row["persqa"]["review"] for row in written} == {"accepted"}


def _accept_all(page: Page, count: int) -> None:
    page.get_by_role("button", name=f"Accept {count}").click()
    expect(page.locator("#batch h2")).to_have_text(f"{count} accepted")


def test_what_others_do_meanwhile_is_told(gallery: Gallery, portraits: Client) -> None:
    page = grid(gallery, f"{RUN}?status=ok")
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

    expect(page.locator(".one")).not_to_have_attribute("data-item", str(item))
    other = item_of(page)
    run.requeue(items=[other])
    page.keyboard.press("a")
    said(page, "asked again and has no answer yet")
    at(page, other)


def test_who_may_only_read_sees_why_there_is_nothing_to_press(
    open_gallery: Open, portraits: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What tells it of a role or a file is tested with the store.
    monkeypatch.setattr(Reviews, "may_write", Mock(return_value=False))
    page = grid(open_gallery(portraits))
    expect(page.locator(".note", has_text="may only be read")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Accept"))).to_have_count(0)
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    expect(page.locator(".note", has_text="may only be read")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Accept"))).to_have_count(0)
    page.keyboard.press("a")
    said(page, "nothing to decide")
    assert_accessible(page)
