"""The processes of an engine tell how far they are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from persqa.phases import Phase
from worker.engines.loading_steps import hearing_steps, tell_step

_TELLS = (
    "from worker.engines.loading_steps import *; from persqa.phases import Phase; [tell_step(Phase(p)) for p in {}]"
)


def _run(*steps: str) -> None:
    subprocess.run([sys.executable, "-c", _TELLS.format(steps)], check=True, close_fds=True)


def test_each_step_is_heard_once_whichever_process_tells_it_first() -> None:
    heard: list[Phase] = []
    with hearing_steps(heard.append):
        _run("weights", "weights")
        _run("profiling", "weights", "profiling")
    assert heard == [Phase.WEIGHTS, Phase.PROFILING]
    with hearing_steps(heard.append):
        _run("profiling", "weights")
    assert heard == [Phase.WEIGHTS, Phase.PROFILING, Phase.PROFILING]


def test_what_is_no_step_is_not_heard() -> None:
    heard: list[Phase] = []
    with hearing_steps(heard.append):
        _run("ready", "stopping")
        with open(os.environ["PERSQA_LOADING_STEPS"], "wb", buffering=0) as pipe:  # noqa: PTH123
            pipe.write(b"\xff nonsense\n")
    assert heard == []


@pytest.mark.parametrize("pipe", [None, "", "/nowhere/at/all", "/proc/1/fd/999"])
def test_telling_to_nobody_does_no_harm(pipe: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if pipe is not None:
        monkeypatch.setenv("PERSQA_LOADING_STEPS", pipe)
    tell_step(Phase.WEIGHTS)


def test_nothing_is_left_of_a_loading_that_fails() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(KeyError), hearing_steps(lambda _step: None):
        raise KeyError
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert "PERSQA_LOADING_STEPS" not in os.environ
