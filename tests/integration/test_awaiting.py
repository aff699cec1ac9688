"""A worker looks for its broker and its database before it loads a model, and waits for a server that is away."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path

import pytest

from persqa.broker.connection import connect
from persqa.settings import load_settings
from producer import Client
from tests.integration.test_worker import quiet
from tests.support.builders import write_images
from tests.support.servers import broker_process, postgres_process, redis_binary
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

_CELERY = ("-m", "celery", "-A", "worker", "worker", "--loglevel=INFO")
_LOADING = "loading the engine"


def _waits_for(worker: WorkerProcess, name: str) -> None:
    def says_so() -> bool:
        assert worker.process.poll() is None, worker.text()
        return f" for {name}; the model is loaded once it answers" in worker.text()

    wait_until(says_so, describe=f"it says that it waits for {name}")
    assert _LOADING not in worker.text()


@pytest.mark.parametrize("command", [("-m", "worker"), _CELERY], ids=["persqa", "celery"])
def test_a_worker_that_comes_before_its_servers_waits_for_them_and_says_so(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    with broker_process(redis_binary()) as broker, postgres_process() as database:
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        settings = scripted(load_settings(broker_url=broker.url, database_url=url), "compliant")
        broker.kill()
        database.stop()
        with WorkerProcess(settings, tmp_path, command) as worker:
            _waits_for(worker, "Redis")
            assert "Trying again" not in worker.text(), "Celery's own words"
            broker.start()
            _waits_for(worker, "the database")
            database.start()
            worker.wait_ready()
            with Client(settings) as client:
                run = client.submit(write_images(tmp_path / "data", 3))
                assert run.wait(timeout_seconds=30, display=quiet).pending == 0
            assert "worker.leases.transport" not in worker.text(), "nobody knows it by that name"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_ends_when_it_is_told_to(tmp_path: Path, how: signal.Signals) -> None:
    settings = scripted(load_settings(broker_url="redis://127.0.0.1:1/0"), "compliant")
    with WorkerProcess(settings, tmp_path) as worker:
        _waits_for(worker, "Redis")
        worker.process.send_signal(how)
        assert worker.wait(5) == 0
        assert worker.text().rstrip().endswith("stopped: 0 items ended here, none is left in hand")


@pytest.mark.parametrize("password", ["wrong", None])
def test_what_waiting_does_not_mend_is_said_at_once(tmp_path: Path, password: str | None) -> None:
    with broker_process(redis_binary()) as broker:
        with closing(connect(broker.url)) as redis:
            redis.config_set("requirepass", "right")
        given = "" if password is None else f"?password={password}"
        settings = scripted(load_settings(broker_url=f"{broker.url}{given}"), "compliant")
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait(20) == 2
            assert f"Redis at {broker.url}" in worker.text()
            assert "lets nobody in" in worker.text()
            assert _LOADING not in worker.text()
            assert "wrong" not in worker.text(), "the password"
