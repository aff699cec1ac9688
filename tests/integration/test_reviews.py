"""What people say of results: it is kept, undone, and never said of another answer."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import command

from persqa.clock import now
from persqa.items import MAX_ITEMS
from persqa.pairs import Choice
from persqa.results import Outcome, Status
from persqa.reviews import Decision, GivenReview
from persqa.store import Store
from persqa.store.database import Database
from persqa.store.migrate import _config, inspect
from tests.support.builders import a_stored_run, an_outcome
from tests.support.reviewing import MODEL_ANSWER, answered, content, in_small_steps, said
from tests.support.sql import change, select

if TYPE_CHECKING:
    from persqa.items import Item, ItemId
    from persqa.runs import Run
    from tests.conftest import Size


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_steps(monkeypatch)


def test_what_is_given_changes_and_the_rest_stays(store: Store) -> None:
    run, (one, two, three) = answered(store, 3)
    before = now()
    assert said(store, run, [one, two], "a", decision=Decision.ACCEPTED, note="nul\0 and half \ud83d") == [one, two]
    assert store.reviews.change(run.id, [two, three], {"starred": True}, reviewer="bob", action="b") == [two, three]
    found = store.reviews.of([one, two, three])
    assert before <= found[two].reviewed_at <= now()
    accepted = {"decision": Decision.ACCEPTED, "answer": None, "note": "nul\ufffd and half \ufffd"}
    assert {item: content(review) for item, review in found.items()} == {
        one: {**accepted, "starred": False, "reviewer": "ann", "action": "a"},
        two: {**accepted, "starred": True, "reviewer": "bob", "action": "b"},
        three: {"decision": None, "answer": None, "note": "", "starred": True, "reviewer": "bob", "action": "b"},
    }
    (earlier,) = store.reviews.history(two)
    assert earlier.replaced_at is not None
    assert (earlier.reviewer, earlier.starred) == ("ann", False)
    assert earlier.reviewed_at <= earlier.replaced_at <= found[two].reviewed_at
    assert store.reviews.history(three) == []
    assert said(store, run, [one], "c", decision="accepted", answer=MODEL_ANSWER) == [], "nothing is new"


def test_only_results_of_the_run_are_reviewed(store: Store) -> None:
    run, ids = answered(store, 2)
    other, others = answered(store, 1, "other")
    pending, batch = a_stored_run(store, 1, "pending")
    assert said(store, run, [*ids, *others, batch[0].id, 7, ids[0]], "a", decision="rejected") == ids
    assert not store.reviews.any(other.id)
    assert store.reviews.any(run.id)
    assert said(store, pending, [batch[0].id], "b", starred=True) == []


def test_an_answer_that_the_person_has_not_seen_is_not_reviewed(store: Store, database_url: str) -> None:
    run, (one, two) = answered(store, 2)
    seen = {row.item_id: row.finished_at for row in store.queries.pairs(run) if row.finished_at is not None}
    looked_at = now()
    assert store.ledger.reopen(run.id, Choice(items=(one,))).taken_back == 1
    assert _review(store, run, [one, two], "pending", seen) == [two]
    change(database_url, f"UPDATE items SET requeues = 1 WHERE id = {one}")
    later = an_outcome(_item(store, one), answer="<mam> wears blue.", finished_at=looked_at + timedelta(seconds=1))
    store.results.commit([later])
    assert _review(store, run, [one, two], "by answer", seen) == []
    assert _review(store, run, [one, two], "by time", looked_at, starred=True) == [two]
    assert _review(store, run, [one], "by a later look", looked_at + timedelta(seconds=1)) == [one]


def _review(store: Store, run: Run, items: list[ItemId], action: str, seen: Any, **given: Any) -> list[ItemId]:
    wanted = GivenReview(**given) if given else GivenReview(decision="accepted")
    return store.reviews.change(run.id, items, wanted, reviewer="ann", action=action, seen=seen)


def _item(store: Store, item_id: ItemId) -> Item:
    (item,) = store.ledger.chosen([item_id])
    return item


@pytest.mark.usefixtures("small_steps")
def test_a_result_that_is_taken_back_takes_its_review_along(store: Store) -> None:
    run, ids = answered(store, 7)
    said(store, run, ids, "a", decision="accepted")
    said(store, run, ids[:2], "b", note="why")
    assert store.ledger.reopen(run.id, Choice(status=Status.OK)).taken_back == 7
    assert store.reviews.of(ids) == {}
    assert [one.action for one in store.reviews.history(ids[0])] == ["a", "b"]
    store.results.commit([Outcome(an_outcome(_item(store, one)).result, requeues=1) for one in ids])
    assert store.reviews.of(ids) == {}
    assert [row.review for row in store.queries.pairs(run)] == [None] * 7
    assert store.reviews.undo(run.id, "b") == [], "there is nothing of it that holds"
    said(store, run, ids[:1], "c", starred=True)
    assert store.reviews.undo(run.id, "c") == ids[:1]
    assert store.reviews.of(ids) == {}, "what was said of another answer does not come back"


def test_a_deleted_run_leaves_no_reviews(store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.store.deletion._AT_ONCE", 3)
    (one, ids), (two, others) = answered(store, 5), answered(store, 2, "other")
    for run, items in ((one, ids), (two, others)):
        said(store, run, items, f"{run.name} a", decision="accepted")
        said(store, run, items[:1], f"{run.name} b", decision="rejected")
    assert store.deletion.rows(one.id).reviews == 5
    assert sum(step.reviews for step in store.deletion.steps(store.deletion.begin(one).id)) == 5
    assert len(store.reviews.of([*ids, *others])) == 2
    assert select(database_url, "SELECT count(*), count(distinct run_id) FROM earlier_reviews") == [(1, 1)]


def test_an_action_that_was_interrupted_goes_on_and_is_undone_as_one(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persqa.store.reviews._AT_ONCE", 3)
    run, ids = answered(store, 10)
    _other, batch = a_stored_run(store, 9, "other")
    steps: list[int] = []

    def work(items: int) -> None:
        # A worker beside it: between two steps nothing is locked.
        with closing(Store.open(database_url)) as worker:
            worker.results.commit([an_outcome(batch[len(steps)])])
        steps.append(items)
        if len(steps) == 2:
            raise InterruptedError

    def review(**more: Any) -> list[ItemId]:
        return store.reviews.change(run.id, ids, {"decision": "accepted"}, reviewer="ann", action="all", **more)

    with pytest.raises(InterruptedError):
        review(on_step=work)
    said(store, run, ids[:2], "other", decision="rejected")
    assert review(on_step=work) == ids[6:], "what others have changed since is theirs"
    assert steps == [3, 3, 0, 0, 3, 1]
    assert store.reviews.undo(run.id, "all") == ids[2:]
    assert store.reviews.undo(run.id, "all") == []
    assert review() == [], "what was undone stays undone"
    assert store.reviews.undo(run.id, "other") == ids[:2]
    assert {review.action for review in store.reviews.of(ids).values()} == {"all"}


@pytest.mark.usefixtures("small_steps")
def test_two_reviewers_at_once_lose_nothing_of_each_other(store: Store) -> None:
    run, ids = answered(store, 120)
    start = threading.Barrier(2)

    def review(name: str, given: GivenReview) -> list[ItemId]:
        start.wait()
        return store.reviews.change(run.id, ids, given, reviewer=name, action=name)

    with ThreadPoolExecutor(2, thread_name_prefix="test") as threads:
        ann = threads.submit(review, "ann", {"decision": "accepted"})
        bob = threads.submit(review, "bob", {"starred": True})
        assert ann.result() == bob.result() == ids
    found = store.reviews.of(ids)
    assert {(review.decision, review.starred) for review in found.values()} == {(Decision.ACCEPTED, True)}
    assert all(len(store.reviews.history(item)) == 1 for item in ids[::7])


@pytest.mark.usefixtures("small_steps")
def test_who_reviews_while_answers_are_taken_back_reviews_those_that_are_there(store: Store) -> None:
    run, ids = answered(store, 90)
    start = threading.Barrier(2)

    def review() -> list[ItemId]:
        start.wait()
        return said(store, run, reversed(ids), "a", decision="accepted")

    def requeue() -> int:
        start.wait()
        return store.ledger.reopen(run.id, Choice(status=Status.OK)).taken_back

    with ThreadPoolExecutor(2, thread_name_prefix="test") as threads:
        reviewed, taken = threads.submit(review), threads.submit(requeue)
        assert taken.result() == len(ids)
        kept = {item for item in ids if store.reviews.history(item)}
        assert kept == {*reviewed.result()}
    assert store.reviews.of(ids) == {}


def test_programs_of_the_schema_before_leave_no_review_to_another_answer(store: Store, database_url: str) -> None:
    """They know nothing of reviews when they take results back, or delete a run."""
    run, (one, two) = answered(store, 2)
    said(store, run, [one, two], "a", decision="accepted")
    said(store, run, [one, two], "b", starred=True)
    with closing(Database(database_url)) as database, database.writing() as connection:
        connection.execute(sa.text(f"DELETE FROM results WHERE item_id = {one}"))
    assert list(store.reviews.of([one, two])) == [two]
    assert len(store.reviews.history(one)) == 1
    with closing(Database(database_url)) as database, database.writing() as connection:
        for statement in ("DELETE FROM results", "DELETE FROM items", "DELETE FROM run_counters", "DELETE FROM runs"):
            connection.execute(sa.text(statement))
    assert select(database_url, "SELECT count(*) FROM reviews") == [(0,)]
    assert select(database_url, "SELECT count(*) FROM earlier_reviews") == [(0,)]


def test_runs_of_the_schema_before_can_be_reviewed_and_views_of_people_stay(database_url: str) -> None:
    with closing(Store.open(database_url)) as store:
        run, (one, two) = answered(store, 2)
    with closing(Database(database_url)) as database:
        with database.writing() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0002")
        assert inspect(database).missing[0] == "0003: What people say of results"
    change(database_url, "CREATE VIEW mine AS SELECT item_id, answer FROM pairs")
    if not database_url.startswith("sqlite"):
        change(database_url, "GRANT SELECT ON pairs TO PUBLIC")
    with closing(Store.open(database_url)) as store:
        assert said(store, run, [one], "a", decision="rejected", answer="<mam> sits.", starred=True) == [one]
        assert store.ledger.reopen(run.id, Choice(items=(two,))).taken_back == 1
    assert select(database_url, "SELECT item_id, answer FROM mine ORDER BY 1") == [(one, MODEL_ANSWER), (two, None)]
    columns = "review, edited_answer, starred, note, reviewer"
    assert select(database_url, f"SELECT {columns} FROM pairs ORDER BY item_id") == [
        ("rejected", "<mam> sits.", True, "", "ann"), (None, None, False, "", None)
    ]  # fmt: skip
    if not database_url.startswith("sqlite"):
        kept = "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'pairs'"
        assert ("PUBLIC",) in select(database_url, kept)


def test_a_large_batch_goes_in_steps_and_takes_little_memory(store: Store, database_url: str, size: Size) -> None:
    items = size(10_000, 40_000)
    run, _ = a_stored_run(store, 1)
    first = run.id * MAX_ITEMS
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {items - 1})"
    change(
        database_url,
        "INSERT INTO items (id, run_id, position, slot, record, images, tag, topic, question, requeues) "
        f"{numbers} SELECT {first} + i, {run.id}, i, 0, '{{}}', '[]', '', '', 'q', 0 FROM n",
        "INSERT INTO results (item_id, run_id, status, answer, forced, generations, finished_at) "
        "SELECT id, run_id, 'ok', 'same', FALSE, 1, '2026-01-01 00:00:00.000000' FROM items",
    )
    steps: list[int] = []
    # Python looks for garbage as rarely as its heap is large, and here it is that of all tests before this one.
    gc.freeze()
    gc.collect()
    tracemalloc.start()
    try:
        for action, decision in (("a", "accepted"), ("b", "rejected")):
            changed = store.reviews.change(
                run.id,
                range(first, first + items),
                {"decision": decision},
                reviewer="ann",
                action=action,
                on_step=steps.append,
            )
            assert len(changed) == items
        assert len(store.reviews.undo(run.id, "b")) == items
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert steps == [5000] * (2 * items // 5000)
    # The numbers of the items that were changed, twice, and one step.
    assert peak < 12e6 + 100 * items
    assert select(database_url, "SELECT decision, count(*) FROM reviews GROUP BY 1") == [("accepted", items)]
