"""A worker process on real servers: how it starts, is seen and ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from persqa.broker.connection import celery_url, connect, translated
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.broker.workers import live_workers
from persqa.errors import BrokerUnavailable
from persqa.settings import load_settings
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.builders import write_images
from tests.support.servers import valkey_server
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site


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


def test_celerys_own_tools_see_the_worker(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "slow")
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
        ({"engine": "nowhere:Engine"}, "PERSQA_ENGINE"),
        ({"database_url": "sqlite:////nowhere/at/all/x.db"}, "unable to open database file"),
    ],
)
def test_a_worker_that_cannot_start_says_why_and_ends(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with valkey_server() as url:
        settings = load_settings(broker_url=url).model_copy(update=change)
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait() in (2, 3)
            assert words in worker.text()


def test_a_local_worker_ends_with_its_parent_and_takes_the_broker_with_it(tmp_path: Path) -> None:
    with valkey_server() as url:
        settings = load_settings(broker_url=url, database_url=f"sqlite:///{tmp_path}/persqa.db")
        with WorkerProcess(
            scripted(settings, "compliant"), tmp_path, ("-m", "worker", "--with-parent", "--with-broker")
        ) as worker:
            worker.wait_ready()
            assert worker.process.stdin is not None
            worker.process.stdin.close()
            assert worker.wait(20) == 0
        with pytest.raises(BrokerUnavailable), translated(url):
            connect(url).ping()  # pyright: ignore[reportUnknownMemberType]


def test_importing_the_worker_package_loads_nothing_heavy() -> None:
    code = "import worker, sys; print([name for name in ('celery', 'vllm', 'torch') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
