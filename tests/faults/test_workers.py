"""Workers die, stand still and meet what is not theirs."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from base64 import b64decode, b64encode
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import COUNTS, QUEUE
from persqa.results import Status
from persqa.settings import Settings
from producer import Client
from tests.conftest import Site, Size
from tests.faults.tools import LEASE_SECONDS, finish, lost_without_leases, notes, quick, rigged, wait_progress
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.rigged_worker import POINTS
from tests.support.wait import spend, wait_until
from tests.support.workers import WorkerProcess


def test_killed_workers_lose_and_double_nothing(
    site: Site, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills, items = size(10, 200), size(2500, 40_000)
    # Short beside a worker's life of some seconds, as answers are beside the life of a machine: whoever is tried alone
    # while three workers in a row are killed has no way to prove its innocence. A worker of a test starts at once, so
    # the seconds are spent here.
    monkeypatch.setenv("SCRIPT_SECONDS", "0.1")
    settings = quick(site, "takes_about", window=4)
    with Client(settings) as client, ExitStack() as stack:
        run = client.submit(write_images(tmp_path / "data", items))
        workers = [stack.enter_context(WorkerProcess(settings, tmp_path)) for _ in range(2)]
        for _ in range(kills):
            victim = random.randrange(2)
            workers[victim].wait_ready()
            # While the machine stands still, nobody could prove anything.
            wait_progress(run)
            spend(random.uniform(0.5, 2.5))
            workers[victim].process.kill()
            workers[victim] = stack.enter_context(WorkerProcess(settings, tmp_path))
        assert run.progress().pending, "workers were killed for nothing at the end"
        monkeypatch.setenv("SCRIPT_SECONDS", "0")
        stack.enter_context(WorkerProcess(quick(site, "takes_about", window=64), tmp_path))
        finish(run, seconds=300)
        check_rows(run, items)
        check_empty(settings)


def test_without_leases_killed_workers_lose_items(site: Site, tmp_path: Path, size: Size) -> None:
    """The negative control: kombu's own transport pops a message, and writes down later who has it."""
    items = size(3000, 6000)
    settings = quick(site, "reads_colour", window=64, reconcile_seconds=3600)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", items))
        lost: set[str] = set()
        for _ in range(40):
            with rigged(settings, tmp_path, "stock") as worker:
                wait_progress(run)
                spend(random.random() / 10)
                worker.process.kill()
                worker.process.wait()
            if lost := lost_without_leases(run, settings):
                break
        assert lost
        # The ledger knows them all the same.
        redis.flushall()
        with WorkerProcess(quick(site, "reads_colour", window=256), tmp_path):
            finish(run, seconds=200)
        check_rows(run, items)
    redis.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_may_die_at_any_point(site: Site, tmp_path: Path, size: Size, point: str) -> None:
    deaths, items = size(2, 20), size(300, 3000)
    settings = quick(site, "reads_colour", window=32)
    # Leases are looked at every other second: until then something has to be left.
    dying = settings.model_copy(update={"window": 1}) if point == "expire" else settings
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", items))
        for _ in range(deaths):
            with rigged(dying, tmp_path, f"dies:{point}:{random.randrange(1, 4)}") as worker:
                wait_until(
                    lambda worker=worker: worker.process.poll() == -signal.SIGKILL,
                    describe=f"the worker dies at {point}",
                    seconds=60,
                )
        assert run.progress().pending, "the last of them had nothing to die of"
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, items)


def test_what_a_killed_worker_held_starts_elsewhere_when_its_leases_run_out(
    site: Site, tmp_path: Path, size: Size, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = size(2, 30)
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", lease_seconds=lease)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 4))
        with WorkerProcess(settings, tmp_path) as first:
            wait_until(lambda: len(notes(begun)) == 4, describe="the first worker began with all")
            with WorkerProcess(quick(site, "reads_colour", lease_seconds=lease), tmp_path) as second:
                second.wait_ready()
                first.process.kill()
                killed = time.monotonic()
                finish(run)
                seconds = time.monotonic() - killed
                print(f"restarted elsewhere after {seconds:.1f} s with leases of {lease} s")
                assert seconds < lease + 5
                check_rows(run, 4)
                check_empty(settings)


def test_a_sweep_that_dies_keeps_nobody_else_from_sweeping(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    with Client(quick(site, "takes_long")) as client:
        run = client.submit(write_images(tmp_path / "data", 4))
        with WorkerProcess(quick(site, "takes_long"), tmp_path) as holder:
            wait_until(lambda: len(notes(begun)) == 4, describe="all are begun")
            holder.process.kill()
        with rigged(quick(site, "reads_colour"), tmp_path, "dies:expire:1") as sweeper:
            wait_until(lambda: sweeper.process.poll() == -signal.SIGKILL, describe="it dies in its first sweep")
        with WorkerProcess(quick(site, "reads_colour"), tmp_path) as other:
            other.wait_ready()
            ready = time.monotonic()
            finish(run)
            assert time.monotonic() - ready < 12
            check_rows(run, 4)
            check_empty(client.settings)


def test_an_item_that_takes_several_leases_is_begun_once(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", str(3 * LEASE_SECONDS))
    settings = quick(site, "takes_long")
    with Client(settings) as client, WorkerProcess(settings, tmp_path), WorkerProcess(settings, tmp_path):
        run = client.submit(write_images(tmp_path / "data", 20))
        finish(run)
        assert set(notes(begun).values()) == {1}
        check_rows(run, 20)


def test_a_worker_that_stood_still_for_two_leases_doubles_nothing(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=32)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 400))
        wait_progress(run)
        wait_until(lambda: _stops_without_a_lock(worker, settings), describe="it stands still between two commits")
        with WorkerProcess(settings, tmp_path):
            finish(run)
        worker.process.send_signal(signal.SIGCONT)
        check_rows(run, 400)
        check_empty(settings)


def _stops_without_a_lock(worker: WorkerProcess, settings: Settings) -> bool:
    """Let it stand still, unless it does so amid a commit: SQLite would let nobody else write until it goes on."""
    worker.process.send_signal(signal.SIGSTOP)
    if not settings.database_url.startswith("sqlite:"):
        return True
    try:
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), timeout=1)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        worker.process.send_signal(signal.SIGCONT)
        return False
    return True


@pytest.mark.parametrize("seconds", [300, -300])
def test_a_wrong_clock_redelivers_nothing_early(
    site: Site, tmp_path: Path, begun: Path, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", str(1.5 * LEASE_SECONDS))
    settings = quick(site, "takes_long")
    with Client(settings) as client, rigged(settings, tmp_path, f"clock:{seconds}"), WorkerProcess(settings, tmp_path):
        run = client.submit(write_images(tmp_path / "data", 20))
        finish(run)
        assert set(notes(begun).values()) == {1}
        check_rows(run, 20)


@pytest.mark.parametrize("script", ["kills_worker", "short_of_memory"])
def test_one_item_that_kills_workers_ends_alone(site: Site, tmp_path: Path, script: str) -> None:
    settings = quick(site, script, window=16)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 40))
        for _ in range(25):
            with WorkerProcess(settings, tmp_path) as worker:
                wait_until(
                    lambda worker=worker: worker.process.poll() is not None or run.progress().pending == 0,
                    describe="the worker dies or the run ends",
                )
            if run.progress().pending == 0:
                break
        assert run.progress().ended == {Status.OK: 39, Status.NONCOMPLIANT: 0, Status.INVALID: 0, Status.DEAD: 1}
        (dead,) = run.results(status="dead")
        assert (dead.position, dead.reason) == (3, "kills_workers")
        # A worker that lacks memory has the time to end in order.
        assert (dead.detail or "").count(f"{os.uname().nodename}:") >= 5 or script == "short_of_memory", dead.detail
        check_empty(settings)


def test_waiting_for_its_turn_to_be_tried_alone_blames_no_item(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On machines that are preempted often, good items die with their workers as often as it takes."""
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", window=6)
    redis = connect(settings.broker_url or "")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 6))
        for death in range(1, 6):
            with WorkerProcess(settings, tmp_path) as worker:
                # Together at first, and from the third time on one at a time.
                expected = 6 * death if death <= 2 else 12 + death - 2
                wait_until(lambda expected=expected: sum(notes(begun).values()) == expected, describe="begun")
                worker.process.kill()
        assert sorted(int(count) for count in redis.hvals(COUNTS))[:-3] == [2, 2, 2]
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 6)
    redis.close()


def test_no_process_of_a_killed_worker_is_left(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "slow")
    with WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        children = psutil.Process(worker.process.pid).children(recursive=True)
        os.kill(worker.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(child.is_running() for child in children), describe="no child is left")


def test_messages_of_another_version_are_refused_and_built_anew(site: Site, tmp_path: Path) -> None:
    """A producer that is newer than its workers: they say so, and ask the ledger, which they both know."""
    settings = quick(site, "reads_colour")
    redis = connect(settings.broker_url or "")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        entries = redis.lrange(QUEUE, 0, -1)
        redis.delete(QUEUE)
        for entry in entries:
            redis.lpush(QUEUE, _of_version(99, entry))
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 20)
        assert client.store.dead_letters.counts() == {"unknown_version": 20}
    redis.close()


def _of_version(version: int, entry: bytes | str) -> bytes:
    message = json.loads(entry)
    arguments = json.loads(b64decode(message["body"]))
    arguments[0][0]["v"] = version
    message["body"] = b64encode(json.dumps(arguments).encode()).decode()
    return json.dumps(message).encode()
