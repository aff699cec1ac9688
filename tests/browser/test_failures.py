"""What went wrong in a run: groups that are right, and asking exactly a group again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

from persqa.items import ItemId
from persqa.reasons import Reason
from persqa.results import Status
from persqa.runs import RunState
from persqa.settings import load_settings
from persqa.store import Store
from persqa.verdicts import ViolationKind
from producer import Client
from producer.advice import advice
from tests.browser.conftest import Open
from tests.integration.test_worker import quiet
from tests.support.browsing import Gallery, assert_accessible
from tests.support.builders import a_stored_run, an_outcome, write_images
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from persqa.pairs import PairRow
    from tests.conftest import Site, Size


def _rows(client: Client) -> dict[int, PairRow]:
    return {row.item_id: row for row in client.run("portraits").results()}


def test_groups_say_how_many_why_and_what_to_do(gallery: Gallery) -> None:
    rows = _rows(gallery.client)
    found = Counter((row.status, row.reason) for row in rows.values() if row.status not in ("ok", "pending"))
    page = gallery.go("/runs/portraits/failures")
    expect(page.locator("article.group")).to_have_count(len(found))
    for (status, reason), items in found.items():
        group = page.locator(f"#{status}-{reason}")
        expect(group.locator("h3")).to_have_text(f"{reason} {items} items, {100 * items / len(rows):.1f} % of all")
        expect(group.locator(".advice")).to_have_text(advice(reason))
        ours = [row.item_id for row in rows.values() if (row.status, row.reason) == (status, reason)]
        links = [link.get_attribute("href") or "" for link in group.locator(".examples a").all()]
        assert links == [f"/runs/portraits/items/{one}?status={status}&reason={reason}" for one in ours[:6]]
    expect(page.locator("#invalid-not_found .said-of")).to_have_text("images/not-there.jpg: no such file")
    broken = next(row for row in rows.values() if row.reason == ViolationKind.TRUNCATED)
    expect(page.locator("#noncompliant-truncated .said-of")).to_have_text(f"“{broken.answer}”")
    assert_accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert_accessible(page)
    page.locator("#dead-time_limit").get_by_role("link", name="Show them").click()
    page.wait_for_url("**/runs/portraits?status=dead&reason=time_limit")


def test_asking_again_takes_exactly_the_group_that_was_shown(gallery: Gallery) -> None:
    client, before = gallery.client, _rows(gallery.client)
    ours = [row.item_id for row in before.values() if row.reason == Reason.TIME_LIMIT]
    page = gallery.go("/runs/portraits/failures")
    page.locator("#dead-time_limit").get_by_role("link", name="Ask these again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Ask {len(ours)} dead items again?")
    assert_accessible(page)
    assert _rows(client) == before, "asking about it changes nothing"
    # Meanwhile one of them is asked again by somebody else, and ends well; and another one joins the group.
    run = client.run("portraits")
    run.requeue("dead", items=ours[:1])
    pending = {item.id: item for some in client.store.ledger.pending(run.run.id) for item in some}
    good, (late, *_rest) = pending.pop(ItemId(ours[0])), pending.values()
    client.store.results.commit([an_outcome(good), an_outcome(late, Status.DEAD, reason=Reason.TIME_LIMIT)])
    dialog.get_by_role("button", name=f"Ask {len(ours)} again").click()
    expect(page.locator("#said")).to_contain_text(f"{len(ours) - 1} dead items are asked again")
    expect(page.locator("#said")).to_contain_text("1 had ended otherwise meanwhile")
    expect(page.locator("#said")).to_contain_text("no broker is named here")
    expect(page.locator("#dead-time_limit h3")).to_contain_text("1 item,")
    after = _rows(client)
    assert {one for one, row in after.items() if row != before[one]} == {*ours, late.id}
    assert after[ours[0]].status is Status.OK
    assert {after[one].status for one in ours[1:]} == {"pending"}
    assert after[late.id].reason == Reason.TIME_LIMIT


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_worker_answers_exactly_the_group_again(site: Site, open_gallery: Open, tmp_path: Path) -> None:
    settings = scripted(site.settings, "by_number")
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        run = client.submit(write_images(tmp_path / "data", 20), run="portraits", tag_policy="check")
        run.wait(timeout_seconds=60, display=quiet)
        broken = [row.item_id for row in run.results(status="noncompliant")]
        assert 0 < len(broken) < 20
        page = open_gallery(client).go("/runs/portraits/failures")
        page.locator("#ask-noncompliant-empty").click()
        page.get_by_role("button", name=f"Ask {len(broken)} again").click()
        expect(page.locator("#said")).to_have_text(f"{len(broken)} noncompliant items are asked again")
        run.wait(timeout_seconds=60, display=quiet)
        assert {one for one in _rows(client) if run.earlier_results(one)} == set(broken)
        expect(page.locator("#noncompliant-empty h3")).to_contain_text(f"{len(broken)} items")


def test_it_works_without_scripts(portraits: Client, browser: Browser, open_gallery: Open) -> None:
    gallery = open_gallery(portraits)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{gallery.origin}/")
        page.locator("details.more summary").click()
        page.get_by_role("link", name="Ask invalid ones again").click()
        page.get_by_label("try the images, too, that are known to be bad").check()
        page.get_by_role("button", name="again").click()
        expect(page.locator("main")).to_contain_text("6 invalid items are asked again")
        page.get_by_role("link", name="All runs").click()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("main")).to_contain_text("portraits is paused, with 10 items pending")
    run = portraits.run("portraits")
    assert run.run.recheck
    assert (run.progress().state, run.progress().pending) == (RunState.PAUSED, 10)


def test_records_that_are_wrong_in_themselves_and_good_answers_are_left_alone(
    open_gallery: Open, tmp_path: Path
) -> None:
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), local_worker=False) as client:
        store = Store.open(client.settings.database_url)
        _run, batch = a_stored_run(store, 4)
        wrong = [
            an_outcome(batch[0], Status.INVALID, answer=None, reason=Reason.BAD_CONVERSATION),
            an_outcome(batch[1], Status.INVALID, answer=None, reason=Reason.BROKEN_IMAGE),
        ]
        store.results.commit([*wrong, an_outcome(batch[2]), an_outcome(batch[3])])
        store.close()
        page = open_gallery(client).go("/runs/r/failures")
        expect(page.locator("#invalid-bad_conversation")).to_contain_text("Asking again would change nothing")
        expect(page.locator("#invalid-bad_conversation").get_by_role("link", name="again")).to_have_count(0)
        page.locator("#invalid-broken_image").get_by_role("link", name="again").click()
        expect(page.get_by_role("dialog").get_by_role("checkbox")).to_be_checked()
        for path in ("requeue?status=ok", "requeue?reason=broken_image", "requeue?status=dead&status=invalid"):
            assert page.request.get(f"{page.url.removesuffix('failures')}{path}").status == 400
        answer = page.request.post(
            f"{page.url.removesuffix('failures')}requeue",
            form={"status": "ok"},
            headers={"origin": page.url.removesuffix("/runs/r/failures")},
        )
        assert answer.status == 400
        assert client.run("r").progress().ended[Status.OK] == 2


def test_a_large_group_is_asked_again_while_people_are_told(open_gallery: Open, tmp_path: Path, size: Size) -> None:
    """Taking back goes in steps of 5,000 items."""
    many = size(6_000, 100_000)
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), local_worker=False) as client:
        store = Store.open(client.settings.database_url)
        _run, batch = a_stored_run(store, many + 3)
        dead = [an_outcome(item, Status.DEAD, answer=None, reason=Reason.LOST) for item in batch[:many]]
        store.results.commit([*dead, *map(an_outcome, batch[many:])])
        store.close()
        page = open_gallery(client).go("/runs/r/failures")
        page.get_by_role("link", name="Ask these again").click()
        page.get_by_role("button", name=f"Ask {many:,} again").click()
        expect(page.locator("#said")).to_contain_text(f"{many} dead items are asked again", timeout=120_000)
        expect(page.get_by_role("heading", name="Nothing did")).to_be_visible()
        assert client.run("r").progress().pending == many
