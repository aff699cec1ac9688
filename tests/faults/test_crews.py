"""The workers of one machine, one for each GPU: they die, their crew dies, and all are told to stop."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from persqa.broker.workers import live_workers
from persqa.phases import Phase
from persqa.results import Status
from producer import Client
from tests.conftest import Site
from tests.faults.tools import finish, notes, quick, wait_progress
from tests.support import nvidia_smi
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.programs import run_program
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from persqa.settings import Settings


@pytest.fixture(autouse=True)
def _three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", nvidia_smi.install(tmp_path / "bin", nvidia_smi.THREE))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def crew_of(settings: Settings, folder: Path, gpus: str, *, output: int | None = None) -> WorkerProcess:
    """One worker for each of these GPUs, and what keeps them alive."""
    return WorkerProcess(settings, folder, command=("-m", "worker.crew", "--gpus", gpus), output=output)


def wait_starts(crew: WorkerProcess, count: int) -> None:
    """Wait until workers have been ready so often, all together."""

    def enough() -> bool:
        assert crew.process.poll() is None, crew.text()
        return crew.text().count("ready after ") - crew.text().count("engine ready after ") >= count

    wait_until(enough, describe=f"{count} workers are ready; {crew.log}", seconds=60)


def by_gpu(settings: Settings, count: int) -> dict[str, psutil.Process]:
    """The workers that are ready, by what their engines would run on; a killed one is listed for some seconds more."""

    def ready() -> dict[str, psutil.Process]:
        return {
            "+".join(gpu.number for gpu in worker.gpus): psutil.Process(process)
            for worker in live_workers(settings.broker_url or "")
            if psutil.pid_exists(process := int(worker.name.split("@")[0].split("-")[1]))
            and worker.gpus
            and worker.phase is Phase.READY
        }

    return wait_until(lambda: found if len(found := ready()) == count else {}, describe=f"{count} workers are ready")


def test_a_killed_worker_comes_back_while_the_others_go_on_and_all_end_together(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "0.1")
    settings = quick(site, "takes_about", window=8)
    with Client(settings) as client, crew_of(settings, tmp_path, "0,2") as crew:
        wait_starts(crew, 2)
        workers = by_gpu(settings, 2)
        assert list(workers) == ["0", "2"]
        data = write_images(tmp_path / "data", 600)
        run = client.submit(data)
        wait_progress(run)
        workers["0"].kill()
        assert run.progress().pending, "it was killed for nothing"
        finish(run)
        check_rows(run, 600)
        wait_starts(crew, 3)
        after = by_gpu(settings, 2)
        assert list(after) == ["0", "2"]
        assert after["2"].pid == workers["2"].pid
        again = client.submit(data, run="again")
        finish(again)
        assert {int(str(row.worker).split(":")[1]) for row in again.results()} == {one.pid for one in after.values()}
        check_empty(settings)
        assert "0 NVIDIA H100 80GB HBM3" in _status(settings)
        crew.terminate()
        assert crew.wait() == 0, crew.text()
        assert not [worker for worker in (*workers.values(), *after.values()) if worker.is_running()]
        assert "gpu0 | " in crew.text()


def test_a_crew_that_is_killed_leaves_no_worker_behind_and_what_was_begun_is_finished(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "0.5")
    settings = quick(site, "takes_long", window=4)
    with Client(settings) as client, crew_of(settings, tmp_path, "0,1") as crew:
        wait_starts(crew, 2)
        workers = by_gpu(settings, 2).values()
        run = client.submit(write_images(tmp_path / "data", 500))
        wait_progress(run)
        crew.process.kill()
        wait_until(lambda: not any(worker.is_running() for worker in workers), describe="all have ended", seconds=40)
        assert run.progress().ended[Status.OK] == len(notes(begun)) < 500


def test_settings_that_no_worker_can_use_end_the_crew_with_the_reason(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"engine": "tests.nowhere:Engine"})
    with crew_of(settings, tmp_path, "0,1") as crew:
        assert crew.wait() == 2
        assert "tests.nowhere" in crew.text()
        assert "no worker can use these settings" in crew.text()
        assert crew.text().count("ended with exit code 2") == 6


@pytest.mark.parametrize("where", ["stuck pipe", "closed terminal", "full disk"])
def test_a_crew_whose_output_goes_nowhere_works_and_ends_as_told(site: Site, tmp_path: Path, where: str) -> None:
    reading, writing = -1, -1
    match where:
        case "stuck pipe":
            reading, writing = os.pipe()
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        case "closed terminal":
            reading, writing = os.openpty()
            os.close(reading)
        case _:
            writing = os.open("/dev/full", os.O_WRONLY)
    settings = quick(site, "reads_colour")
    try:
        with Client(settings) as client, crew_of(settings, tmp_path, "1", output=writing) as crew:
            workers = by_gpu(settings, 1).values()
            run = client.submit(write_images(tmp_path / "data", 20))
            finish(run)
            check_rows(run, 20)
            crew.process.send_signal(signal.SIGHUP)
            assert crew.wait() == 0, crew.text()
            assert not any(worker.is_running() for worker in workers)
            assert crew.text() == ""
    finally:
        os.close(writing)
        if where == "stuck pipe":
            os.close(reading)


def test_one_broken_gpu_harms_no_other(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour").model_copy(update={"engine": "tests.support.broken_gpu:BrokenGpuEngine"})
    with Client(settings) as client, crew_of(settings, tmp_path, "1,2") as crew:
        wait_starts(crew, 1)
        wait_until(lambda: "gpu2: ended with exit code 2" in crew.text(), describe="GPU 2 has failed")
        run = client.submit(write_images(tmp_path / "data", 100))
        finish(run)
        check_rows(run, 100)
        wait_until(lambda: "2 times in a row" in crew.text(), describe="GPU 2 has failed again")
        crew.terminate()
        assert crew.wait() == 0, crew.text()


def test_asked_twice_a_crew_gives_back_what_is_in_flight(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "600")
    settings = quick(site, "takes_long", drain_seconds=300)
    with Client(settings) as client, crew_of(settings, tmp_path, "1") as crew:
        wait_starts(crew, 1)
        run = client.submit(write_images(tmp_path / "data", 4))
        wait_until(lambda: len(notes(begun)) == 4, describe="all are begun")
        crew.process.send_signal(signal.SIGINT)
        wait_until(lambda: "SIGINT: 1 worker finishes" in crew.text(), describe="it drains")
        crew.process.send_signal(signal.SIGINT)
        crew.wait()
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run, seconds=20)
        check_rows(run, 4)


def test_a_choice_that_cannot_be_had_is_refused_by_the_command(tmp_path: Path) -> None:
    for arguments, words in (
        (["--gpus", "0,9"], "9 is not there"),
        (["--gpus", "all", "--tensor-parallel-size", "2"], "3 GPUs do not divide into groups of 2"),
        (
            ["--gpus", "all", "--tensor-parallel-size", "2", "--engine-args", '{"tensor_parallel_size": 3}'],
            "the engine's arguments say 3",
        ),
    ):
        command = ("worker", "--broker-url", "redis://nowhere", "--image-roots", ".", *arguments)
        ended = run_program("producer.cli", *command, env=os.environ, cwd=tmp_path)
        assert (ended.returncode, words in ended.stderr) == (2, True), ended.stderr


def _status(settings: Settings) -> str:
    environment = {**os.environ, **settings.environment(), "COLUMNS": "160"}

    def listed() -> list[str]:
        facts = json.loads(run_program("producer.cli", "status", "--json", env=environment, cwd=Path.cwd()).stdout)
        return [worker["gpus"][0]["name"] for worker in facts["workers"]]

    wait_until(lambda: listed() == ["NVIDIA H100 80GB HBM3", "NVIDIA L4"], describe="the killed one is listed no more")
    return run_program("producer.cli", "status", env=environment, cwd=Path.cwd()).stdout
