"""What happens to vLLM's own processes: killed, stopped, orphaned, and told to stop with the whole group."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from persqa.results import Status
from persqa.settings import Settings
from producer import Client, RunHandle
from producer.demo.data import write_demo_data
from tests.conftest import Size
from tests.faults.tools import finish, wait_progress
from tests.support.dashboards import panel_queries
from tests.support.oracle import check_audits
from tests.support.pages import free_port, samples
from tests.support.servers import broker_process, fresh_database, valkey_binary
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess

pytestmark = pytest.mark.timeout(1800)

_LOAD_SECONDS = 180


@pytest.fixture(scope="module")
def settings(_postgres: sa.URL) -> Iterator[Settings]:
    """A site of its own; the audit must hold at the end."""
    with broker_process(valkey_binary()) as broker, fresh_database(_postgres) as database:
        # Commits are smaller than the window, so that some are in flight whenever one is seen.
        yield Settings(
            broker_url=broker.url,
            database_url=database,
            lease_seconds=5,
            window=64,
            commit_items=16,
            hang_seconds=10,
            metrics_port=free_port(),
        )


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, size: Size) -> Path:
    folder = tmp_path_factory.mktemp("people")
    list(write_demo_data(size(200, 600), folder, seed=99))
    return folder / "portraits.jsonl"


def submit(client: Client, people: Path, name: str, questions: int = 1) -> RunHandle:
    return client.submit(people, run=name, tag_policy="check", questions_per_image=questions)


def engine_of(worker: WorkerProcess) -> psutil.Process:
    """The process of the engine's core."""
    children = psutil.Process(worker.process.pid).children(recursive=True)
    (core,) = (child for child in children if "EngineCore" in " ".join(child.cmdline()))
    return core


def check_answers(run: RunHandle, settings: Settings) -> None:
    """Everything is answered."""
    progress = run.progress()
    assert progress.ended[Status.OK] + progress.ended[Status.NONCOMPLIANT] == progress.submitted
    check_reasons(settings)


def check_reasons(settings: Settings) -> None:
    """Nothing that was broken off is stored as an answer."""
    engine = sa.create_engine(settings.database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        reasons = set(connection.execute(sa.text("SELECT DISTINCT finish_reason FROM results")).scalars())
    engine.dispose()
    assert reasons <= {"stop", "length"}


def test_the_engine_may_die_hang_or_lose_its_worker_and_no_item_is_lost(
    settings: Settings, people: Path, tmp_path: Path, size: Size
) -> None:
    with Client(settings) as client:
        run = submit(client, people, "struck", questions=12)
        with WorkerProcess(settings, tmp_path) as worker:
            for number in [signal.SIGKILL] * size(1, 10) + [signal.SIGSTOP]:
                wait_progress(run, seconds=_LOAD_SECONDS)
                strike(worker, number)
                wait_progress(run, seconds=_LOAD_SECONDS)
            assert worker.process.poll() is None
            assert "the engine hangs" in worker.text()
            check_metrics(settings, worker, restarts=size(1, 10) + 1)
            children = psutil.Process(worker.process.pid).children(recursive=True)
            worker.process.kill()
            killed = time.monotonic()
            wait_until(lambda: not any(_lives(child) for child in children), describe="all are gone", seconds=5)
            print(f"the engine was gone {time.monotonic() - killed:.1f} s after its worker")
        with WorkerProcess(settings, tmp_path) as worker:
            finish(run, seconds=300 + _LOAD_SECONDS)
            check_answers(run, settings)
            told = submit(client, people, "told", questions=12)
            wait_progress(told)
            before = told.progress().pending
            # As a terminal or a supervisor does that knows of no process but of a group of them.
            os.killpg(worker.process.pid, signal.SIGTERM)
            assert worker.wait(settings.drain_seconds + 30) == 0
            assert 0 < told.progress().pending < before
            depth = told.depth()
            assert depth is not None
            assert (depth.held, depth.waiting) == (0, told.progress().pending)
            check_reasons(settings)
            check_audits(settings)


def check_metrics(settings: Settings, worker: WorkerProcess, *, restarts: int) -> None:
    """The page has all that the dashboard asks of vLLM, from the engine of now, and the log has nothing of it."""
    assert settings.metrics_port is not None
    seen = samples(settings.metrics_port)
    assert seen["persqa_engine_restarts_total"] == restarts
    asked = {name for query in panel_queries() for name in query.names if name.startswith("vllm:")}
    assert len(asked) >= 4
    assert asked <= {name.partition("{")[0] for name in seen}
    written = [value for name, value in seen.items() if name.startswith("vllm:generation_tokens_total{")]
    # Of one engine, and not of those before it, too.
    assert len(written) == 1
    assert written[0] > 0
    assert "throughput" not in worker.text()


def strike(worker: WorkerProcess, number: signal.Signals) -> None:
    """Kill or stop the engine, and wait for another one."""
    engine = engine_of(worker)
    starts = worker.text().count("engine ready again")
    engine.send_signal(number)
    struck = time.monotonic()
    wait_until(lambda: not _lives(engine), describe="the old engine is gone", seconds=60)
    wait_until(lambda: worker.text().count("engine ready again") > starts, describe="a new one", seconds=_LOAD_SECONDS)
    print(f"{number.name}: a new engine after {time.monotonic() - struck:.1f} s")


def _lives(process: psutil.Process) -> bool:
    """A zombie has no memory, GPU or otherwise; its parent's end takes it away."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
