"""What people see of single items, as it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persqa.items import ItemId
from persqa.results import Status
from persqa.settings import load_settings
from persqa.store import Store
from persqa.store.close_ups import CloseUps
from persqa.verdicts import ViolationKind
from producer import Client, RunHandle
from tests.support.shown_runs import a_shown_run


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Iterator[RunHandle]:
    with Client(load_settings(database_url=database_url), local_worker=False) as client:
        yield a_shown_run(client, tmp_path / "data", questions=3)


@pytest.fixture
def close_ups(database_url: str) -> Iterator[CloseUps]:
    with closing(Store.open(database_url)) as store:
        yield store.close_ups


def test_tiles_come_in_the_order_that_was_asked_for_and_only_of_the_run(run: RunHandle, close_ups: CloseUps) -> None:
    rows = {row.item_id: row for row in run.results()}
    wanted = [ItemId(item) for item in sorted(rows, reverse=True)][::5]
    tiles = close_ups.tiles(run.run.id, [*wanted, ItemId(5), ItemId(max(rows) + 1)])
    assert [tile.item_id for tile in tiles] == wanted
    for tile in tiles:
        row = rows[tile.item_id]
        assert (tile.status or "pending", tile.question) == (row.status, row.question)
        assert tile.answer == (None if row.answer is None else row.answer[:600])
        assert tile.is_whole is (len(row.answer or "") <= 600)
        assert (tile.finished_at is None) is (tile.status is None)


def test_one_item_comes_with_every_generation_that_broke_the_rule(run: RunHandle, close_ups: CloseUps) -> None:
    row = next(row for row in run.results(status="noncompliant"))
    seen = close_ups.of(run.run.id, ItemId(row.item_id))
    assert seen is not None
    assert seen.status is Status.NONCOMPLIANT
    assert [one.kind for one in seen.broken] == [
        ViolationKind.WRONG_TAG, ViolationKind.EMPTY, ViolationKind.TRUNCATED,
    ]  # fmt: skip
    assert seen.broken[-1].text == seen.answer == row.answer
    assert close_ups.of(run.run.id, ItemId(5)) is None


def test_a_generation_has_a_seed_or_none(run: RunHandle, close_ups: CloseUps) -> None:
    found = [close_ups.of(run.run.id, ItemId(row.item_id)) for row in run.results(status="noncompliant")]
    seeds = {one.seed for close_up in found if close_up for one in close_up.broken}
    assert None in seeds
    assert all(seed is None or 1000 <= seed < 2000 for seed in seeds)
    assert len(seeds) > 1


def test_siblings_are_of_the_same_record_or_have_the_same_picture(run: RunHandle, close_ups: CloseUps) -> None:
    first = ItemId(next(row.item_id for row in run.results()))
    beside = close_ups.same_record(run.run.id, ItemId(first + 1), 3)
    assert [one.item_id for one in beside] == [first, first + 2]
    same = close_ups.same_images(run.run.id, first, ["images/0.jpg"])
    assert {one.position for one in same} == {12}
    assert [one.item_id for one in same] == [first + 36, first + 37, first + 38]
    assert close_ups.same_images(run.run.id, first, ["images/%.jpg"]) == []
