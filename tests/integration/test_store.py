"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from persqa.audit import audit
from persqa.errors import RowRefused, RunConflict, RunNotFound, RunStopped
from persqa.messages import Asked
from persqa.pairs import PENDING, Choice, Requeued
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.records import RecordLimits
from persqa.results import Outcome, Status
from persqa.runs import RunId, RunState, parse_options
from persqa.store import Store, Want
from persqa.store.database import Database
from persqa.store.schema import results, run_counters
from persqa.verdicts import ViolationKind
from tests.support.builders import a_stored_run, a_violation, an_item, an_outcome
from tests.support.sql import select


def test_who_stops_and_starts_a_run_sets_its_mark_back(store: Store) -> None:
    run, batch = a_stored_run(store, 10)
    store.runs.begin_publishing(run, "here")
    store.runs.mark_published(run.id, batch[4].id)
    run = replace(run, broker="here")
    assert store.runs.unfinished("here") == [replace(run, published_to=batch[4].id)]
    assert store.runs.unfinished("elsewhere") == []
    paused = store.runs.set_state(run, RunState.PAUSED)
    assert paused == replace(run, state=RunState.PAUSED) == store.runs.reread(run)
    store.runs.mark_published(run.id, batch[9].id)
    assert store.runs.reread(run).published_to == 0, "nothing is published of a run that is paused"
    assert store.runs.unfinished("here") == []
    assert store.runs.set_state(run, RunState.CANCELLED).state is RunState.CANCELLED
    with pytest.raises(RunStopped, match=r"cancelled already; .*persqa resume r"):
        store.runs.set_state(run, RunState.PAUSED)
    assert store.runs.set_state(run, RunState.ACTIVE) == run
    store.runs.mark_published(run.id, batch[2].id)
    store.runs.set_state(run, RunState.ACTIVE)
    assert store.runs.reread(run).published_to == batch[2].id, "resumed twice: the second time changes nothing"


def test_nobody_is_to_begin_what_has_ended_or_whose_run_is_stopped(store: Store) -> None:
    (one, ones), (two, twos), (three, threes) = (a_stored_run(store, 3, name) for name in ("one", "two", "three"))
    store.results.commit([an_outcome(ones[0])])
    store.runs.set_state(two, RunState.PAUSED)
    store.runs.set_state(three, RunState.CANCELLED)
    asked = [
        Asked(run.id, run.key, item.id) for run, batch in ((one, ones), (two, twos), (three, threes)) for item in batch
    ]
    assert store.results.wanted(asked) == [Want.NO, Want.YES, Want.YES] + 6 * [Want.NO]
    assert store.results.wanted([]) == []
    # As in a database that was restored, where other runs got the same ids.
    others = [Asked(one.id, two.key, ones[1].id), Asked(RunId(99), one.key, ones[1].id)]
    assert store.results.wanted(others) == [Want.UNKNOWN, Want.UNKNOWN]
    assert store.queries.progress(two.id).state is RunState.PAUSED
    assert store.runs.reread(one) == one


def test_the_ids_of_what_is_pending_are_those_of_the_pending_items(store: Store) -> None:
    run, batch = a_stored_run(store, 25)
    store.results.commit([an_outcome(item) for item in batch if item.position % 3])
    expected = [item.id for chunk in store.ledger.pending(run.id) for item in chunk]
    for chunk in (1, 4, 9, 100):
        assert list(store.ledger.pending_ids(run.id, chunk=chunk)) == expected


def test_a_run_is_found_again_and_other_data_is_refused(store: Store) -> None:
    run, _ = a_stored_run(store, 1)
    options = parse_options()
    again = store.runs.create("r", options=options, pool_digest="p", fingerprint="f", base="/data", item_count=1)
    assert again == run == store.runs.find("r")
    elsewhere = store.runs.create(
        "r",
        options=options,
        pool_digest="p",
        fingerprint="f",
        base="/",
        item_count=1,
        limits=RecordLimits(max_images=9),
    )
    assert elsewhere == run == store.runs.find("r"), "it keeps the folder and the limits that it began with"
    with pytest.raises(RunConflict, match="differs in: the data;"):
        store.runs.create("r", options=options, pool_digest="p", fingerprint="g", base="/", item_count=1)
    with pytest.raises(RunConflict, match="differs in: tag, seed;"):
        store.runs.create(
            "r", options=parse_options(tag="bob", seed=3), pool_digest="p", fingerprint="f", base="/", item_count=1
        )
    with pytest.raises(RunNotFound, match="the newest is r"):
        store.runs.find("s")


def test_items_are_written_once_however_often(store: Store) -> None:
    run, batch = a_stored_run(store, 5)
    assert store.ledger.add(batch, []) == 0
    assert store.ledger.add([*batch, an_item(run.id, 5)], []) == 1
    assert store.queries.progress(run.id).submitted == 6


def test_of_two_outcomes_of_an_item_the_first_stays(store: Store) -> None:
    run, (item,) = a_stored_run(store, 1)
    first = an_outcome(item, answer="<mam> first")
    second = Outcome(an_outcome(item, Status.DEAD).result, (a_violation(item, Rung.FREE, ViolationKind.EMPTY),))
    assert store.results.commit([first, second]) == {item.id}
    assert store.results.commit([second]) == set()
    (row,) = store.queries.pairs(run)
    assert (row.status, row.answer) == ("ok", "<mam> first")
    assert list(store.queries.violations(run)) == []
    assert audit(store, run, None).holds


def test_progress_is_the_sum_of_the_rows_under_concurrent_commits(store: Store) -> None:
    run, batch = a_stored_run(store, 400)
    statuses = list(Status)

    def commit(start: int) -> None:
        for offset in range(start, 400, 20):
            chosen = batch[offset : offset + 40]
            store.results.commit([an_outcome(item, statuses[item.position % 4]) for item in reversed(chosen)])

    with ThreadPoolExecutor(8, thread_name_prefix="test") as threads:
        for future in [threads.submit(commit, start) for start in range(8)]:
            future.result()
    assert store.queries.progress(run.id).ended == dict.fromkeys(Status, 100)
    assert audit(store, run, None).holds


def test_text_no_database_likes_is_stored_readably(store: Store) -> None:
    run, (item,) = a_stored_run(store, 1)
    violation = a_violation(item, Rung.FREE, ViolationKind.MISSING_TAG, text="\0\ud800")
    store.results.commit([Outcome(an_outcome(item, answer="a\0b\udfffc ü 穿").result, (violation,))])
    assert [row.answer for row in store.queries.pairs(run)] == ["a\ufffdb\ufffdc ü 穿"]
    assert [row.text for row in store.queries.violations(run)] == ["\ufffd\ufffd"]


def test_an_outcome_of_an_unknown_item_is_refused_and_spoils_the_transaction(store: Store) -> None:
    run, batch = a_stored_run(store, 2)
    with pytest.raises(RowRefused):
        store.results.commit([an_outcome(batch[0]), an_outcome(an_item(run.id, 99))])
    assert store.queries.progress(run.id).pending == 2


def test_ended_takes_any_number_of_items(store: Store) -> None:
    _, batch = a_stored_run(store, 20)
    store.results.commit([an_outcome(item) for item in batch[:7]])
    many = [item.id for item in batch] + [an_item(RunId(9), index).id for index in range(70_000)]
    assert store.results.ended(many) == {item.id for item in batch[:7]}


def test_pending_items_come_back_as_they_were_in_order_and_in_chunks(store: Store) -> None:
    run, batch = a_stored_run(store, 25)
    store.results.commit([an_outcome(item) for item in batch[::5]])
    chunks = list(store.ledger.pending(run.id, chunk=8))
    assert [len(chunk) for chunk in chunks] == [8, 8, 4]
    expected = [replace(item, record="") for item in batch if item.position % 5]
    assert [item for chunk in chunks for item in chunk] == expected, "all but the records, which no message has"


def test_runs_do_not_see_each_others_rows(store: Store) -> None:
    one, batch = a_stored_run(store, 3, "one")
    two, others = a_stored_run(store, 2, "two")
    violation = a_violation(batch[0], Rung.FREE, ViolationKind.EMPTY)
    store.results.commit([Outcome(an_outcome(batch[0]).result, (violation,)), an_outcome(others[1])])
    assert [row.status for row in store.queries.pairs(one)] == ["ok", PENDING, PENDING]
    assert [row.status for row in store.queries.pairs(two)] == [PENDING, "ok"]
    assert store.queries.kinds(one.id) == {"empty": 1}
    assert store.queries.kinds(two.id) == {}
    assert [item.id for chunk in store.ledger.pending(two.id) for item in chunk] == [others[0].id]


def test_rows_can_be_chosen_by_status_and_question(store: Store) -> None:
    run, batch = a_stored_run(store, 4)
    store.ledger.add([an_item(run.id, 4, question="100% <mam>?")], [])
    store.results.commit([an_outcome(batch[0]), an_outcome(batch[1], Status.NONCOMPLIANT)])
    assert [row.position for row in store.queries.pairs(run, status="noncompliant")] == [1]
    assert [row.position for row in store.queries.pairs(run, status=PENDING)] == [2, 3, 4]
    assert [row.position for row in store.queries.pairs(run, question="100%")] == [4]
    assert [row.position for row in store.queries.pairs(run, question="attire", status="ok")] == [0]


def test_requeued_items_are_pending_again_with_a_new_count(store: Store) -> None:
    run, batch = a_stored_run(store, 4)
    wrong = an_item(run.id, 4, question="")
    bad = an_outcome(wrong, Status.INVALID, answer=None, reason=Reason.NOT_JSON).result
    store.ledger.add([wrong], [bad])
    store.results.commit([an_outcome(item, Status.INVALID if item.position < 2 else Status.OK) for item in batch])
    assert store.ledger.reopen(run.id, Choice(status=Status.INVALID)) == Requeued(taken_back=2, wrong=1, pending=0)
    pending = [item for chunk in store.ledger.pending(run.id) for item in chunk]
    assert [(item.position, item.requeues) for item in pending] == [(0, 1), (1, 1)]
    assert [row.position for row in store.queries.pairs(run, status="invalid")] == [4]
    assert audit(store, run, None).census.rows.pending == 2


def test_what_was_requeued_is_pending_wherever_one_has_looked_before(store: Store) -> None:
    run, batch = a_stored_run(store, 6)

    def pending() -> list[int]:
        return [item.position for chunk in store.ledger.pending(run.id, chunk=2) for item in chunk]

    store.results.commit([an_outcome(batch[0], Status.DEAD), an_outcome(batch[1]), an_outcome(batch[3])])
    assert pending() == [2, 4, 5]
    store.results.commit([an_outcome(item) for item in batch[4:]])
    assert pending() == [2]
    store.results.commit([an_outcome(batch[2])])
    assert pending() == []
    store.ledger.reopen(run.id, Choice(status=Status.DEAD))
    assert pending() == [0]


def test_the_views_show_the_same_as_the_tables(store: Store, database_url: str) -> None:
    run, batch = a_stored_run(store, 5)
    broken = tuple(a_violation(batch[1], rung, ViolationKind.LATE_TAG) for rung in Rung)
    store.results.commit(
        [
            an_outcome(batch[0], rung=Rung.FREE),
            Outcome(an_outcome(batch[1], Status.NONCOMPLIANT).result, broken),
            an_outcome(batch[2], rung=Rung.PREFILL),
        ]
    )
    pairs = select(database_url, "SELECT run, record, image, question, answer, status FROM pairs ORDER BY item_id")
    assert pairs[0] == ("r", batch[0].record, "a.png", "Is it <mam>?", "<mam> wears red.", "ok")
    assert [pair[-1] for pair in pairs] == ["ok", "noncompliant", "ok", PENDING, PENDING]
    names = "run, submitted, ok, noncompliant, invalid, dead, pending"
    (progress,) = select(database_url, f"SELECT {names} FROM run_progress")
    assert progress == (run.name, 5, 2, 1, 0, 0, 2)
    compliance = select(
        database_url, "SELECT run, model, question, kind, generations, share FROM compliance ORDER BY kind"
    )
    assert [(*row[:5], float(row[5])) for row in compliance] == [
        ("r", "m", "attire", "compliant", 1, 0.2),
        ("r", "m", "attire", "forced", 1, 0.2),
        ("r", "m", "attire", "late_tag", 3, 0.6),
    ]


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        ((), ""),
        (("a.png",), "a.png"),
        (("b.png", "a.png", "c.png"), "b.png, a.png, c.png"),
        (('\u00fc "x", \u7a7f.png', "blob:00/a%20b"), '\u00fc "x", \u7a7f.png, blob:00/a%20b'),
        (("a\0b\ud800.png",), "a\ufffdb\ufffd.png"),
    ],
)
def test_people_read_the_references_that_a_worker_gets(
    store: Store, database_url: str, images: tuple[str, ...], shown: str
) -> None:
    run, _ = a_stored_run(store, 0)
    store.ledger.add([an_item(run.id, 0, images=images)], [])
    assert select(database_url, "SELECT image FROM pairs") == [(shown,)]
    assert [row.image for row in store.queries.pairs(run)] == [shown]
    ((pending,),) = store.ledger.pending(run.id)
    assert ", ".join(pending.images) == shown


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            sa.update(run_counters).where(run_counters.c.status == "ok").values({"items": 5}),
            "differ: ok 5 by the counters and 3 by the rows, pending -2 by the counters and 0 by the rows. That is a",
        ),
        (sa.delete(results), "differ: ok 3 by the counters and 0 by the rows, pending 0 by the counters and 3 by the"),
    ],
)
def test_the_audit_finds_what_does_not_add_up(
    store: Store, database_url: str, damage: sa.Update | sa.Delete, problem: str
) -> None:
    run, batch = a_stored_run(store, 3)
    store.results.commit([an_outcome(item) for item in batch])
    assert audit(store, run, None).holds
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(damage)
    database.close()
    found = audit(store, run, None)
    assert not found.holds
    assert problem in found.problems[0]


def test_the_audit_finds_an_incomplete_ledger_and_a_result_of_another_run(store: Store, database_url: str) -> None:
    run, batch = a_stored_run(store, 3)
    other, _ = a_stored_run(store, 1, "other")
    store.results.commit([an_outcome(item) for item in batch])
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(sa.update(results).where(results.c.item_id == batch[1].id).values(run_id=other.id))
    database.close()
    assert any(str(batch[1].id) in problem for problem in audit(store, run, None).problems)
    store.runs.create("half", options=parse_options(), pool_digest="", fingerprint="", base="", item_count=2)
    (problem,) = audit(store, store.runs.find("half"), None).problems
    assert "0 of 2 items" in problem
