"""The first page: what it shows of runs at rest, of many, of none, and of servers that are away."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import event

from persqa.policies import Policy
from persqa.results import Status
from persqa.runs import RunState, parse_options
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from producer.web.fleet_watch import FleetWatch
from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_accessible, gallery_of
from tests.support.builders import a_stored_run, an_item, an_outcome
from tests.support.servers import postgres_process

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from persqa.settings import Settings

_RUNS = 90
#: What a page of runs asks of the database, however many there are.
_MOST_STATEMENTS = 14


def _settings(tmp_path: Path, **more: str) -> Settings:
    return load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db", **more)


@pytest.fixture
def silent_broker() -> Generator[str]:
    """What takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_shares_and_compliance_are_those_of_the_database(gallery: Gallery) -> None:
    progress = gallery.client.run("portraits").progress()
    page = gallery.go()
    for status in Status:
        items = progress.ended[status]
        share = f"{100 * items / progress.submitted:.1f} %"
        link = page.locator(f".legend a[href='/runs/portraits?status={status}']")
        expect(link).to_have_text(f"{items} {status} {share}")
        width = float(page.locator(f"svg.shares rect.{status}").get_attribute("width") or "")
        assert width == pytest.approx(1000 * items / progress.submitted, abs=0.01)
    judged = progress.ended[Status.OK] + progress.ended[Status.NONCOMPLIANT]
    said = f"{100 * progress.ended[Status.OK] / judged:.1f} % keep the tag rule, after repair (95 % interval: "
    expect(page.locator(".facts")).to_contain_text(said)
    expect(page.locator("#fleet")).to_contain_text("No worker is up")
    assert_accessible(page)


def test_without_a_broker_each_act_says_what_will_do_it(gallery: Gallery) -> None:
    page, said = gallery.go(), gallery.page.locator("#said")
    page.get_by_role("button", name="Pause").click()
    expect(said).to_have_text("portraits is paused, with 4 items pending; workers drop what is in their queue")
    page.get_by_role("button", name="Resume").click()
    expect(said).to_contain_text("nobody on this machine works on it: the next `persqa run` of its input goes on")
    page.locator("details.more summary").click()
    page.get_by_role("button", name="low").click()
    expect(said).to_contain_text("portraits has low priority; what is in a queue stays where it is")
    page.locator("details.more summary").click()
    page.get_by_role("link", name="Ask invalid ones again").click()
    page.get_by_role("button", name="Ask 6 again").click()
    expect(said).to_contain_text("6 invalid items are asked again; no broker is named here")
    assert gallery.client.run("portraits").progress().pending == 10


def test_compliance_says_what_it_tells_of(open_gallery: Open, tmp_path: Path) -> None:
    store = Store.open(_settings(tmp_path).database_url)
    for policy in Policy:
        run = store.runs.create(
            policy, options=parse_options(tag_policy=policy), pool_digest="p", fingerprint="f", base="/", item_count=1
        )
        items = [an_item(run.id, 0)]
        store.ledger.add(items, [])
        store.results.commit([an_outcome(items[0])])
    options = parse_options(verbatim=True)
    run = store.runs.create("verbatim", options=options, pool_digest="p", fingerprint="f", base="/", item_count=1)
    items = [an_item(run.id, 0)]
    store.ledger.add(items, [])
    store.results.commit([an_outcome(items[0])])
    store.close()
    with Client(_settings(tmp_path), local_worker=False) as client:
        page = open_gallery(client).go()
        said = dict(zip(page.locator("li.run h2").all_inner_texts(), page.locator("li.run .facts").all(), strict=True))
        expect(said["check"]).to_contain_text("100.0 % keep the tag rule (95 % interval: 20.7 to 100.0 %)")
        expect(said["repair"]).to_contain_text("keep the tag rule, after repair")
        expect(said["prefill"]).to_contain_text("keep the tag rule, with the tag written for the model")
        expect(said["verbatim"]).not_to_contain_text("tag rule")


@contextmanager
def _statements() -> Generator[list[str]]:
    """What is asked of databases while it is open."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield asked
    event.remove(sa.Engine, "before_cursor_execute", note)


def test_of_many_runs_those_under_way_come_first_and_the_rest_by_pages(open_gallery: Open, tmp_path: Path) -> None:
    store = Store.open(_settings(tmp_path).database_url)
    for number in range(_RUNS):
        _run, batch = a_stored_run(store, 1, f"run-{number}")
        store.results.commit([an_outcome(item) for item in batch if number != 3])
    store.close()
    with Client(_settings(tmp_path), local_worker=False) as client:
        gallery = open_gallery(client, width=390, height=844)
        with _statements() as asked:
            page = gallery.go()
            expect(page.locator("#fleet")).to_contain_text("No worker is up")
        looks = sum(path.partition(" ")[2].removeprefix(gallery.origin) in ("/", "/fleet") for path in gallery.asked)
        assert len(asked) <= _MOST_STATEMENTS * looks
        seen = _names(page)
        assert seen[:2] == ["run-3", f"run-{_RUNS - 1}"], "what is under way comes first"
        assert_accessible(page)
        while (older := page.get_by_role("link", name="Older runs")).count():
            older.click()
            page.wait_for_url("**/?before=*")
            expect(page.locator("li.run").first).not_to_contain_text(seen[-1])
            seen += _names(page)
        others = [f"run-{number}" for number in reversed(range(_RUNS)) if number != 3]
        assert seen == ["run-3", *others], "each is there once"
        page.keyboard.press("/")
        page.keyboard.type("UN-8")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?q=UN-8")
        assert _names(page) == [f"run-{number}" for number in (89, 88, 87, 86, 85, 84, 83, 82, 81, 80, 8)]
        gallery.go("/?q=%25")
        expect(page.locator("#runs")).to_contain_text("No run has “%” in its name")


def _names(page: Page) -> list[str]:
    return page.locator("li.run h2").all_inner_texts()


def test_without_a_run_it_says_how_to_start_one_and_finds_it_by_itself(open_gallery: Open, tmp_path: Path) -> None:
    with Client(_settings(tmp_path), local_worker=False) as client:
        page = open_gallery(client).go()
        expect(page.locator("#runs")).to_contain_text("persqa run INPUT")
        assert_accessible(page)
        store = Store.open(client.settings.database_url)
        a_stored_run(store, 2, "the-first")
        store.close()
        expect(page.get_by_role("link", name="the-first")).to_be_visible()


def test_a_database_that_is_away_is_waited_for(browser: Browser) -> None:
    with postgres_process() as server:
        url = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
        store = Store.open(url)
        a_stored_run(store, 2, "kept")
        store.close()
        # What a gallery is still asked when its client has gone would leave a connection behind.
        with served(url, browser) as gallery:
            page = gallery.go()
            expect(page.get_by_role("link", name="kept")).to_be_visible()
            with served(f"{url}&options=-c%20default_transaction_read_only%3Don", browser) as reading:
                only = reading.go()
                expect(only.get_by_role("link", name="kept")).to_be_visible()
                expect(only.get_by_role("button", name="Pause")).to_have_count(0)
            expect(page.get_by_role("button", name="Pause")).to_be_visible()
            server.stop()
            expect(page.get_by_role("alert")).to_contain_text("The database does not answer")
            server.start()
            expect(page.get_by_role("link", name="kept")).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)


@contextmanager
def served(database: str, browser: Browser) -> Generator[Gallery]:
    with (
        Client(load_settings(database_url=database), local_worker=False) as client,
        gallery_of(client, browser) as shown,
    ):
        yield shown


def test_a_broker_that_says_nothing_keeps_no_page_waiting(
    open_gallery: Open, tmp_path: Path, silent_broker: str
) -> None:
    store = Store.open(_settings(tmp_path).database_url)
    a_stored_run(store, 2, "waits")
    store.close()
    with Client(_settings(tmp_path, broker_url=silent_broker), local_worker=False) as client:
        page = open_gallery(client).go()
        assert page.get_by_role("link", name="waits").is_visible()
        expect(page.locator("#fleet")).to_contain_text("Asking the broker")
        expect(page.locator("#fleet .note")).to_contain_text("what is shown is what the database knows")


def test_a_run_is_paused_though_its_broker_is_away(open_gallery: Open, tmp_path: Path) -> None:
    store = Store.open(_settings(tmp_path).database_url)
    a_stored_run(store, 2, "waits")
    store.close()
    with Client(_settings(tmp_path, broker_url=f"redis+socket://{tmp_path}/none"), local_worker=False) as client:
        page = open_gallery(client).go()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#said .failed")).to_contain_text("no such file")
        expect(page.locator(".label", has_text="paused")).to_be_visible()
        assert client.run("waits").progress().state is RunState.PAUSED, "that is in the database, whoever is away"


def test_all_browsers_together_ask_once(tmp_path: Path, silent_broker: str) -> None:
    store = Store.open(_settings(tmp_path).database_url)
    a_stored_run(store, 2)
    store.close()
    with Client(_settings(tmp_path, broker_url=silent_broker), local_worker=False) as client:
        watch = FleetWatch(client)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(watch.now) for _ in range(8)]
        found = {id(one.result()): one.result() for one in asked}
    (answer,) = found.values()
    assert not answer.answers
