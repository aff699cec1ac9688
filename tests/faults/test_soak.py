"""Random faults for half an hour (`make soak`), over workers that come and go and one that stays."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from persqa.broker.connection import connect
from producer import Client, RunHandle
from tests.conftest import Site
from tests.faults.tools import finish, quick
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.wait import spend
from tests.support.workers import WorkerProcess

_ITEMS = 400
_BUSY = 800
_EXIT_INFRASTRUCTURE = 3


class Soak:
    """A site, workers on it, and what can happen to them."""

    def __init__(self, site: Site, client: Client, folder: Path, stack: ExitStack) -> None:
        self._site = site
        self._client = client
        self._folder = folder
        self._stack = stack
        self._settings = client.settings
        self._database = sa.create_engine(self._settings.database_url.replace("postgresql:", "postgresql+psycopg:"))
        stack.callback(self._database.dispose)
        self.witness = self._worker()
        self.others = [self._worker() for _ in range(2)]
        self.runs: list[RunHandle] = []

    def _worker(self) -> WorkerProcess:
        return self._stack.enter_context(WorkerProcess(self._settings, self._folder))

    def feed(self, data: Path) -> None:
        """Submit another run where there is little left to do."""
        if sum(run.progress().pending for run in self.runs[-4:]) < _BUSY:
            self.runs.append(self._client.submit(data, run=f"run-{len(self.runs)}"))

    def kill_a_worker(self) -> None:
        victim = random.randrange(2)
        self.others[victim].process.kill()
        self.others[victim] = self._worker()

    def stop_a_worker_in_order(self) -> None:
        victim = random.randrange(2)
        worker = self.others[victim]
        # One that is still being started knows no order yet, and just ends; of a broken connection it ends by itself.
        allowed = {0} if "engine ready" in worker.text() else {0, -signal.SIGTERM, _EXIT_INFRASTRUCTURE}
        worker.terminate()
        assert worker.wait(60) in allowed, worker.text()
        self.others[victim] = self._worker()

    def freeze_a_worker(self) -> None:
        process = random.choice(self.others).process
        process.send_signal(signal.SIGSTOP)
        spend(random.uniform(0.5, 2) * self._settings.lease_seconds)
        process.send_signal(signal.SIGCONT)

    def restart_redis(self) -> None:
        self._site.broker.kill()
        self._site.broker.start()

    def freeze_redis(self) -> None:
        self._site.broker.signal(signal.SIGSTOP)
        spend(random.uniform(1, 8))
        self._site.broker.signal(signal.SIGCONT)

    def cut_redis_connections(self) -> None:
        redis = connect(self._settings.broker_url or "")
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        redis.close()

    def flush_redis(self) -> None:
        redis = connect(self._settings.broker_url or "")
        redis.flushall()
        redis.close()

    def cut_database_connections(self) -> None:
        with self._database.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )


@pytest.mark.soak
@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_half_an_hour_of_random_faults(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    monkeypatch.setenv("SCRIPT_SECONDS", "0.2")
    settings = quick(site, "takes_about", window=16, lease_seconds=4.0)
    data = write_images(tmp_path / "data", _ITEMS)
    memory: list[int] = []
    happened: Counter[str] = Counter()
    with Client(settings) as client, ExitStack() as stack:
        soak = Soak(site, client, tmp_path, stack)
        faults = [
            soak.kill_a_worker,
            soak.stop_a_worker_in_order,
            soak.freeze_a_worker,
            soak.restart_redis,
            soak.freeze_redis,
            soak.cut_redis_connections,
            soak.flush_redis,
            soak.cut_database_connections,
        ]
        process = psutil.Process(soak.witness.process.pid)
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            soak.feed(data)
            fault = random.choice(faults)
            fault()
            happened[fault.__name__] += 1
            assert soak.witness.process.poll() is None, soak.witness.text()
            spend(random.uniform(0, 4))
            memory.append(process.memory_full_info().uss)
        for run in soak.runs:
            finish(run, seconds=300)
            check_rows(run, _ITEMS)
        check_empty(settings)
    fifth = max(1, len(memory) // 5)
    drift = statistics.median(memory[-fifth:]) / statistics.median(memory[fifth : 2 * fifth])
    print(f"{len(soak.runs) * _ITEMS} items, {happened.total()} faults in {minutes:g} minutes: {dict(happened)}")
    print(f"the worker that stayed: {statistics.median(memory[-fifth:]) / 2**20:.0f} MiB, {drift - 1:+.1%}")
    assert drift < 1.05
