"""What a real worker serves for probes and for Prometheus, whatever happens to it and around it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.settings import LogFormat, Settings, load_settings
from producer import Client
from tests.support.builders import write_images
from tests.support.pages import facts, free_port, page, samples
from tests.support.servers import broker_process, postgres_process, valkey_binary
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site


_ROOT = Path(__file__).parents[2]


def quiet(_progress: object) -> None:
    """No progress bar in tests."""


def measured(settings: Settings, script: str, **engine_args: object) -> tuple[Settings, int]:
    """Settings with a script and a port for the pages."""
    port = free_port()
    chosen = scripted(settings, script).model_copy(update={"metrics_port": port})
    return chosen.model_copy(update={"engine_args": {**chosen.engine_args, **engine_args}}), port


def says(port: int, path: str, status: int, **words: str) -> bool:
    """Whether the page has this status, and each of these facts begins with these words."""
    found, said = facts(port, path)
    return found == status and all(said[name].startswith(word) for name, word in words.items())


def probe(settings: Settings, name: str) -> tuple[int, str]:
    """What a container's health check would get."""
    command = [sys.executable, "-m", "worker.process.probe", name]
    environment = {**os.environ, **settings.environment()}
    done = subprocess.run(command, env=environment, cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_probes_tell_loading_running_an_outage_and_draining_apart(site: Site, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    settings, port = measured(site.settings, "slow", loads_until=str(loaded))
    assert probe(settings, "readyz")[0] == 1
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        wait_until(lambda: says(port, "readyz", 503, engine="loading for ", broker="ok"), describe="it is loading")
        assert says(port, "healthz", 200, engine="loading for ", loop="")
        code, text = probe(settings, "readyz")
        assert (code, "loading for" in text) == (1, True)
        assert probe(settings, "healthz")[0] == 0
        assert samples(port)["persqa_engine_up"] == 0
        assert page(port, "elsewhere")[0] == 404
        loaded.touch()
        wait_until(lambda: says(port, "readyz", 200), describe="it is ready")
        assert probe(settings, "readyz")[0] == 0
        site.broker.signal(signal.SIGSTOP)
        wait_until(lambda: says(port, "readyz", 503, broker="no answer", engine="ok"), describe="Redis is away")
        assert says(port, "healthz", 200, worker="ok")
        site.broker.signal(signal.SIGCONT)
        wait_until(lambda: says(port, "readyz", 200, broker="ok"), describe="Redis is back")
        client.submit(write_images(tmp_path / "data", 20))
        wait_until(lambda: samples(port)["persqa_in_flight_items"] == 20, describe="all are in flight")
        worker.terminate()
        wait_until(lambda: says(port, "readyz", 503, worker="draining", engine="ok"), describe="it is draining")
        assert says(port, "healthz", 200, worker="draining")
        assert worker.wait() == 0


def test_a_database_that_is_away_is_seen_and_does_no_harm(tmp_path: Path) -> None:
    with broker_process(valkey_binary()) as broker, postgres_process() as postgres:
        url = postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
        settings, port = measured(load_settings(broker_url=broker.url, database_url=url), "compliant")
        with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: says(port, "readyz", 200), describe="it is ready")
            run = client.submit(write_images(tmp_path / "data", 5))
            run.wait(timeout_seconds=60, display=quiet)
            postgres.stop()
            wait_until(lambda: facts(port, "readyz")[1].get("database") != "ok", describe="the database is away")
            assert says(port, "readyz", 503, broker="ok", engine="ok")
            assert says(port, "healthz", 200, worker="ok")
            postgres.start()
            wait_until(lambda: says(port, "readyz", 200), describe="it is back")
            assert worker.process.poll() is None


def test_a_worker_whose_loop_stands_still_is_not_alive(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_NOTES", str(tmp_path / "notes"))
    settings, port = measured(site.settings, "blocks_once")
    settings = settings.model_copy(update={"hang_seconds": 2.0})
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        client.submit(write_images(tmp_path / "data", 3))
        wait_until(lambda: says(port, "healthz", 200, loop="still for 1 s, 2 s allowed"), describe="it stands still")
        # Its last words to Redis take some seconds then, and it ends only after them.
        site.broker.signal(signal.SIGSTOP)
        wait_until(lambda: says(port, "healthz", 503, worker="nothing done for 2 s"), describe="it is not alive")
        assert probe(settings, "healthz")[0] == 1
        assert worker.wait() == 3
        site.broker.signal(signal.SIGCONT)
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        client.run("records").wait(timeout_seconds=60, display=quiet)


def test_the_page_counts_what_is_in_the_database(site: Site, tmp_path: Path) -> None:
    settings, port = measured(site.settings, "second_try", slots=2)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        assert samples(port)['persqa_items_total{status="ok"}'] == 0
        run = client.submit(write_images(tmp_path / "data", 60))
        run.wait(timeout_seconds=60, display=quiet)
        seen = samples(port)
        for status, number in run.progress().ended.items():
            assert seen[f'persqa_items_total{{status="{status}"}}'] == number
        kinds = run.violation_kinds()
        assert kinds
        for kind, number in kinds.items():
            assert seen[f'persqa_violations_total{{kind="{kind}"}}'] == number
        for stage in ("image", "engine"):
            assert seen[f'persqa_stage_seconds_count{{stage="{stage}"}}'] == 60
        for stage in ("claim", "commit"):
            assert 1 <= seen[f'persqa_stage_seconds_count{{stage="{stage}"}}'] <= 60
        assert seen["persqa_engine_busy_seconds_total"] > 0
        assert seen['persqa_build_info{model="scripted",version="0.1.0"}'] == seen["persqa_engine_up"] == 1
        wait_until(lambda: samples(port)["persqa_held_messages"] == 0, describe="all are settled")


def test_what_waits_what_is_renewed_and_what_happens_again_is_seen(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_NOTES", str(tmp_path / "notes"))
    first, _ = measured(site.settings, "slow")
    settings, port = measured(site.settings, "dies_once", slots=1)
    quick = {"lease_seconds": 1.0}
    first, settings = first.model_copy(update=quick), settings.model_copy(update=quick)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 6))
        with WorkerProcess(first, tmp_path) as worker:
            wait_until(lambda: (depth := run.depth()) is not None and depth.held == 6, describe="it has them")
            wait_until(
                lambda: samples(first.metrics_port or 0)["persqa_lease_renewals_total"] >= 6, describe="it renews"
            )
            worker.process.kill()
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
            seen = samples(port)
            # One by one they wait for their turn, behind what the engine dies of; each renewal counts.
            assert seen["persqa_expired_leases_total"] == seen["persqa_redeliveries_total"] > 0
            assert seen["persqa_engine_restarts_total"] == 1


def test_requests_that_wait_for_the_engine_are_seen(site: Site, tmp_path: Path) -> None:
    settings, port = measured(site.settings, "slow", slots=2)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 7))
        wait_until(
            lambda: page(port, "metrics")[0] and samples(port)["persqa_engine_waiting_requests"] == 5,
            describe="five wait",
        )
        seen = samples(port)
        assert seen["persqa_engine_asked_requests"] >= seen["persqa_engine_waiting_requests"] + 1
        worker.wait_ready()
        run.wait(timeout_seconds=60, display=quiet)
        wait_until(lambda: samples(port)["persqa_engine_asked_requests"] == 0, describe="none is asked")
        assert 3 < samples(port)["persqa_engine_busy_seconds_total"] < 30


def test_a_port_that_is_taken_is_an_error_for_people(site: Site, tmp_path: Path) -> None:
    settings, port = measured(site.settings, "compliant")
    with socket.create_server(("127.0.0.1", port)), WorkerProcess(settings, tmp_path) as worker:
        assert worker.wait() == 2
        assert f"PERSQA_METRICS_PORT: cannot listen on 127.0.0.1, port {port}" in worker.text()
        assert "Traceback" not in worker.text()


def test_slow_clients_keep_nobody_from_looking(site: Site, tmp_path: Path) -> None:
    settings, port = measured(site.settings, "compliant")
    with WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for connection in slow:
            connection.sendall(b"GET /metrics HT")
        assert says(port, "healthz", 200)
        assert "persqa_items_total" in page(port, "metrics")[1]
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("command", [("-m", "worker"), ("-m", "celery", "-A", "worker", "worker", "--loglevel=INFO")])
def test_each_line_of_a_json_log_is_an_object_that_says_what_it_is_about(
    site: Site, tmp_path: Path, command: tuple[str, ...]
) -> None:
    settings = scripted(site.settings, "defect").model_copy(update={"log_format": LogFormat.JSON})
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 3))
        with WorkerProcess(settings, tmp_path, command) as worker:
            run.wait(timeout_seconds=60, display=quiet)
        lines = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
        (dead,) = run.results(status="dead")
    assert all({"time", "level", "logger", "message", "worker"} <= line.keys() for line in lines)
    assert all(line["time"].endswith("+00:00") for line in lines)
    ((defect,), others) = [[line for line in lines if ("item" in line) is about] for about in (True, False)]
    assert others
    assert (defect["run"], defect["item"], defect["level"]) == (run.run.id, dead.item_id, "ERROR")
    assert "KeyError" in defect["traceback"]
    # Not ours to format: what Celery says before it has set its log up, and on a signal.
    rest = [line for line in worker.text().splitlines() if line and not line.startswith("{")]
    assert not [line for line in rest if "[tasks]" in line or "Traceback" in line or "transport:" in line]
