"""Redis dies, stands still, is full, forgets everything, and drops connections."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.results import Status
from producer import Client
from tests.conftest import Site, Size
from tests.faults.tools import finish, lost_without_leases, notes, quick, rigged, wait_progress
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.wait import spend, wait_until
from tests.support.workers import WorkerProcess

_FULL = 1


def test_a_worker_survives_restarts_of_redis_with_work_in_flight(
    site: Site, tmp_path: Path, size: Size, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts = size(2, 20)
    monkeypatch.setenv("SCRIPT_SECONDS", "0.3")
    settings = quick(site, "takes_long", window=32)
    longest = 0.0
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 1000 * restarts))
        for _ in range(restarts):
            wait_progress(run)
            spend(random.random())
            site.broker.kill()
            site.broker.start()
            back = time.monotonic()
            # What was in hand is finished without Redis; it is back when something new has been claimed.
            redis = connect(settings.broker_url or "")
            waiting = redis.llen(QUEUE)
            wait_until(lambda waiting=waiting, redis=redis: redis.llen(QUEUE) < waiting, describe="it claims again")
            longest = max(longest, time.monotonic() - back)
            redis.close()
            assert worker.process.poll() is None, worker.text()
        monkeypatch.setenv("SCRIPT_SECONDS", "0")
        with WorkerProcess(quick(site, "takes_long", window=64), tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 1000 * restarts)
        assert set(notes(begun).values()) == {1}
    print(f"claimed again {longest:.1f} s after Redis was back, at most")
    assert longest < 10


def test_without_leases_restarts_of_redis_begin_items_twice_or_lose_them(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: kombu's own transport, which survives about every other restart."""
    monkeypatch.setenv("SCRIPT_SECONDS", "1")
    settings = quick(site, "takes_long", window=8, reconcile_seconds=3600)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client, rigged(settings, tmp_path, "stock") as worker:
        run = client.submit(write_images(tmp_path / "data", 500))

        def broken() -> bool:
            return _ended(worker) or max(notes(begun).values()) > 1 or bool(lost_without_leases(run, settings))

        def breaks_soon() -> bool:
            with suppress(AssertionError):
                return wait_until(broken, describe="items are begun twice or lost, or the worker ends", seconds=4)
            return False

        for restart in range(1, 21):
            wait_progress(run)
            site.broker.kill()
            wait_until(lambda restart=restart: _ended(worker) or _noticed(worker) >= restart, describe="it notices")
            site.broker.start()
            if breaks_soon():
                print(f"kombu's own transport broke at restart {restart}")
                break
        else:
            raise AssertionError("twenty restarts, and nothing begun twice, nothing lost, and the worker lives")
        worker.process.kill()
        worker.process.wait()
        redis.flushall()
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
    redis.close()


def _ended(worker: WorkerProcess) -> bool:
    return worker.process.poll() is not None


def _noticed(worker: WorkerProcess) -> int:
    return worker.text().count("Connection to broker lost")


def test_cut_connections_begin_nothing_twice(
    site: Site, tmp_path: Path, size: Size, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = size(5, 50)
    monkeypatch.setenv("SCRIPT_SECONDS", "0.3")
    settings = quick(site, "takes_long", window=32)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 60 * cuts))
        for _ in range(cuts):
            wait_progress(run)
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        finish(run)
        assert worker.process.poll() is None
        assert set(notes(begun).values()) == {1}
        check_rows(run, 60 * cuts)
    redis.close()


def test_a_redis_that_stands_still_wedges_nothing(site: Site, tmp_path: Path, size: Size) -> None:
    settings = quick(site, "slow", window=8, lease_seconds=30)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 60))
        wait_progress(run)
        site.broker.signal(signal.SIGSTOP)
        # The subject is how long it takes nobody to answer.
        spend(size(5, 60))
        site.broker.signal(signal.SIGCONT)
        back = time.monotonic()
        wait_until(lambda: connect(settings.broker_url or "").llen(QUEUE) < 40, describe="it claims again", seconds=30)
        print(f"claimed again {time.monotonic() - back:.1f} s after Redis went on")
        finish(run)
        assert worker.process.poll() is None
        assert run.progress().ended[Status.OK] == 60


def test_what_is_in_flight_survives_a_redis_that_stands_still_for_longer_than_a_lease(
    site: Site, tmp_path: Path, size: Size, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", str(size(10, 20)))
    settings = quick(site, "takes_long", window=8)
    with Client(settings) as client, WorkerProcess(settings, tmp_path), WorkerProcess(settings, tmp_path):
        run = client.submit(write_images(tmp_path / "data", 16))
        wait_until(lambda: len(notes(begun)) == 16, describe="both have begun")
        site.broker.signal(signal.SIGSTOP)
        # The subject is how long it takes nobody to answer.
        spend(size(5, 10))
        site.broker.signal(signal.SIGCONT)
        finish(run)
        assert set(notes(begun).values()) == {1}
        check_rows(run, 16)


def test_a_worker_told_to_stop_ends_though_redis_stands_still(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", drain_seconds=1)
    with WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        site.broker.signal(signal.SIGSTOP)
        try:
            wait_until(lambda: "failed: Timeout" in worker.text(), describe="it notices")
            worker.terminate()
            assert worker.wait(45) in (0, 3)
        finally:
            site.broker.signal(signal.SIGCONT)


def test_a_full_redis_loses_nothing_and_a_submit_waits_for_room(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "slow", window=8)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 40))
        wait_progress(run)
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", _FULL)

        def make_room() -> None:
            # What is queued can still be worked off, and held for longer than a lease.
            finish(run)
            assert worker.process.poll() is None
            redis.config_set("maxmemory", 0)

        more = client.submit(write_images(tmp_path / "more", 10), run="more", on_full=make_room)
        finish(more)
        assert (run.progress().ended[Status.OK], more.progress().ended[Status.OK]) == (40, 10)
        check_empty(settings)
    redis.close()


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_without_leases_a_full_redis_loses_items(site: Site, tmp_path: Path) -> None:
    """The negative control: kombu's own transport takes a message, and has no room to write down who has it."""
    settings = quick(site, "slow", window=4, reconcile_seconds=3600)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client:
        with rigged(settings, tmp_path, "stock") as worker:
            worker.wait_ready()
            run = client.submit(write_images(tmp_path / "data", 200))
            wait_progress(run)
            redis.config_set("maxmemory", _FULL)
            wait_until(
                lambda: (
                    run.progress().pending > redis.llen(QUEUE) + redis.hlen("persqa:unacked") + 4
                    or worker.process.poll() is not None
                ),
                describe="it loses items",
            )
            worker.process.kill()
            worker.process.wait()
        lost = run.progress().pending - redis.llen(QUEUE) - redis.hlen("persqa:unacked")
        assert lost > 0
        redis.config_set("maxmemory", 0)
        redis.flushall()
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
    redis.close()


def test_a_queue_that_is_flushed_is_filled_again_from_the_ledger(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "slow", window=8)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 60))
        with WorkerProcess(settings, tmp_path):
            wait_progress(run)
            redis.flushall()
            finish(run)
            check_empty(settings)
        assert run.progress().ended[Status.OK] == 60
    redis.close()
