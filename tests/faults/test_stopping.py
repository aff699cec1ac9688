"""Workers are told to stop, or stop by themselves, and sit on nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from persqa.broker.connection import celery_url, connect
from persqa.broker.keys import COUNTS, HELD, QUEUE, TRANSPORT_OPTIONS
from persqa.broker.workers import live_workers
from persqa.results import Status
from persqa.settings import Settings
from producer import Client
from tests.conftest import Site, Size
from tests.faults.tools import finish, notes, quick, rigged
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess


def test_a_worker_told_to_stop_gives_back_at_once_what_it_cannot_finish(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", drain_seconds=1, lease_seconds=60)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10))
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: len(notes(begun)) == 10, describe="all are begun")
            worker.terminate()
            assert worker.wait(10) == 0
        redis = connect(settings.broker_url or "")
        assert redis.llen(QUEUE) == 10
        assert redis.hlen(HELD) == 0
        assert redis.hlen(COUNTS) == 0, "a stop in order is no failed delivery"
        redis.close()
        with WorkerProcess(quick(site, "reads_colour"), tmp_path) as other:
            other.wait_ready()
            ready = time.monotonic()
            finish(run)
            assert time.monotonic() - ready < 5
        check_rows(run, 10)


def test_what_is_given_back_does_not_wait_for_an_engine_that_takes_its_time_to_end(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", drain_seconds=1, lease_seconds=60)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10))
        with rigged(settings, tmp_path, "slow_end:8") as worker:
            wait_until(lambda: len(notes(begun)) == 10, describe="all are begun")
            with WorkerProcess(quick(site, "reads_colour"), tmp_path) as other:
                other.wait_ready()
                worker.terminate()
                told = time.monotonic()
                finish(run)
                assert time.monotonic() - told < settings.drain_seconds + 5
                assert worker.process.poll() is None, "its engine has ended already, and proves nothing"
            assert worker.wait(20) == 0
        check_rows(run, 10)


def _terminate(worker: WorkerProcess, _settings: Settings) -> None:
    worker.terminate()


def _tell_by_celery(worker: WorkerProcess, settings: Settings) -> None:
    url = settings.broker_url or ""
    app: Any = Celery("peer", broker=celery_url(url), set_as_current=False)
    app.conf.broker_transport_options = TRANSPORT_OPTIONS
    (name,) = (one.name for one in live_workers(url) if one.name.startswith(f"worker-{worker.process.pid}-"))
    app.control.shutdown(destination=[name])
    app.close()


@pytest.mark.parametrize("tell", [_terminate, _tell_by_celery])
def test_a_worker_that_hangs_on_its_database_gives_back_in_time_and_ends(
    site: Site,
    tmp_path: Path,
    begun: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[WorkerProcess, Settings], None],
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "0")
    settings = quick(site, "takes_long", drain_seconds=1, lease_seconds=60)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10))
        with rigged(settings, tmp_path, "stuck_commit:1") as worker:
            wait_until(lambda: len(notes(begun)) == 10, describe="all are begun")
            with WorkerProcess(quick(site, "reads_colour"), tmp_path) as other:
                other.wait_ready()
                tell(worker, settings)
                told = time.monotonic()
                finish(run)
                assert time.monotonic() - told < settings.drain_seconds + 5
            assert worker.wait(40) == 3
            assert "after it was told to stop" in worker.text()
        check_rows(run, 10)


def test_a_worker_told_to_stop_does_not_wait_for_an_engine_that_is_loading_again(
    site: Site, tmp_path: Path, begun: Path
) -> None:
    settings = quick(site, "dies_once", drain_seconds=60, lease_seconds=60)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10))
        with rigged(settings, tmp_path, "stuck_load:2") as worker:
            wait_until(lambda: "is started anew" in worker.text(), describe="the engine died")
            assert begun.exists()
            worker.terminate()
            assert worker.wait(15) == 0
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run, seconds=20)
        check_rows(run, 10)


def test_a_worker_told_to_stop_does_not_wait_for_its_first_engine_to_load(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", drain_seconds=60)
    with rigged(settings, tmp_path, "stuck_load:1") as worker:
        wait_until(lambda: "loading the engine" in worker.text(), describe="it loads")
        worker.terminate()
        assert worker.wait(15) == 0


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGINT])
def test_an_idle_worker_ends_in_order(site: Site, tmp_path: Path, how: signal.Signals) -> None:
    with WorkerProcess(quick(site, "reads_colour"), tmp_path) as worker:
        worker.wait_ready()
        worker.process.send_signal(how)
        assert worker.wait(15) == 0
        assert "Restarting" not in worker.text()
        assert worker.text().rstrip().endswith("stopped: 0 items ended here, none is left in hand")


def test_ctrl_c_finishes_what_is_in_flight_and_a_second_one_gives_it_back(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "1.5")
    settings = quick(site, "takes_long", window=8)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 12))
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: len(notes(begun)) == 8, describe="the window is full")
            worker.process.send_signal(signal.SIGINT)
            assert worker.wait(20) == 0
            first = worker.text()
        assert first.rstrip().endswith("stopped: 8 items ended here, none is left in hand")
        assert "finishing 8 items in flight, for 20 s at most" in first
        assert f"serving demo from {settings.broker_url}, into " in first
        assert all(words not in first for words in ("shutdown", "app:", "[queues]", "terminating")), "Celery's words"
        monkeypatch.setenv("SCRIPT_SECONDS", "600")
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: len(notes(begun)) == 12, describe="the others are begun")
            worker.process.send_signal(signal.SIGINT)
            wait_until(lambda: "finishing 4 items" in worker.text(), describe="it drains")
            worker.process.send_signal(signal.SIGINT)
            assert worker.wait(10) == 130
            assert worker.text().rstrip().endswith("stopped: 0 items ended here, 4 items are given back to the queue")
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
        check_rows(run, 12)


def test_workers_told_to_stop_every_few_seconds_lose_and_double_nothing(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch, size: Size
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "0.3")
    settings = quick(site, "takes_long", window=20, lease_seconds=60)
    items, told = size(160, 2000), 0
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", items))
        while run.progress().pending:
            with WorkerProcess(settings, tmp_path) as worker:
                worker.wait_ready()
                end = time.monotonic() + size(1, 3)
                wait_until(
                    lambda: time.monotonic() > end or not run.progress().pending,  # noqa: B023
                    describe="some seconds or all items are over",
                )
                told += run.progress().pending > 0
                worker.terminate()
                assert worker.wait() == 0
        assert told >= 2
        assert set(notes(begun).values()) == {1}, "what was begun was finished, and begun nowhere else"
        check_empty(settings)
        check_rows(run, items)


def test_a_worker_whose_committer_breaks_ends_and_its_items_are_answered_elsewhere(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=16)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 200))
        with rigged(settings, tmp_path, "breaks_commit:3") as worker:
            assert worker.wait(30) == 1
            assert "a defect of PersQA" in worker.text()
        assert run.progress().pending
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 200)


def test_a_worker_whose_loop_stands_still_ends_and_sits_on_nothing(site: Site, tmp_path: Path, begun: Path) -> None:
    settings = quick(site, "blocks_once", hang_seconds=2, window=16)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 50))
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait(30) == 3
            assert begun.exists()
            assert "nothing done for" in worker.text()
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 50)


def test_a_worker_whose_keeper_breaks_ends_at_once_and_sits_on_nothing(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=16)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 400))
        with rigged(settings, tmp_path, "breaks_keeper:5") as worker:
            assert worker.wait(30) == 1
            assert "a defect of PersQA" in worker.text()
        assert run.progress().pending
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 400)


def test_a_signal_to_the_whole_process_group_finishes_what_is_in_flight(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "2")
    settings = quick(site, "takes_long", window=8)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: len(notes(begun)) == 8, describe="the window is full")
            os.killpg(worker.process.pid, signal.SIGTERM)
            assert worker.wait(20) == 0
        assert run.progress().ended[Status.OK] == 8
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
        check_rows(run, 20)
