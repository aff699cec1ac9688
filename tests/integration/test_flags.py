"""Flags in the database: stored with results, counted, taken back with them, and gone with their run."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from persqa.errors import SettingsError
from persqa.flags import Finding, Flag
from persqa.pairs import Choice
from persqa.results import Status
from persqa.settings import load_settings
from producer import Client
from producer.cli import app
from tests.support.builders import a_stored_run, an_outcome
from tests.support.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.items import Item
    from persqa.results import Outcome
    from persqa.store import Store

_REFUSAL = Finding(Flag.REFUSAL, 0.9, 6, 15)
_HEDGE = Finding(Flag.HEDGE, 0.5, 20, 30)
_BLANK = Finding(Flag.BLANK, 1.0)


def _seen(item: Item, *findings: Finding, picture: int | None = None) -> Outcome:
    return replace(an_outcome(item), findings=findings, picture_hash=picture)


def _counted(database_url: str) -> dict[str, int]:
    """What the counters say, which the rows have to say, too."""
    rows = select(database_url, "SELECT run_id, flag, count(*) FROM flags GROUP BY run_id, flag")
    counters = select(database_url, "SELECT run_id, flag, items FROM flag_counters WHERE items <> 0")
    assert sorted(rows) == sorted(counters)
    return {str(flag): int(number) for _, flag, number in counters}


def test_flags_go_with_their_result_and_are_kept_with_an_earlier_one(store: Store, database_url: str) -> None:
    run, (one, two, three) = a_stored_run(store, 3)
    store.results.commit([_seen(one, _REFUSAL, _HEDGE), _seen(two, _BLANK, _REFUSAL), _seen(three)])
    assert _counted(database_url) == {"refusal": 2, "hedge": 1, "blank": 1}
    where = select(database_url, 'SELECT flag, score, start, "end" FROM flags WHERE item_id = ' + str(one.id))
    assert sorted(where) == [("hedge", 0.5, 20, 30), ("refusal", 0.9, 6, 15)]
    assert select(database_url, "SELECT flags FROM pairs ORDER BY item_id") == [
        ("hedge,refusal",), ("blank,refusal",), ("",)
    ]  # fmt: skip
    store.results.commit([_seen(one, _BLANK)])
    assert _counted(database_url)["blank"] == 1, "a second outcome of an item changes nothing"
    assert store.ledger.reopen(run.id, Choice(items=(one.id, three.id))).taken_back == 2
    assert _counted(database_url) == {"refusal": 1, "blank": 1}
    assert [old.flags for old in store.results.earlier(one.id)] == [(_HEDGE, _REFUSAL)]
    assert [old.flags for old in store.results.earlier(three.id)] == [()]
    store.results.commit([replace(_seen(one, _HEDGE), requeues=0)])
    assert _counted(database_url) == {"refusal": 1, "blank": 1}, "an answer to the try before leaves no flags"


def persqa(database_url: str, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--database-url", database_url], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_flags_choose_rows_and_are_told_of_wherever_rows_are(store: Store, database_url: str, tmp_path: Path) -> None:
    _, batch = a_stored_run(store, 6)
    found = [(_REFUSAL,), (_REFUSAL, _HEDGE), (_BLANK,), (), ()]
    answered = zip(batch[:5], found, strict=True)
    store.results.commit([_seen(item, *flags) for item, flags in answered])
    with closing(Client(load_settings(database_url=database_url))) as client:
        run = client.run("r")
        assert run.flags() == {"refusal": 2, "blank": 1, "hedge": 1}
        assert [row.flags for row in run.results()] == [(_REFUSAL,), (_HEDGE, _REFUSAL), (_BLANK,), (), (), ()]

        def chosen(*, flag: str | list[str] | None = None, without_flag: str | list[str] | None = None) -> list[int]:
            return [row.position for row in run.results(flag=flag, without_flag=without_flag)]

        assert chosen(flag="refusal,blank") == [0, 1, 2]
        assert chosen(flag=["refusal"], without_flag="hedge") == [0]
        assert chosen(without_flag=["refusal", "blank"]) == [3, 4, 5]
        with pytest.raises(SettingsError, match=r"there is no flag 'rude'; choose refusal, hedge, .* or stock_answer"):
            chosen(flag="rude")
        table: Any = run.to_pandas(flag="hedge")
        assert list(table["flags"]) == ["hedge,refusal"]
    status = json.loads(persqa(database_url, "status", "--json"))
    assert status["runs"][0]["flags"] == {"refusal": 2, "blank": 1, "hedge": 1}
    assert "refusal      2  40.0 %" in persqa(database_url, "status", "r")
    (row,) = persqa(database_url, "results", "r", "--flag", "hedge", "--json").splitlines()
    assert json.loads(row)["flags"][0] == {"flag": "hedge", "score": 0.5, "start": 20, "end": 30}
    assert "hedge,refusal" in persqa(database_url, "results", "r", "--flag", "hedge").replace(", ", ",")
    assert "refusal (wears red)" in persqa(database_url, "results", "r", "--item", str(batch[0].id))
    file = tmp_path / "out.jsonl"
    told = persqa(
        database_url, "export", "r", str(file), "--with-meta", "--without-flag", "refusal,hedge", "--only", "ok"
    )
    assert "3 rows written" in told
    assert "2 rows left out: 2 with the flag refusal, 1 with the flag hedge" in told
    assert [json.loads(line)["persqa"]["flags"] for line in file.read_text().splitlines()] == [["blank"], [], []]
    only = ("export", "r", str(tmp_path / "only.json"), "--only-flag", "blank", "--json")
    assert json.loads(persqa(database_url, *only))["rows_left_out"] == {"all": 5, "no blank": 5}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_export_of_no_rows_says_why(store: Store, database_url: str, tmp_path: Path) -> None:
    _, batch = a_stored_run(store, 2)
    store.results.commit([_seen(item, _HEDGE) for item in batch])

    def said(*arguments: str) -> str:
        return persqa(database_url, "export", "r", str(tmp_path / "none.json"), "--overwrite", *arguments)

    unseen = said("--only-flag", "stock_answer")
    assert unseen.startswith(f"0 rows written to {tmp_path}/none.json: no item of this run has the flag stock_answer; ")
    assert "stock_answer is only set by `persqa report r --look-over" in unseen
    assert "2 rows left out: 2 without the flag stock_answer" in unseen
    assert ": no item of this run is dead\n" in said("--only", "dead")
    assert ": the options together leave out every item\n" in said("--without-flag", "hedge")


def test_nothing_of_a_run_that_is_deleted_stays(store: Store, database_url: str) -> None:
    (run, batch), (_, others) = a_stored_run(store, 4), a_stored_run(store, 2, "other")
    store.results.commit([_seen(item, _REFUSAL, picture=7) for item in (*batch, *others)])
    for _ in store.deletion.steps(store.deletion.begin(run).id):
        pass
    assert _counted(database_url) == {"refusal": 2, "seen_before": 1}
    assert select(database_url, "SELECT count(*) FROM picture_hashes") == [(2,)]


def test_each_record_but_the_first_with_a_picture_is_flagged_whoever_comes_first(
    store: Store, database_url: str
) -> None:
    """Three workers store items in any order, two questions a record, and some are taken back meanwhile."""
    run, batch = a_stored_run(store, 240)
    other, others = a_stored_run(store, 20, "other")
    draw = random.Random(3)
    pictures = [draw.randrange(12) if draw.random() < 0.5 else 1000 + place for place in range(120)]
    pairs = [replace(item, position=item.position // 2) for item in batch]
    _set_positions(store, pairs)
    todo = [_seen(item, picture=pictures[item.position]) for item in pairs]
    todo += [_seen(item, picture=pictures[item.position]) for item in others]
    draw.shuffle(todo)

    def commit(part: list[Outcome]) -> None:
        for at in range(0, len(part), 9):
            store.results.commit(part[at : at + 9])

    def requeue(items: Iterable[Item]) -> None:
        for item in items:
            if store.ledger.reopen(run.id, Choice(items=(item.id,))).taken_back:
                store.results.commit([_seen(item, picture=pictures[item.position])])

    with ThreadPoolExecutor(4, thread_name_prefix="test") as threads:
        going = [threads.submit(commit, todo[start::3]) for start in range(3)]
        going.append(threads.submit(requeue, draw.sample(pairs, 40)))
        for future in going:
            future.result()
    for run_id, items in ((run.id, pairs), (other.id, others)):
        query = f"SELECT item_id FROM flags WHERE flag = 'seen_before' AND run_id = {run_id}"
        assert {item_id for (item_id,) in select(database_url, query)} == _later(items, pictures)
    assert store.queries.progress(run.id).ended[Status.OK] == 240
    _counted(database_url)


def _later(items: list[Item], pictures: list[int]) -> set[int]:
    first: dict[int, int] = {}
    for item in items:
        first.setdefault(pictures[item.position], item.position)
    return {item.id for item in items if first[pictures[item.position]] != item.position}


def _set_positions(store: Store, items: list[Item]) -> None:
    with store.deletion._database.writing() as connection:  # pyrefly: ignore[protected-access]
        for item in items:
            connection.exec_driver_sql(f"UPDATE items SET position = {item.position} WHERE id = {item.id}")
