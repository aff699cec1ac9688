"""Celery's own tools do under load what Celery documents: inspect, revoke, time limits, rate limits and events."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from persqa.broker.connection import celery_url
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.items import ItemId
from persqa.messages import TASK_NAME, task_id
from persqa.results import Status
from persqa.settings import Settings
from producer import Client
from tests.conftest import Site
from tests.faults.tools import finish, notes, quick, wait_progress
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess


@contextmanager
def peer(settings: Settings) -> Generator[Any]:
    """Somebody else with a stock Celery; it has no types."""
    app: Any = Celery("peer", broker=celery_url(settings.broker_url or ""), set_as_current=False)
    app.conf.broker_transport_options = TRANSPORT_OPTIONS
    yield app
    app.close()


@contextmanager
def events_of(app: Any) -> Generator[Counter[str]]:
    """Counts what kinds of events the workers send."""
    seen: Counter[str] = Counter()
    ending, ready = threading.Event(), threading.Event()

    def count(event: dict[str, Any]) -> None:
        seen[event["type"]] += 1

    def listen() -> None:
        with app.connection() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": count})
            with receiver.consumer_context(wakeup=False) as (listening, _channel, _consumers):
                ready.set()
                while not ending.is_set():
                    try:
                        listening.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

    thread = threading.Thread(target=listen)
    thread.start()
    assert ready.wait(10)
    try:
        yield seen
    finally:
        ending.set()
        thread.join()


def test_inspect_and_events_tell_the_truth_under_load(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Answers that come together would leave moments in which nothing is active.
    monkeypatch.setenv("SCRIPT_SECONDS", "1")
    settings = quick(site, "takes_about", window=16)
    with (
        Client(settings) as client,
        peer(settings) as app,
        events_of(app) as events,
        WorkerProcess(settings, tmp_path) as worker,
    ):
        worker.wait_ready()
        run = client.submit(write_images(tmp_path / "data", 60))
        wait_progress(run)
        (active,) = app.control.inspect(timeout=2).active().values()
        assert 1 <= len(active) <= 16
        assert {task["name"] for task in active} == {TASK_NAME}
        (stats,) = app.control.inspect(timeout=2).stats().values()
        assert stats["pool"]["max-concurrency"] == 16
        finish(run)
        wait_until(lambda: events["task-succeeded"] == 60, describe=f"60 succeed, not {events}")
        assert events["task-received"] == events["task-started"] == 60


def test_a_revoked_item_ends_as_dead_with_a_dead_letter(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", window=2)
    with Client(settings) as client, peer(settings) as app, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 4))
        wait_until(lambda: len(notes(begun)) == 2, describe="two are begun")
        ids = [task_id(client.store.ledger.id, ItemId(row.item_id)) for row in run.results()]
        app.control.revoke(ids, terminate=True)
        finish(run)
        assert worker.process.poll() is None
        assert {row.reason for row in run.results(status="dead")} == {"revoked"}
        assert client.store.dead_letters.counts() == {"revoked": 4}
        check_empty(settings)


@pytest.mark.usefixtures("begun")
def test_a_time_limit_ends_its_item_alone(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "third_takes_long", item_seconds=2, hang_seconds=1)
    with (
        Client(settings) as client,
        peer(settings) as app,
        events_of(app) as events,
        WorkerProcess(settings, tmp_path) as worker,
    ):
        worker.wait_ready()
        run = client.submit(write_images(tmp_path / "data", 30))
        finish(run)
        assert worker.process.poll() is None
        (dead,) = run.results(status="dead")
        assert (dead.position, dead.reason, dead.detail) == (
            3,
            "time_limit",
            "not answered within 2 s (PERSQA_ITEM_SECONDS)",
        )
        assert run.progress().ended[Status.OK] == 29
        wait_until(lambda: events["task-succeeded"] + events["task-failed"] == 30, describe=f"all end: {events}")
        assert "Hard time limit (2.0s) exceeded" in worker.text()
        check_empty(settings)


@pytest.mark.usefixtures("begun")
def test_a_time_limit_can_be_changed_while_the_worker_runs(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long")
    with Client(settings) as client, peer(settings) as app, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        app.control.time_limit(TASK_NAME, hard=1, reply=True)
        run = client.submit(write_images(tmp_path / "data", 3))
        finish(run)
        assert {row.reason for row in run.results()} == {"time_limit"}
        check_empty(settings)


def test_a_rate_limit_slows_down_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=16)
    with Client(settings) as client, peer(settings) as app, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        wait_until(lambda: app.control.rate_limit(TASK_NAME, "10/s", reply=True), describe="the worker has heard it")
        run = client.submit(write_images(tmp_path / "data", 30))
        wait_progress(run)
        started = time.monotonic()
        pending = run.progress().pending
        finish(run)
        # A ceiling: with several requests waiting for the same moment, Celery's timers stay below it.
        assert pending / (time.monotonic() - started) < 12
        check_rows(run, 30)
        check_empty(settings)
