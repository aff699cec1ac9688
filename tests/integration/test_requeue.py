"""Asking items again that have ended: which, and what becomes of the answers before."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.audit import audit
from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.errors import RunStopped
from persqa.items import ItemId
from persqa.pairs import Choice, Requeued
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.reconciler import Reconciler
from persqa.results import Outcome, Status
from persqa.store import Store
from persqa.verdicts import ViolationKind
from producer import Client
from producer.cli import app
from producer.connections import Connections
from tests.integration.test_worker import answer_all, counts, quiet
from tests.support.builders import a_stored_run, a_violation, an_item, an_outcome, write_images
from tests.support.queues import held, many_records, waiting
from tests.support.sql import select
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.runs import Run
    from tests.conftest import Site


def persqa(site: Site, *arguments: str) -> str:
    where = ("--database-url", site.settings.database_url, "--broker-url", str(site.settings.broker_url))
    done = CliRunner().invoke(app, [*arguments, *where], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_earlier_result_is_kept_as_it_was(store: Store, database_url: str) -> None:
    run, batch = a_stored_run(store, 3)
    broken = a_violation(batch[0], Rung.FREE, ViolationKind.EMPTY)
    first = an_outcome(batch[0], Status.NONCOMPLIANT, answer="<mam>", reason=ViolationKind.TAG_ONLY, rung=Rung.PREFILL)
    store.results.commit([Outcome(first.result, (broken,)), an_outcome(batch[1])])
    before = select(database_url, f"SELECT * FROM results WHERE item_id = {batch[0].id}")
    chosen = Choice(items=(batch[0].id, batch[2].id))
    assert store.ledger.reopen(run.id, chosen) == Requeued(taken_back=1, wrong=0, pending=1)
    (old,) = store.results.earlier(batch[0].id)
    assert (old.status, old.answer, old.rung, old.requeues) == ("noncompliant", "<mam>", "prefill", 0)
    assert old.finished_at == first.result.finished_at < old.taken_back_at
    names = "item_id, run_id, status, reason, detail, answer, rung, forced, finish_reason, generations, prompt_tokens, "
    names += "output_tokens, image_seconds, engine_seconds, worker, model, finished_at"
    kept = select(database_url, f"SELECT {names} FROM earlier_results")
    assert kept == select(database_url, f"SELECT {names} FROM earlier_results WHERE item_id = {batch[0].id}")
    assert sorted(map(str, kept[0])) == sorted(map(str, before[0])), "every column of it"
    assert len(list(store.queries.violations(run))) == 1
    store.results.commit([an_outcome(batch[0], answer="<mam> sits.")])
    assert store.ledger.reopen(run.id, Choice(status=Status.OK)).taken_back == 2
    assert [(one.answer, one.requeues) for one in store.results.earlier(batch[0].id)] == [
        ("<mam>", 0),
        ("<mam> sits.", 1),
    ]
    assert store.results.earlier(batch[2].id) == []
    assert audit(store, run, None).holds


def test_the_chosen_ones_and_no_others_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.store.ledger._REOPENED_AT_ONCE", 3)
    run, batch = a_stored_run(store, 20)
    other, others = a_stored_run(store, 5, "other")
    odd = [an_item(run.id, index, question="Where is <mam>?") for index in range(20, 24)]
    wrong = an_item(run.id, 24, question="")
    invalid = an_outcome(wrong, Status.INVALID, answer=None, reason=Reason.NOT_JSON)
    store.ledger.add([*odd, wrong], [invalid.result])
    store.results.commit([an_outcome(item) for item in (*batch, *odd, *others)])

    def reopened(choice: Choice) -> list[int]:
        done = store.ledger.reopen(run.id, choice)
        pending = [item for chunk in store.ledger.pending(run.id) for item in chunk]
        assert len(pending) == done.taken_back
        census = store.queries.census(run.id)
        assert (census.rows, census.pending) == (census.counters, len(pending))
        store.results.commit([an_outcome(item) for item in pending])
        return [item.position for item in pending]

    assert reopened(Choice(status=Status.OK, question="Where")) == [20, 21, 22, 23]
    assert reopened(Choice(question="attire", items=tuple(item.id for item in batch[3:11]))) == list(range(3, 11))
    assert reopened(Choice(status=Status.DEAD, items=(batch[0].id,))) == []
    assert reopened(Choice(status=Status.OK)) == list(range(24))
    left = store.ledger.reopen(run.id, Choice(status=Status.INVALID))
    assert left == Requeued(taken_back=0, wrong=1, pending=0)
    assert store.queries.progress(other.id).ended[Status.OK] == 5
    assert store.ledger.unknown(run.id, [others[0].id, batch[0].id, ItemId(7)]) == [7, others[0].id]


def test_an_answer_to_the_try_before_is_not_stored(store: Store) -> None:
    run, batch = a_stored_run(store, 2)
    store.results.commit([an_outcome(item) for item in batch])
    store.ledger.reopen(run.id, Choice(items=(batch[0].id,)))
    late = a_violation(batch[0], Rung.FREE, ViolationKind.EMPTY)
    for stale in ([0], [0, 0]):
        outcomes = [Outcome(an_outcome(batch[0], answer="<mam> late").result, (late,), requeues=at) for at in stale]
        assert store.results.commit(outcomes) == set()
    assert store.queries.progress(run.id).pending == 1
    assert list(store.queries.violations(run)) == []
    assert store.results.commit([Outcome(an_outcome(batch[0], answer="<mam> anew").result, requeues=1)]) == {
        batch[0].id
    }
    assert [row.answer for row in store.queries.pairs(run)] == ["<mam> anew", "<mam> wears red."]
    assert audit(store, run, None).holds


def test_a_wrong_answer_is_asked_again_and_the_old_one_stays_as_history(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "second_try")
    options = {"tag_policy": "repair", "repeatable": True}
    client, run = answer_all(settings, write_images(tmp_path / "data", 12), tmp_path, **options)
    with client:
        rows = list(run.results(status="ok"))
        chosen = rows[0].item_id
        said = persqa(site, "requeue", "records", "--item", str(chosen))
        assert said == "1 item is enqueued again\n"
        assert (waiting(settings), run.progress().pending) == (1, 1)
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        (earlier,) = run.earlier_results(chosen)
        assert (earlier.status, earlier.answer) == ("ok", rows[0].answer)
        shown = json.loads(persqa(site, "results", "records", "--item", str(chosen), "--json"))
        (row,) = run.results(item=chosen)
        assert (shown["item_id"], shown["answer"], shown["record"]) == (chosen, row.answer, row.record)
        assert [(one["answer"], one["requeues"]) for one in shown["earlier"]] == [(earlier.answer, 0)]
        assert len(shown["violations"]) == len(list(run.violations(item=chosen)))
        seeds = select(site.settings.database_url, f"SELECT seed FROM violations WHERE item_id = {chosen}")
        assert len(set(seeds)) == len(seeds)
        assert -1 not in seeds
        told = persqa(site, "results", "records", "--item", str(chosen))
        for words in (str(chosen), row.image, "earlier results", str(row.answer)):
            assert words in told
        assert run.audit().holds


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_copy_of_the_message_that_was_in_hand_does_not_answer_for_the_next_try(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "slow").model_copy(update={"reconcile_seconds": 1.0})
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 1))
        (item,) = next(client.store.ledger.pending(run.run.id))
        with WorkerProcess(settings, tmp_path):
            wait_until(lambda: held(settings) == 1, describe="the worker has it in hand")
            # As another worker answers it that had the message, too.
            client.store.results.commit([an_outcome(item, answer="<mam> is wrong.")])
            assert run.requeue(items=[item.id]).taken_back == 1
            run.wait(timeout_seconds=60, display=quiet)
        (row,) = run.results()
        (requeues,) = select(settings.database_url, "SELECT requeues FROM items")[0]
        assert (row.answer, requeues) == ("<mam> wears a red coat.", 1)
        assert [one.answer for one in run.earlier_results(item.id)] == ["<mam> is wrong."]
        assert run.audit().holds


def test_it_is_said_what_becomes_of_all(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 4)
    with data.open("a") as file:
        file.write("not json\n")
    with Client(site.settings) as client:
        run = client.submit(data)
        items = next(client.store.ledger.pending(run.run.id))
        bad = [an_outcome(item, Status.INVALID, answer=None, reason=Reason.NOT_FOUND) for item in items[:2]]
        client.store.results.commit([*bad, an_outcome(items[2])])
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.delete(QUEUE)
        wrong = next(row.item_id for row in run.results(status="invalid") if not row.question)
    stays = "1 stays invalid: its record is wrong in itself"
    invalid = ("requeue", "records", "--status", "invalid")
    assert persqa(site, *invalid) == f"2 of 3 invalid items are enqueued again; {stays}\n"
    assert persqa(site, *invalid) == f"nothing is asked again; {stays}\n"
    dead = persqa(site, "requeue", "records", "--status", "dead")
    assert dead == "no dead item of the run was chosen, so none is asked again\n"
    named = [word for at in (items[2].id, items[3].id, wrong) for word in ("--item", str(at))]
    assert persqa(site, "requeue", "records", "--status", "ok", *named) == (
        "1 ok item is enqueued again; 2 of those named are ruled out by the other options\n"
    )
    said = persqa(site, "requeue", "records", *named)
    assert said == f"nothing is asked again; {stays}; 2 are pending already\n"
    facts = json.loads(persqa(site, "requeue", "records", *named, "--json"))
    assert (facts["requeued"], facts["wrong_records"], facts["already_pending"]) == (0, 1, 2)


def test_all_good_answers_are_taken_back_when_that_is_said(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 6))
        client.store.results.commit([an_outcome(item) for item in next(client.store.ledger.pending(run.run.id))])
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.delete(QUEUE)
        question = next(run.results()).question
        some = sum(row.question == question for row in run.results())
        assert run.requeue("ok", question=question).taken_back == some
        assert persqa(site, "requeue", "records", "--status", "ok", "--yes").startswith(f"{6 - some} ok item")
        assert (run.progress().pending, waiting(site.settings)) == (6, 6)
        assert counts(run) == {}


def test_who_looks_for_lost_items_leaves_those_to_the_requeue_that_takes_them_back(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site.settings.model_copy(update={"reconcile_seconds": 1.0})
    with Client(settings) as client, closing(connect(str(settings.broker_url))) as redis:
        run = client.submit(many_records(tmp_path, 20))
        redis.delete(QUEUE)
        (batch,) = client.store.ledger.pending(run.run.id)
        client.store.results.commit([an_outcome(item, Status.DEAD) for item in batch])
        looks: list[int] = []
        enqueue = Connections.enqueue

        def look_first(connections: Connections, run: Run, *, on_full: Callable[[], None]) -> int:
            looks.append(Reconciler(client.store, settings).reconcile())
            return enqueue(connections, run, on_full=on_full)

        monkeypatch.setattr(Connections, "enqueue", look_first)
        assert run.requeue("dead").taken_back == 20
        assert (looks, waiting(settings)) == ([0], 20)
    assert select(settings.database_url, "SELECT sum(recoveries) FROM items") == [(0,)]


def test_what_waits_for_room_in_the_queue_is_not_lost(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"queue_bound": 1000})
    problems: list[tuple[str, ...]] = []

    def pause() -> None:
        problems.append(client.run("many").audit().problems)
        client.run("many").pause()

    with Client(settings) as client, pytest.raises(RunStopped):
        client.submit(many_records(tmp_path, 1500), on_full=pause)
    assert problems == [()]
