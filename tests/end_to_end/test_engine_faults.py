"""What happens to vLLM's own processes: killed, stopped, orphaned, and told to stop with the whole group."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest
import sqlalchemy as sa

from persqa.broker.workers import live_workers
from persqa.phases import Phase
from persqa.results import Status
from persqa.settings import Settings
from producer import Client, RunHandle
from tests.conftest import Size
from tests.end_to_end.conftest import LOAD_SECONDS, Demo
from tests.faults.tools import finish, wait_progress
from tests.support.dashboards import panel_queries
from tests.support.oracle import check_audits
from tests.support.pages import samples
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess

pytestmark = pytest.mark.timeout(1800)


def submit(client: Client, demo: Demo, name: str, people: int) -> RunHandle:
    """Twelve questions about each of so many."""
    data = demo.people / f"{name}.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in demo.records[:people]))
    return client.submit(data, tag_policy="check", questions_per_image=12)


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
        found = connection.execute(sa.text("SELECT DISTINCT finish_reason FROM results WHERE answer IS NOT NULL"))
        reasons = set(found.scalars())
    engine.dispose()
    assert reasons <= {"stop", "length"}


def test_the_engine_may_die_hang_or_lose_its_worker_and_no_item_is_lost(demo: Demo, size: Size) -> None:
    settings, worker = demo.settings, demo.worker()
    with Client(settings) as client:
        run = submit(client, demo, "struck", people=size(25, 320))
        # One that hangs is replaced in the same way; in a short run a scripted engine does.
        strikes = [signal.SIGKILL] * size(1, 10) + [signal.SIGSTOP] * size(0, 1)
        for number in strikes:
            wait_progress(run, seconds=LOAD_SECONDS)
            strike(worker, number, settings)
            wait_progress(run, seconds=LOAD_SECONDS)
        assert worker.process.poll() is None
        assert ("the engine hangs" in worker.text()) == (signal.SIGSTOP in strikes)
        check_metrics(settings, worker, restarts=len(strikes))
        children = psutil.Process(worker.process.pid).children(recursive=True)
        worker.process.kill()
        killed = time.monotonic()
        wait_until(lambda: not any(_lives(child) for child in children), describe="all are gone", seconds=5)
        print(f"the engine was gone {time.monotonic() - killed:.1f} s after its worker")
        worker = demo.worker()
        finish(run, seconds=300)
        check_answers(run, settings)
        told = submit(client, demo, "told", people=size(40, 80))
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


def strike(worker: WorkerProcess, number: signal.Signals, settings: Settings) -> None:
    """Kill or stop the engine, and wait for another one; meanwhile the worker says so."""
    engine = engine_of(worker)
    starts = worker.text().count("engine ready again")
    engine.send_signal(number)
    struck = time.monotonic()
    wait_until(lambda: not _lives(engine), describe="the old engine is gone", seconds=60)
    wait_until(
        lambda: _told(worker, settings, hindered=True) not in (None, Phase.READY), describe="it says that it loads"
    )
    wait_until(lambda: worker.text().count("engine ready again") > starts, describe="a new one", seconds=LOAD_SECONDS)
    wait_until(lambda: _told(worker, settings, hindered=False) is Phase.READY, describe="it says that it is ready")
    print(f"{number.name}: a new engine after {time.monotonic() - struck:.1f} s")


def _told(worker: WorkerProcess, settings: Settings, *, hindered: bool) -> Phase | None:
    """The worker's phase, if it says, as expected, that a new engine hinders it or that nothing does."""
    for one in live_workers(settings.broker_url or ""):
        if one.name.startswith(f"worker-{worker.process.pid}-"):
            said = any("started anew" in found.sentence for found in one.hindrances)
            return one.phase if said == hindered else None
    return None


def _lives(process: psutil.Process) -> bool:
    """A zombie has no memory, GPU or otherwise; its parent's end takes it away."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
