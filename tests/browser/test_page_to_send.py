"""A page to send, as who gets it opens it: from a file, with nothing of PersQA and no network."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, expect

from tests.support.browsing import assert_accessible, assert_fits
from tests.support.hostile_rows import MARK, TEXTS, a_hostile_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from producer import Client


@contextmanager
def _opened(browser: Browser, file: Path, **how: Any) -> Generator[Page]:
    """A page from a file; at the end nobody was asked for anything, and nothing was wrong."""
    asked, complaints = list[str](), list[str]()
    options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, **how}
    with browser.new_context(**options) as context:
        context.on("request", lambda request: asked.append(request.url))
        context.on("console", lambda message: complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(file.as_uri())
        yield page
        assert [url for url in asked if not url.startswith("data:image/jpeg;")] == [file.as_uri()]
        assert complaints == []


def _shown(page: Page) -> int:
    return page.locator(".pair:visible").count()


def test_what_one_chooses_is_shown_without_a_server(browser: Browser, portraits: Client, tmp_path: Path) -> None:
    run, file = portraits.run("portraits"), tmp_path / "page.html"
    edited = next(row.item_id for row in run.results(status="ok") if row.topic == "attire")
    run.review([edited], decision="accepted", answer="<mam> wears a hat.", starred=True, note="too short before")
    whole = run.export(file, gallery=True, sample=1000)
    rows = [row for row in run.results() if row.status != "pending"]
    assert whole == len(rows)
    with _opened(browser, file) as page:
        assert _shown(page) == whole
        assert page.locator(".pair img").evaluate_all("all => all.every((one) => one.naturalWidth > 100)")
        page.get_by_label("Status").select_option("noncompliant")
        assert _shown(page) == sum(row.status == "noncompliant" for row in rows)
        page.get_by_label("Violation").select_option("wrong_tag")
        page.locator("#question").select_option("attire")
        several = _shown(page)
        assert 0 < several < whole
        expect(page.locator("output")).to_have_text(f"{several} of {whole} shown")
        page.get_by_role("button", name="All").click()
        expect(page.locator("output")).to_have_text(f"{whole} of {whole} shown")
        page.get_by_label("Review").select_option("edited")
        assert _shown(page) == 1
        seen = page.locator(".pair:visible").inner_text()
        for said in ("<mam> wears a hat.", "The model's answer:", "accepted", "starred", "Note: too short before"):
            assert said in seen
        page.get_by_label("Review").select_option("")
        page.get_by_label("Text").fill("PERSON-0002")
        assert _shown(page) == sum(row.record_id == "person-0002" for row in rows)
        page.get_by_label("Text").press("Enter")
        assert page.url == file.as_uri()


def test_anybody_can_read_it_in_light_and_dark_and_on_a_phone(
    browser: Browser, portraits: Client, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    portraits.run("portraits").export(file, gallery=True, sample=20)
    for scheme in ("light", "dark"):
        with _opened(browser, file, color_scheme=scheme) as page:
            page.get_by_text("Options of the run").click()
            assert_accessible(page)
    with _opened(browser, file, viewport={"width": 390, "height": 844}) as page:
        assert_fits(page)
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("form").is_hidden()
        assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_scripts_it_is_a_plain_list(browser: Browser, portraits: Client, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    number = portraits.run("portraits").export(file, gallery=True, sample=30)
    with _opened(browser, file, java_script_enabled=False) as page:
        assert _shown(page) == number
        assert page.locator("form").is_hidden()
        assert page.get_by_role("heading", name="Compliance by question").is_visible()


def test_hostile_texts_do_nothing(browser: Browser, portraits: Client, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    a_hostile_run(portraits, tmp_path / "hostile").export(file, gallery=True)
    with _opened(browser, file) as page:
        assert _shown(page) == len(TEXTS)
        for element in page.locator(".pair *").all():
            element.dispatch_event("mouseover")
        assert page.evaluate(f"window.{MARK}") is None
        # Nothing towers over what is around it, and nothing is as long as it would be.
        assert page.locator(".pair").evaluate_all("all => Math.max(...all.map((one) => one.offsetHeight))") < 1800
        assert_fits(page)


def test_a_report_has_its_figures_in_the_dark_and_on_a_phone(
    browser: Browser, portraits: Client, tmp_path: Path
) -> None:
    run, file = portraits.run("portraits"), tmp_path / "report.html"
    run.write_report(file)
    answers = sum(row.answer is not None for row in run.results())
    with _opened(browser, file, color_scheme="dark") as page:
        assert page.locator(".figure").count() >= 5
        # A bar says what its table says.
        lengths = page.locator("section", has_text="How long answers are")
        numbers = lengths.locator(".bar-value strong").all_inner_texts()
        assert sum(map(int, numbers)) == answers
        assert 2 <= len(numbers) <= 30
        lengths.get_by_text("As a table").click()
        assert lengths.locator("tbody tr").count() == len(numbers)
        assert page.locator(".part.first").first.bounding_box() is not None
        assert_accessible(page)
    with _opened(browser, file, viewport={"width": 390, "height": 844}) as page:
        assert_fits(page)
