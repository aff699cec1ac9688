"""The first page while a worker is at work: what it shows, and what people do from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from persqa.runs import Priority, RunState
from producer import Client
from tests.browser.conftest import Open
from tests.support.browsing import assert_accessible
from tests.support.queues import HIGH, held, many_records, waiting
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site

_RECORDS = 400
#: Seconds that one of a few items takes while there is something to see.
_SEEN = "0.15"


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_people_see_a_run_go_on_and_decide_about_it(
    site: Site, open_gallery: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = tmp_path / "pace"
    pace.write_text(_SEEN)
    monkeypatch.setenv("SCRIPT_SECONDS_FILE", str(pace))
    settings = scripted(site.settings, "takes_as_told").model_copy(update={"window": 4})
    with Client(settings) as client:
        client.submit(many_records(tmp_path / "data", _RECORDS), run="portraits")
        page = open_gallery(client).go()
        card = page.locator("li.run", has=page.get_by_role("link", name="portraits"))
        expect(card).to_contain_text(f"{_RECORDS} pending")
        expect(page.locator("#fleet")).to_contain_text("there is no worker")
        with WorkerProcess(settings, tmp_path):
            _it_goes_on(page)
            _it_is_paused_and_put_before_others(page, client)
            assert waiting(settings) == waiting(settings, HIGH) == 0
            wait_until(lambda: held(settings) == 0, describe="what has begun is finished")
            _it_is_resumed(page, client)
            assert waiting(settings, HIGH) > 0
            _it_is_cancelled_on_second_thoughts(page, client)
            page.set_viewport_size({"width": 390, "height": 844})
            assert_accessible(page)
            pace.write_text("0")
            wait_until(lambda: held(settings) == 0, describe="what has begun is finished")


def _it_goes_on(page: Page) -> None:
    """Counts, rate and worker change by themselves, and nothing that a person has in hand moves."""
    fleet = page.locator("#fleet")
    expect(fleet).to_contain_text("ready")
    expect(fleet).to_contain_text("scripted")
    expect(fleet).to_contain_text("wait in persqa")
    page.locator("details.more summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="low").focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.run h2'))")
    ok = page.locator(".legend a").first
    seen = ok.inner_text()
    expect(ok).not_to_have_text(seen)
    expect(page.locator(".facts")).to_contain_text("items/s")
    expect(page.locator(".facts")).to_contain_text("left")
    expect(page.locator(".facts")).to_contain_text("% keep the tag rule, after repair (95 % interval")
    assert float(page.locator("svg.shares rect.ok").get_attribute("width") or 0) > 0
    assert page.evaluate("document.activeElement.value") == "low"
    assert page.evaluate("getSelection().toString()") == "portraits"
    assert page.locator("details.more").get_attribute("open") is not None
    assert_accessible(page)
    page.keyboard.press("Escape")
    assert page.locator("details.more").get_attribute("open") is None


def _it_is_paused_and_put_before_others(page: Page, client: Client) -> None:
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#said")).to_contain_text("portraits is paused, with")
    expect(page.locator("#said")).to_contain_text("taken out of the queue")
    assert client.run("portraits").progress().state is RunState.PAUSED
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.locator("details.more summary").click()
    page.get_by_role("button", name="high").click()
    expect(page.locator("#said")).to_contain_text("portraits has high priority")
    expect(page.locator(".run .label", has_text="high priority")).to_be_visible()
    assert client.run("portraits").run.priority is Priority.HIGH


def _it_is_resumed(page: Page, client: Client) -> None:
    pending = client.run("portraits").progress().pending
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#said")).to_contain_text(f"portraits goes on, {pending} items are enqueued")
    assert client.run("portraits").run.state is RunState.ACTIVE


def _it_is_cancelled_on_second_thoughts(page: Page, client: Client) -> None:
    page.locator("details.more summary").click()
    page.get_by_role("link", name="Cancel the run").click()
    expect(page.get_by_role("dialog")).to_contain_text("of its items are pending")
    page.get_by_role("link", name="Let it go on").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert client.run("portraits").run.state is RunState.ACTIVE
    page.locator("details.more summary").click()
    page.get_by_role("link", name="Cancel the run").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#said")).to_contain_text("portraits is cancelled")
    expect(page.locator(".run .label", has_text="cancelled")).to_be_visible()
    assert client.run("portraits").run.state is RunState.CANCELLED
