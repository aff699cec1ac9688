"""The fleet under the accounts that docker-compose.yml gives its services: each does its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from persqa.broker.keys import HELD, QUEUE, queue_for, turns_of
from persqa.runs import Priority
from tests.integration.test_accounts import QUEUES
from tests.support.builders import write_images
from tests.support.fleet import Fleet
from tests.support.guarded import (
    ROOT,
    free_port,
)
from tests.support.programs import Program
from tests.support.wait import wait_until

pytestmark = pytest.mark.xdist_group("accounts")


def test_every_role_does_its_work_with_its_own_account(fleet: Fleet) -> None:
    before = _refusals(fleet)
    write_images(fleet.folder / "data", 40)
    run = f"run-{fleet.broker.port}"
    producer = fleet.environment("submit", "producer", "writer")
    with _worker(fleet) as log:
        for way in (["--run", run], ["--append", f"{run}-open"]):
            ended = fleet.persqa(producer, "submit", "data/records.jsonl", *way)
            assert ended.returncode == 0, ended.stderr
        looking = fleet.environment("exporter", "monitor", "reader")
        for name in (run, f"{run}-open"):
            wait_until(
                lambda name=name: _status(fleet, looking, name)["runs"][0]["pending"] == 0,
                describe="all is answered",
                seconds=120,
            )
        # Whoever submits sees the worker, too.
        for environment in (producer, looking):
            assert [worker["model"] for worker in _status(fleet, environment, run)["workers"]] == ["scripted"]
        for arguments in (["audit", run], ["requeue", run, "--status", "dead"]):
            ended = fleet.persqa(producer, *arguments)
            assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
        text = log.read_text()
    assert fleet.broker.password("redis_worker") not in text
    assert fleet.broker.password("postgres_writer") not in text
    assert f"Connected to Redis at redis://worker:***@127.0.0.1:{fleet.broker.port}/0" in text
    assert "perm" not in text.lower(), text
    assert _refusals(fleet) == before


def test_what_waits_is_withdrawn_by_the_producer(fleet: Fleet) -> None:
    write_images(fleet.folder / "waiting", 10)
    run = f"waiting-{fleet.broker.port}"
    producer = fleet.environment("submit", "producer", "writer")
    for way, name in (("--run", run), ("--append", f"{run}-open")):
        for arguments in (
            ["submit", "waiting/records.jsonl", way, name],
            ["priority", name, "low"],
            ["pause", name],
            ["resume", name],
            ["cancel", name],
        ):
            ended = fleet.persqa(producer, *arguments)
            assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
            if arguments[0] == "resume":
                (backlog,) = (one for one in _status(fleet, producer, name)["queues"] if one["queue"] == "persqa:low")
                assert backlog["waiting"] == 10
    with closing(fleet.redis("producer")) as client:
        assert [client.llen(queue) for queue in QUEUES] == [0] * len(QUEUES)
        assert [client.zrange(turns_of(queue), 0, -1) for queue in QUEUES] == [[]] * len(QUEUES)


def test_flower_sees_the_workers_and_may_not_change_them(fleet: Fleet, tmp_path: Path) -> None:
    port = free_port()
    environment = fleet.environment("flower", "monitor", "reader") | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'deploy' / 'flower'}",
        "FLOWER_READ_ONLY": "true",
        "FLOWER_UNAUTHENTICATED_API": "true",
    }
    command = [sys.executable, "-m", "celery", "flower", "--address=127.0.0.1", f"--port={port}"]
    with _worker(fleet), (tmp_path / "flower.log").open("wb") as log:
        flower = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            found = wait_until(
                lambda: _asked(f"http://127.0.0.1:{port}/api/workers?refresh=1"),
                describe=f"Flower lists a worker: {(tmp_path / 'flower.log').read_text()}",
            )
            (name,) = json.loads(found or b"")
            shutdown = urllib.request.Request(f"http://127.0.0.1:{port}/api/worker/shutdown/{name}", method="POST")
            with pytest.raises(urllib.error.HTTPError, match="40"):
                urllib.request.urlopen(shutdown, timeout=10)
        finally:
            flower.terminate()
            flower.wait(20)
    text = (tmp_path / "flower.log").read_text()
    assert fleet.broker.password("redis_monitor") not in text
    assert "perm" not in text.lower(), text


def test_what_scales_the_fleet_can_measure_it(fleet: Fleet) -> None:
    # What KEDA asks, in its own way: a script that looks what a key is, and how long.
    script = """
        local kind = redis.call('TYPE', KEYS[1]).ok
        return redis.call(({list = 'LLEN', none = 'LLEN', hash = 'HLEN', zset = 'ZCARD'})[kind], KEYS[1])
    """
    with closing(fleet.redis("worker")) as worker, closing(fleet.redis("monitor")) as monitor:
        worker.lpush(queue_for(None, Priority.LOW), "not a message")
        worker.hset(HELD, "tag", "not an entry")
        worker.zadd(turns_of(QUEUE), {"not a queue": 0})
        try:
            for key, length in ((queue_for(None, Priority.LOW), 1), (HELD, 1), (turns_of(QUEUE), 1), (QUEUE, 0)):
                assert monitor.eval(script, 1, key) == length
        finally:
            worker.rpop(queue_for(None, Priority.LOW))
            worker.hdel(HELD, "tag")
            worker.zrem(turns_of(QUEUE), "not a queue")


def test_a_wrong_password_is_told_to_people_and_not_shown(fleet: Fleet) -> None:
    environment = fleet.environment("submit", "producer", "writer") | {"PERSQA_BROKER_PASSWORD": "guessed"}
    ended = fleet.persqa(environment, "doctor")
    assert ended.returncode == 1
    assert "redis://producer:***@" in ended.stdout
    assert "guessed" not in ended.stdout + ended.stderr


@contextmanager
def _worker(fleet: Fleet) -> Generator[Path]:
    environment = fleet.environment("worker", "worker", "writer") | {
        "PERSQA_ENGINE": "tests.support.scripted_engine:ScriptedEngine",
        "PERSQA_ENGINE_ARGS": '{"script": "tests.support.scripts:reads_colour"}',
        # Often enough that it looks for lost items while a test runs.
        "PERSQA_RECONCILE_SECONDS": "1",
    }
    environment.pop("PERSQA_METRICS_PORT")
    log = fleet.folder / f"worker-{os.urandom(3).hex()}.log"
    with log.open("wb") as file:
        process = Program(["worker"], env=environment, cwd=fleet.folder, stdout=file, stderr=file)
    try:
        wait_until(
            lambda: process.poll() is not None or " ready." in log.read_text(), describe=f"the worker is ready; {log}"
        )
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        process.wait(60)


def _status(fleet: Fleet, environment: dict[str, str], run: str) -> dict[str, list[dict[str, object]]]:
    ended = fleet.persqa(environment, "status", run, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def _refusals(fleet: Fleet) -> list[int]:
    """What anybody was refused so far, where the server counts it: Valkey, and Redis from 7.2 on."""
    with closing(fleet.redis("producer")) as client:
        counted: dict[str, int] = client.info("stats")
    return [counted.get(f"acl_access_denied_{what}", 0) for what in ("cmd", "key", "channel")]


def _asked(url: str) -> bytes | None:
    """What it says, once it says something."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            said: bytes = answer.read()
    except OSError:
        return None
    return said if json.loads(said) else None
