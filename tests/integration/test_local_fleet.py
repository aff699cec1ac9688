"""What `persqa run` and clients start on this machine, and that nothing of it is left, however they end."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from persqa.settings import load_settings
from producer import Client
from producer.local_fleet import kill_session
from tests.integration.test_run_command import belongs, environment, lives
from tests.support.builders import write_images
from tests.support.programs import Program
from tests.support.wait import spend, wait_until
from tests.support.workers import scripted

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.conftest import Size


def test_a_run_killed_at_any_moment_leaves_nothing_running(tmp_path: Path, size: Size) -> None:
    """From its first process to its first answer, in small steps."""
    data, moments, started = write_images(tmp_path / "data", 30), size(6, 60), time.monotonic()
    with _killable(data, tmp_path) as whole:
        wait_until(lambda: (tmp_path / "persqa.db").exists() and _answers(tmp_path), describe="the first answer")
        seconds = time.monotonic() - started
        whole.kill()
    for number in range(moments):
        with _killable(data, tmp_path, run=f"run-{number}") as run:
            wait_until(lambda: _of(tmp_path), describe="what it starts lives")
            spend(seconds * (number / moments) ** 2)
            run.kill()
    wait_until(lambda: not _of(tmp_path), describe=f"nothing lives: {_of(tmp_path)}", seconds=15)
    assert not list((tmp_path / "tmp").glob("persqa-*")), "the server's folder is left"


def test_what_a_worker_left_is_gone_when_the_kill_returns() -> None:
    """A large process takes a while to vanish: whoever is back at the prompt must not see it any more."""
    large = "held = bytearray(1 << 30); print(1, flush=True); import time; time.sleep(600)"
    starts = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {large!r}]); print(1); sys.exit()"
    with subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert [leader.stdout.readline() for _ in range(2)] == [b"1\n"] * 2
        left = [process for process in psutil.process_iter() if _is_of(process, leader.pid)]
        kill_session(leader.pid)
        assert left
        assert not [process for process in left if lives(process)]


def _is_of(process: psutil.Process, group: int) -> bool:
    with suppress(psutil.Error, ProcessLookupError):
        return os.getpgid(process.pid) == group
    return False


@contextmanager
def _killable(data: Path, folder: Path, run: str = "whole") -> Generator[Program]:
    """`persqa run`, in its first steps."""
    (folder / "tmp").mkdir(exist_ok=True)
    variables = environment(folder, "slow") | {"TMPDIR": str(folder / "tmp")}
    with (folder / "output").open("ab") as output:
        program = Program(
            ["producer.cli", "run", str(data), "--run", run], env=variables, cwd=folder, stdout=output, stderr=output
        )
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def _of(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if belongs(process, folder) and lives(process)]


def _answers(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "persqa.db")) as database, suppress(sqlite3.OperationalError):
        return bool(database.execute("select count(*) from results").fetchone()[0])
    return False


@pytest.mark.parametrize("killed", ["guard", "server"])
def test_a_killed_embedded_broker_is_started_again(tmp_path: Path, killed: str) -> None:
    settings = scripted(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), "slow")
    settings = settings.model_copy(update={"window": 4, "reconcile_seconds": 2.0})
    before = set(psutil.Process().children())
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 12))
        wait_until(lambda: run.progress().pending < 12, describe="the first are answered")
        # Those of other tests in this process are there, too.
        started = set(psutil.Process().children()) - before
        (guard,) = [child for child in started if "guard.py" in " ".join(child.cmdline())]
        (server,) = guard.children()
        (guard if killed == "guard" else server).kill()
        wait_until(lambda: not lives(server), describe="no server is left without a guard")
        run.wait(timeout_seconds=60, display=lambda _progress: None)
        assert run.audit().holds
