"""Real Celery worker processes for tests, with a scripted engine unless told otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from tests.support.programs import Program
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from persqa.settings import Settings

_ROOT = Path(__file__).parents[2]
#: What becomes a worker in a fork; any other command is what is on trial, and vLLM wants a process from scratch.
_FORKED = ("worker", "tests.support.rigged_worker")


def scripted(settings: Settings, script: str) -> Settings:
    """The settings, with the scripted engine and one of `tests.support.scripts`."""
    return settings.model_copy(
        update={
            "engine": "tests.support.scripted_engine:ScriptedEngine",
            "engine_args": {"script": f"tests.support.scripts:{script}"},
        }
    )


class WorkerProcess:
    """One worker; lives as long as the `with` block, and no longer than the tests."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        command: tuple[str, ...] = ("-m", "worker"),
        *,
        output: int | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            settings: the worker's; where they name no folders of images, it is the next one.
            folder: where its log is.
            command: for Python.
            output: where its standard output goes instead, a descriptor.
        """
        roots = settings.image_roots or [folder]
        self._settings = settings.model_copy(update={"image_roots": roots})
        self._command = command
        self._output = output
        self.log = folder / f"worker-{os.urandom(4).hex()}.log"

    def __enter__(self) -> Self:
        environment = {**os.environ, **self._settings.environment(), "PYTHONPATH": str(_ROOT)}
        with self.log.open("wb") as log:
            output = log if self._output is None else self._output
            self.process = self._start(environment, output, log)
        return self

    def _start(
        self, environment: dict[str, str], output: IO[bytes] | int, log: IO[bytes]
    ) -> Program | subprocess.Popen[bytes]:
        if self._command[1] in _FORKED and self._settings.engine.startswith(("tests.", "benchmarks.")):
            return Program(
                self._command[1:], env=environment, cwd=_ROOT, stdin=subprocess.PIPE, stdout=output, stderr=log
            )
        return subprocess.Popen(
            [sys.executable, *self._command],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )

    def wait_ready(self, seconds: float = 30) -> None:
        """Wait until it takes messages."""
        wait_until(lambda: self._says(" ready."), describe=f"worker is ready; {self.log}", seconds=seconds)

    def terminate(self) -> None:
        """Ask it to finish and end."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(seconds)

    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def _says(self, words: str) -> bool:
        assert self.process.poll() is None, self.text()
        return words in self.text()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
