"""Pausing, resuming, cancelling, and letting one run go before another, with real workers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, RECONCILED, queue_for
from persqa.broker.publisher import Publisher
from persqa.broker.publishing import Publishing
from persqa.errors import RunStopped
from persqa.reasons import Reason
from persqa.reconciler import Reconciler
from persqa.results import Outcome, Result, Status
from persqa.runs import Priority, RunState
from producer import Client
from producer.cli import requeue
from tests.integration.test_worker import quiet
from tests.support.builders import an_outcome, write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.queues import HIGH, held, many_records, waiting
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.settings import Settings
    from tests.conftest import Site


def forget_that_somebody_looked(settings: Settings) -> None:
    with closing(connect(settings.broker_url or "")) as redis:
        redis.delete("none", *redis.keys(f"{RECONCILED}:*"))


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_an_urgent_run_goes_before_thousands_of_items_that_can_be_paused(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"window": 64})
    with Client(settings) as client:
        big = client.submit(many_records(tmp_path / "big", 4000))
        urgent = client.submit(write_images(tmp_path / "urgent", 50), run="urgent", priority="high")
        assert (waiting(settings), waiting(settings, HIGH)) == (4000, 50)
        with WorkerProcess(settings, tmp_path):
            urgent.wait(timeout_seconds=60, display=quiet)
            assert big.progress().pending > 3200, "the urgent one was stuck behind the large one"
            wait_until(lambda: big.progress().pending < 3900, describe="the large one goes on")
            withdrawn = big.pause()
            ended = 4000 - big.progress().pending
            wait_until(lambda: held(settings) == 0, describe="what has begun is finished")
            paused = big.progress()
            assert 4000 - paused.pending <= ended + settings.window
            # The rest is what the worker has taken meanwhile, and dropped.
            assert 0 < withdrawn <= paused.pending
            assert (paused.state, waiting(settings)) == (RunState.PAUSED, 0)
            assert big.audit().holds, "what is in no queue is not lost"
            forget_that_somebody_looked(settings)
            assert Reconciler(client.store, settings).reconcile() == 0
            with pytest.raises(RunStopped, match="persqa resume many"):
                client.submit(tmp_path / "big" / "many.jsonl")
            assert big.progress().pending == paused.pending
            assert big.resume() == paused.pending
            big.wait(timeout_seconds=120, display=quiet)
        check_rows(big, 4000)
        check_empty(settings)


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_run_that_is_paused_again_and_again_ends_with_one_row_for_each_item(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"window": 64, "reconcile_seconds": 1.0})
    with Client(settings) as client:
        run = client.submit(many_records(tmp_path / "data", 1500))
        with WorkerProcess(settings, tmp_path) as one, WorkerProcess(settings, tmp_path):
            one.wait_ready()
            for priority in ("high", "low", "normal", "high"):
                before = run.progress().pending
                wait_until(lambda before=before: run.progress().pending < before - 50, describe="it goes on")
                run.pause()
                run.set_priority(priority)
                run.resume()
            run.wait(timeout_seconds=60, display=quiet)
        check_rows(run, 1500)
        check_empty(settings)


def test_what_is_in_the_queue_of_a_paused_run_is_dropped_and_asked_when_it_is_resumed(
    site: Site, tmp_path: Path
) -> None:
    settings = scripted(site.settings, "reads_colour")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 40))
        run.pause()
        items = next(client.store.ledger.pending(run.run.id))
        # As a batch does that was on its way when the run was paused.
        broker, ledger = settings.broker_url or "", client.store.ledger.id
        with closing(Publisher(broker, ledger=ledger, queue_bound=1000)) as publisher:
            publisher.push(QUEUE, publisher.entries(items, run.run, QUEUE))
        with WorkerProcess(settings, tmp_path):
            wait_until(lambda: waiting(settings) + held(settings) == 0, describe="they are dropped")
            assert run.progress().pending == 40
            assert run.resume() == 40
            run.wait(timeout_seconds=60, display=quiet)
        check_rows(run, 40)
        check_empty(settings)


def test_a_run_that_was_resumed_without_a_broker_is_taken_up_by_whoever_has_one(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        run.pause()
        with Client(site.settings.model_copy(update={"broker_url": None}), local_worker=False) as elsewhere:
            assert elsewhere.run("records").resume() == 0
        assert Reconciler(client.store, site.settings).reconcile() == 20
        assert waiting(site.settings) == 20
        assert client.run("records").audit().holds
        # From now on it is a run like any other: what the queue loses is found.
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.delete(QUEUE)
        forget_that_somebody_looked(site.settings)
        assert Reconciler(client.store, site.settings).reconcile() == 20


def test_whoever_resumes_it_is_left_alone(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        run.pause()
        client.store.runs.set_state(run.run, RunState.ACTIVE)
        with closing(Publishing(site.settings.broker_url or "", ledger=client.store.ledger.id)) as publishing:
            publishing.goes_on(run.run.id)
        assert Reconciler(client.store, site.settings).reconcile() == 0
        assert run.resume() == 20


def test_items_of_a_paused_run_that_are_asked_again_wait_for_its_end(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2))
        item = next(client.store.ledger.pending(run.run.id))[0]
        dead = Result(item_id=item.id, run_id=run.run.id, status=Status.DEAD, reason=Reason.LOST)
        client.store.results.commit([Outcome(dead)])
        run.pause()
    requeue.command("records", "dead", broker_url=site.settings.broker_url, database_url=site.settings.database_url)
    assert "1 dead item is pending again; the run is paused, to go on: persqa resume records" in capsys.readouterr().out
    assert waiting(site.settings) == 0


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_who_waits_for_a_run_that_is_cancelled_is_told_and_it_can_be_taken_up_again(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    data = write_images(tmp_path / "data", 30)
    with Client(settings) as client:
        run = client.submit(data)
        states: list[RunState] = []

        def pause_then_cancel(_progress: object) -> None:
            states.append(run.progress().state)
            (run.pause, run.cancel)[len(states) > 1]()

        with pytest.raises(RunStopped, match=r"cancelled with 30 of 30 items to go; .*persqa resume records"):
            run.wait(timeout_seconds=60, display=pause_then_cancel)
        assert states[:2] == [RunState.ACTIVE, RunState.PAUSED], "a run that is paused is waited for"
        for refused in (lambda: client.submit(data), run.pause, lambda: run.requeue(Status.DEAD)):
            with pytest.raises(RunStopped, match="persqa resume records"):
                refused()
        assert run.audit().holds
        assert (run.resume(), waiting(settings)) == (30, 30)
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        check_rows(run, 30)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_what_is_requeued_of_a_paused_run_waits_until_it_is_resumed(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "always_broken")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10), tag_policy="check")
        *most, _ = next(client.store.ledger.pending(run.run.id))
        client.store.results.commit([an_outcome(item, Status.NONCOMPLIANT) for item in most])
        run.pause()
        assert run.requeue(Status.NONCOMPLIANT).taken_back == 9
        assert (waiting(settings), run.progress().pending) == (0, 10)
        assert run.resume() == 10
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_each_worker_answers_the_runs_of_its_own_model(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    data = write_images(tmp_path / "data", 30)
    with Client(settings) as client:
        runs = {
            model: client.submit(data, run=model, model=f"org/{model}", priority=priority)
            for model, priority in (("one", "low"), ("two", "normal"))
        }
        assert waiting(settings, queue_for("org/one", Priority.LOW)) == waiting(settings, queue_for("org/two")) == 30
        for model, run in runs.items():
            pending = [other.progress().pending for other in runs.values()]
            with WorkerProcess(settings.model_copy(update={"model": f"org/{model}"}), tmp_path):
                run.wait(timeout_seconds=60, display=quiet)
            assert sum(pending) - sum(other.progress().pending for other in runs.values()) == 30
            check_rows(run, 30)


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_lost_items_are_looked_for_in_the_queues_of_all_priorities(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        # The state in which a worker leaves it that gives back what it had before the priority was changed.
        client.store.runs.set_priority(run.run, Priority.LOW)
        assert Reconciler(client.store, site.settings).reconcile() == 0
        assert client.run("records").audit().holds
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.delete(QUEUE)
        forget_that_somebody_looked(site.settings)
        assert Reconciler(client.store, site.settings).reconcile() == 20
        assert waiting(site.settings, queue_for(None, Priority.LOW)) == 20


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_without_a_terminal_who_waits_reads_that_it_is_paused(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2))
        run.pause()
        with pytest.raises(TimeoutError):
            run.wait(timeout_seconds=0.1)
        assert "records: paused; to go on: persqa resume records" in capsys.readouterr().err
