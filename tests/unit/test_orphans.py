"""Processes of engines: which ones are left behind, and which belong to one engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.wait import spend, wait_until
from worker.engines.orphans import kill_stamped, new_stamp, stamping, sweep_orphans

if TYPE_CHECKING:
    from collections.abc import Generator

_ROOT = Path(__file__).parents[2]
_SLEEP = ("sleep", "600")
#: Starts a process of an engine, says its id, and waits.
_OWNER = """
import subprocess, sys, time
from worker.engines.orphans import stamping, new_stamp
with stamping(new_stamp()):
    engine = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
print(engine.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def started(*command: str, stamp: str | None = None) -> Generator[subprocess.Popen[bytes]]:
    """A process, with a stamp."""
    with nullcontext() if stamp is None else stamping(stamp):
        process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_a_dead_worker_has_left_behind_is_killed_and_nothing_of_a_living_one() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    owners = [subprocess.Popen([sys.executable, "-c", _OWNER], cwd=_ROOT, **pipes) for _ in range(2)]
    dead, living = (psutil.Process(int(owner.stdout.readline())) for owner in owners if owner.stdout)
    owners[0].kill()
    try:
        # Not reaped yet, so the process id is still there.
        wait_until(lambda: psutil.Process(owners[0].pid).status() == psutil.STATUS_ZOMBIE, describe="the owner is dead")
        # A worker that starts beside this test may be the one that kills it.
        sweep_orphans()
        wait_until(lambda: not dead.is_running(), describe="what the dead one has left is killed")
        assert living.is_running()
    finally:
        living.kill()
        for owner in owners:
            owner.kill()
            owner.communicate()


def test_a_process_id_that_is_used_again_is_no_owner() -> None:
    boot, namespace, number, since, chance = new_stamp().split()
    with started(*_SLEEP, stamp=f"{boot} {namespace} {number} {int(since) - 1} {chance}") as left_behind:
        sweep_orphans()
        # Who waited for its end first was told how it ended.
        left_behind.wait(5)


@pytest.mark.parametrize("other", ["another boot", "another container", "an older version", "nothing"])
def test_what_this_machine_cannot_judge_is_left_alone(other: str) -> None:
    boot, namespace, number, since, chance = new_stamp().split()
    stamp = {
        "another boot": f"{boot[::-1]} {namespace} {number} {int(since) - 1} {chance}",
        "another container": f"{boot} {int(namespace) + 1} {number} {int(since) - 1} {chance}",
        "an older version": "1",
        "nothing": "",
    }[other]
    with started(*_SLEEP, stamp=stamp) as process:
        sweep_orphans()
        assert process.poll() is None


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="a space of process ids of its own takes root"
)
def test_the_engine_of_a_container_is_left_alone_by_a_worker_on_the_machine_itself() -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", _OWNER]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as container:
        assert container.stdout is not None
        container.stdout.readline()
        inside = psutil.Process(container.pid).children(recursive=True)
        assert [process.name() for process in inside].count("sleep") == 1
        sweep_orphans()
        assert all(process.is_running() for process in inside)
        container.kill()


def test_a_process_that_gives_itself_another_title_is_known_all_the_same() -> None:
    # As vLLM's do; the title is written over the variables.
    pytest.importorskip("setproctitle")
    code = "import setproctitle; setproctitle.setproctitle('VLLM::' + 'x' * 9000); print(flush=True); input()"
    stamp, pipe = new_stamp(), subprocess.PIPE
    with stamping(stamp):
        engine = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)
    with engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        kill_stamped(stamp)
        assert engine.wait(5) == -9


def test_killing_an_engine_kills_what_it_has_started_and_nothing_else_of_the_program() -> None:
    mine, others, environment = new_stamp(), new_stamp(), dict(os.environ)
    with started(*_SLEEP) as before:
        with stamping(mine):
            engine = subprocess.Popen(["sh", "-c", "sleep 600 & wait"])
        with stamping(others):
            other_engine = subprocess.Popen(_SLEEP)
        with started(*_SLEEP) as afterwards:
            inner = wait_until(lambda: psutil.Process(engine.pid).children(), describe="its own child")
            kill_stamped(mine)
            assert engine.wait(5) == -9
            wait_until(lambda: not inner[0].is_running(), describe="its child is gone")
            spend(0.1)
            assert [process.poll() for process in (before, other_engine, afterwards)] == [None] * 3
        other_engine.kill()
        other_engine.wait()
    assert dict(os.environ) == environment
