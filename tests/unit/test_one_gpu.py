"""`deploy/worker/one-gpu.sh`: each worker of a machine gets a GPU of its own, though Compose gives all of them all."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import nvidia_smi
from tests.support.compose import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = ROOT / "deploy" / "worker" / "one-gpu.sh"
#: Says what it was started with, and waits for its standard input to end.
_PERSQA = '#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES: $*"\nread -r _ || true\n'

pytestmark = pytest.mark.skipif(
    shutil.which("flock") is None, reason="there is no flock here, as there is in the image"
)


class Replicas:
    """Workers with one home."""

    def __init__(self, home: Path, path: str) -> None:
        self._environment = {"HOME": str(home), "PATH": path}
        self.started: list[subprocess.Popen[str]] = []

    def start(self) -> tuple[subprocess.Popen[str], str]:
        """One more, and the first line of what it says."""
        process = subprocess.Popen(
            [_SCRIPT, "worker"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    """A machine of three GPUs."""
    path = nvidia_smi.install(tmp_path / "bin", nvidia_smi.THREE)
    program = tmp_path / "bin" / "persqa"
    program.write_text(_PERSQA)
    program.chmod(0o755)
    found = Replicas(tmp_path, path)
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


def test_each_worker_has_a_gpu_of_its_own(replicas: Replicas) -> None:
    assert [replicas.start()[1] for _ in range(3)] == ["0: worker\n", "1: worker\n", "2: worker\n"]
    fourth, said = replicas.start()
    assert "every GPU of this machine has a worker already" in said
    assert fourth.wait(10) == 2


def test_the_gpu_of_a_worker_that_was_killed_is_free_again(replicas: Replicas) -> None:
    _, (second, _), _ = replicas.start(), replicas.start(), replicas.start()
    second.kill()
    second.wait()
    assert replicas.start()[1] == "1: worker\n"


def test_without_a_gpu_it_is_persqa_itself(replicas: Replicas, tmp_path: Path) -> None:
    (tmp_path / "bin" / "nvidia-smi").unlink()
    if shutil.which("nvidia-smi", path=os.environ["PATH"]) is not None:
        pytest.skip("this machine has an nvidia-smi of its own")
    assert replicas.start()[1] == ": worker\n"
