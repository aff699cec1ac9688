"""Spot checks stand beside the results: they change nothing that is counted, and go with the answers they are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.items import ItemId
from persqa.pairs import Choice
from persqa.results import Status
from persqa.runs import parse_options
from persqa.spot_checks import Check
from persqa.store.spot_checks import SpotCheck
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.builders import a_stored_run, an_item, an_outcome, write_images
from tests.support.sql import select
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.store import Store
    from producer import RunHandle
    from tests.conftest import Site

_EVERY = {"blind": 1.0, "swapped": 1.0, "again": 1.0}


def checks(url: str) -> dict[str, dict[int, tuple[str, str | None]]]:
    """By the name of the check and the item: status and answer."""
    found: dict[str, dict[int, tuple[str, str | None]]] = {}
    for name, item, status, answer in select(url, "SELECT check_name, item_id, status, answer FROM spot_checks"):
        found.setdefault(name, {})[item] = (status, answer)
    return found


def test_checks_are_asked_beside_the_results_and_go_with_them(site: Site, tmp_path: Path) -> None:
    settings, url = scripted(site.settings, "guesses_blind"), site.settings.database_url
    data = write_images(tmp_path / "data", 30)
    data.write_text(data.read_text() + '{"image": "images/none.png"}\n')
    with Client(settings) as client:
        run = client.submit(data, spot_check=_EVERY)
        plain = client.submit(data, run="plain")
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
            plain.wait(timeout_seconds=60, display=quiet)
            wait_until(lambda: sum(map(len, checks(url).values())) == 90, describe="all checks are there")
            assert counts(run) == counts(plain) == {"ok": 30, "invalid": 1}
            _hold_against_the_truth(run, checks(url))
            # Those that are asked anew are checked anew, and no other.
            before = checks(url)
            first, second, *_ = (row.item_id for row in run.results())
            run.requeue(items=[first, second])
            run.wait(timeout_seconds=60, display=quiet)
            wait_until(lambda: sum(map(len, checks(url).values())) == 90, describe="all checks are there again")
        after = checks(url)
        assert {name: set(found) for name, found in after.items()} == {
            name: set(found) for name, found in before.items()
        }
        assert run.audit().holds
        run.export(tmp_path / "out.jsonl", with_meta=True)
        exported = (tmp_path / "out.jsonl").read_text()
        assert len(exported.splitlines()) == 31
        assert "1-2-3" not in exported
        assert "blind" not in json.dumps([row.answer for row in run.results()])
        run.delete()
        assert checks(url) == {}


def _hold_against_the_truth(run: RunHandle, found: dict[str, dict[int, tuple[str, str | None]]]) -> None:
    """The engine says the colour of the picture; without one, always the same."""
    own = {row.item_id: row.answer for row in run.results() if row.status == Status.OK}
    assert {name: set(asked) for name, asked in found.items()} == {
        name: set(own) for name in ("blind", "swapped", "again")
    }
    assert {answer for _, answer in found["blind"].values()} == {"<mam> is 1-2-3"}
    for item, answer in own.items():
        assert found["again"][item] == ("ok", answer)
        status, other = found["swapped"][item]
        # The picture of the last record cannot be read, and that is said of the check alone.
        assert (status, other) == ("invalid", None) or (other != answer and other in own.values())
    summary = run.spot_checks()
    assert (summary.checks[Check.AGAIN].same.part, summary.checks[Check.BLIND].same.part) == (30, 0)
    assert all(one.is_seen for one in summary.from_picture)


def test_an_engine_that_dies_of_a_check_takes_no_answer_with_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = scripted(site.settings, "dies_blind")
    monkeypatch.setenv("DIES_ONCE", str(tmp_path / "died"))
    data = write_images(tmp_path / "data", 20)
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        run = client.submit(data, spot_check="blind=100%")
        run.wait(timeout_seconds=120, display=quiet)
        assert counts(run) == {"ok": 20}
        # The one that it died of is asked no more; others that were in flight may be lost with it.
    assert (tmp_path / "died").exists()
    assert len(checks(settings.database_url).get("blind", {})) < 20


def test_a_check_of_an_answer_that_is_gone_is_not_stored(store: Store) -> None:
    run, items = a_stored_run(store, 3)
    store.results.commit([an_outcome(items[0])])

    def late(index: int, requeues: int = 0) -> int:
        of = SpotCheck(
            item_id=items[index].id, run_id=run.id, check=Check.BLIND, status=Status.OK, seed=1, answer="a\0b"
        )
        return store.spot_checks.add([of], requeues=requeues)

    # Nobody has answered it; it was asked before a requeue; it is there; it is there already.
    assert [late(1), late(0, 1), late(0), late(0)] == [0, 0, 1, 0]
    (found,) = store.spot_checks.of(run.id)
    assert (found.question, found.checked) == ("Is it {tag}?", "a\ufffdb")
    store.ledger.reopen(run.id, _choice(items[0].id))
    assert store.spot_checks.of(run.id) == []
    assert late(0) == 0


def _choice(item: int) -> Choice:
    return Choice(items=(ItemId(item),))


def test_another_picture_is_never_the_own_one(store: Store) -> None:
    run = store.runs.create("r", options=parse_options(), pool_digest="", fingerprint="", base="/", item_count=5)
    images = [("a.png",), ("a.png",), (), ("b.png",), ("c.png", "d.png")]
    batch = [an_item(run.id, index, images=some) for index, some in enumerate(images)]
    store.ledger.add(batch, [])

    def other(index: int, number: int) -> tuple[str, ...]:
        return store.spot_checks.other_images(run.id, batch[index].id, batch[index].images, number=number)

    assert {other(0, number) for number in range(20)} == {("b.png",), ("c.png", "d.png")}
    assert {other(3, number) for number in range(20)} == {("a.png",), ("c.png", "d.png")}
    alone = store.runs.create("s", options=parse_options(), pool_digest="", fingerprint="", base="/", item_count=2)
    same = [an_item(alone.id, index) for index in range(2)]
    store.ledger.add(same, [])
    assert store.spot_checks.other_images(alone.id, same[0].id, same[0].images, number=7) == ()
