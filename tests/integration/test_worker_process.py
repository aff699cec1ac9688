"""A worker process on real servers: how it starts, is seen and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from persqa.broker.connection import celery_url
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.broker.workers import live_workers
from persqa.errors import SettingsError
from persqa.models import default_model
from persqa.settings import load_settings
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.builders import write_images
from tests.support.programs import run_program
from tests.support.servers import valkey_server
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site

_ROOT = Path(__file__).parents[2]


def test_sigterm_finishes_what_is_in_flight_and_leaves_the_rest_in_the_queue(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "slow").model_copy(update={"window": 8})
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 40))
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: run.progress().pending < 40, describe="the first items are answered")
            worker.terminate()
            assert worker.wait() == 0
        done = counts(run)["ok"]
        assert 8 <= done < 40
        assert run.audit().holds
        depth = run.depth()
        assert depth is not None
        assert (depth.waiting, depth.held) == (40 - done, 0)
        with WorkerProcess(scripted(site.settings, "compliant"), tmp_path):
            run.wait(timeout_seconds=60, display=quiet)


def test_a_dead_engine_ends_the_worker_and_its_items_go_back_to_the_queue(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "dies")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 10))
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait() == 3
            assert "the engine died, as scripted" in worker.text()
        depth = run.depth()
        assert depth is not None
        assert (depth.waiting, depth.held) == (10, 0)
        with WorkerProcess(scripted(site.settings, "compliant"), tmp_path):
            run.wait(timeout_seconds=60, display=quiet)


def test_celerys_own_tools_see_the_worker(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for a busy machine to see all of them at once.
    monkeypatch.setenv("SCRIPT_SECONDS", "4")
    monkeypatch.setenv("SCRIPT_NOTES", str(tmp_path / "notes"))
    settings = scripted(site.settings, "takes_long")
    app = Celery("peer", broker=celery_url(settings.broker_url or ""), set_as_current=False)
    app.conf.broker_transport_options = TRANSPORT_OPTIONS
    seen: list[str] = []

    def notice(event: dict[str, str]) -> None:
        seen.append(event["type"])

    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": notice})
            consumer = receiver.itercapture(limit=None, timeout=None, wakeup=False)
            next(consumer)
            run = client.submit(write_images(tmp_path / "data", 5))
            wait_until(
                lambda: sum(map(len, (app.control.inspect(timeout=0.5).active() or {}).values())) == 5,
                describe="inspect active lists the items",
            )
            ((name, stats),) = (app.control.inspect().stats() or {}).items()
            assert stats["pool"]["model"] == "scripted"
            assert app.control.inspect().ping() == {name: {"ok": "pong"}}
            assert [(found.name, found.model) for found in live_workers(settings.broker_url or "")] == [
                (name, "scripted")
            ]
            run.wait(timeout_seconds=60, display=quiet)
            while seen.count("task-succeeded") < 5:
                next(consumer)
            assert seen.count("task-received") == seen.count("task-started") == 5
    app.close()


def test_the_worker_starts_by_celerys_own_command_too(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    command = ("-m", "celery", "-A", "worker", "worker", "--loglevel=INFO")
    with Client(settings) as client, WorkerProcess(settings, tmp_path, command) as worker:
        run = client.submit(write_images(tmp_path / "data", 5))
        run.wait(timeout_seconds=60, display=quiet)
        worker.terminate()
        assert worker.wait() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"broker_url": None}, "PERSQA_BROKER_URL"),
        ({"engine": "nowhere:Engine"}, "the engine 'nowhere:Engine' cannot be loaded"),
        (
            {"database_url": "sqlite:////nowhere/at/all/x.db"},
            "there is no folder /nowhere/at/all for the database",
        ),
    ],
)
def test_a_worker_that_cannot_start_says_why_and_ends(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with valkey_server() as url:
        settings = load_settings(broker_url=url).model_copy(update=change)
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait() in (2, 3)
            assert words in worker.text()


def test_a_local_worker_ends_with_its_parent(tmp_path: Path) -> None:
    with valkey_server() as url:
        settings = load_settings(broker_url=url, database_url=f"sqlite:///{tmp_path}/persqa.db")
        with WorkerProcess(scripted(settings, "compliant"), tmp_path, ("-m", "worker", "--with-parent")) as worker:
            worker.wait_ready()
            assert worker.process.stdin is not None
            worker.process.stdin.close()
            assert worker.wait(20) == 0


def test_a_worker_of_a_named_broker_wants_to_know_what_it_may_read(tmp_path: Path) -> None:
    with valkey_server() as url:
        settings = scripted(load_settings(broker_url=url, database_url=f"sqlite:///{tmp_path}/persqa.db"), "compliant")
        environment = {**os.environ, **settings.environment()}
        for command in (("worker",), ("celery", "-A", "worker", "worker")):
            ended = run_program(*command, env=environment, cwd=_ROOT)
            assert ended.returncode == 2, ended.stderr
            assert "image_roots or PERSQA_IMAGE_ROOTS" in ended.stderr


def test_a_program_with_a_worker_on_a_named_broker_reads_below_its_own_data_alone(tmp_path: Path) -> None:
    mine, other = (write_images(tmp_path / name, 2) for name in ("mine", "other"))
    with valkey_server() as url:
        settings = scripted(load_settings(broker_url=url, database_url=f"sqlite:///{tmp_path}/persqa.db"), "compliant")
        # What a message says of where its images are is not what decides.
        with Client(settings, local_worker=False) as elsewhere:
            elsewhere.submit(other, run="foreign")
        with Client(settings, local_worker=True) as client:
            run = client.submit(mine, run="mine")
            run.wait(timeout_seconds=60, display=quiet)
            assert counts(run) == {"ok": 2}
            client.run("foreign").wait(timeout_seconds=60, display=quiet)
            assert {row.reason for row in client.run("foreign").results()} == {"outside_roots"}
            with pytest.raises(SettingsError, match=f"may read images from {mine.parent}, and .* {other.parent}: set"):
                client.submit(other, run="second")
        with Client(settings.model_copy(update={"image_roots": [tmp_path]}), local_worker=True) as client:
            for name in ("second", "third"):
                again = client.submit(other, run=name)
                again.wait(timeout_seconds=60, display=quiet)
                assert counts(again) == {"ok": 2}


def test_the_model_that_workers_serve_by_default_may_be_named(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2), model=default_model())
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=30, display=quiet)


def test_two_workers_with_one_host_name_and_process_id_have_two_names() -> None:
    # As in two containers on the network of one host.
    code = "import os; os.getpid = lambda: 7; from worker.process.identity import *; print(worker_name(), node_name())"
    said = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(2)]
    assert len({*said[0], *said[1]}) == 4
    assert all(name.startswith(f"{os.uname().nodename}:7:") for name, _ in said)


def test_importing_the_worker_package_loads_nothing_heavy() -> None:
    code = "import worker, sys; print([name for name in ('celery', 'vllm', 'torch') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
