"""LocalFleet: one worker on this machine, and a broker if none is named; the same programs as of any fleet."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from datetime import datetime
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Self

import psutil

from persqa.broker.embedded import EmbeddedBroker
from persqa.clock import now
from persqa.errors import SettingsError, WorkerDied
from persqa.models import default_model
from persqa.own_code import own_code_only
from persqa.readiness import READY, READY_FD, WORD_BYTES, decode_failure
from persqa.settings import Settings
from persqa.words import option

_LOG_LINES = 12
#: How long a worker may take to free its engine, after its drain limit.
_STOP_SECONDS = 30
#: Interval between two checks of the broker while the engine loads.
_LOOK_SECONDS = 1.0
#: How long what was killed may take until the system has freed it, and the interval between two looks at it.
_GONE_SECONDS = 10
_GONE_POLL_SECONDS = 0.02


class LocalFleet:
    """Lives as long as its `with` block, and leaves nothing running."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings
        self._stack = ExitStack()
        self._worker: subprocess.Popen[bytes] | None = None
        self._broker: EmbeddedBroker | None = None
        #: Here the worker reports that it is ready, or why it never will be; None once it is ready.
        self._pipe: int | None = None
        #: When the worker was started; None before.
        self.started: datetime | None = None
        #: The worker's log; another one, once it is started, where another program's worker writes to this one.
        self.log = _log_path(settings.database_url)
        #: The given settings, with the model and the broker in use.
        self.settings = settings.model_copy(update={"model": settings.model or default_model()})

    def __enter__(self) -> Self:
        """Start a broker if none is named; then `settings` names it.

        Raises:
            BrokerUnavailable: the broker did not start.
        """
        if self._given.broker_url is None:
            self._broker = self._stack.enter_context(EmbeddedBroker())
            self.settings = self.settings.model_copy(update={"broker_url": self._broker.url})
        return self

    @property
    def worker_pid(self) -> int | None:
        """The process of the worker, once it is started."""
        return None if self._worker is None else self._worker.pid

    @property
    def most_stop_seconds(self) -> float:
        """How long the worker may take to end, before it is killed."""
        return self._given.drain_seconds + _STOP_SECONDS

    def start_worker(self, base: Path | None = None) -> None:
        """Start the worker, unless it runs, without waiting for its engine.

        Args:
            base: the folder of the data that it is for. On a broker that others can reach, too, it reads images from
                there alone, if the settings name no folders.

        Raises:
            SettingsError: the worker that runs may not read from there.
        """
        if self._broker is None and not self._given.image_roots and base is not None:
            self._narrow(base)
        if self._worker is not None:
            return
        flags, lifeline = (["--with-parent"], []) if self._broker is None else _with(self._broker)
        self._pipe, theirs = os.pipe()
        self._stack.callback(os.close, self._pipe)
        try:
            with self._open_log() as log:
                # A session of its own: Ctrl-C at the terminal reaches only us, and we end the worker.
                # Its standard input closes however we end, and the worker then ends, too.
                self._worker = subprocess.Popen(
                    [sys.executable, "-m", "worker", *flags],
                    env=own_code_only({**os.environ, **self.settings.environment(), READY_FD: str(theirs)}),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(theirs, *lifeline),
                )
        finally:
            os.close(theirs)
        self.started = now()

    def _open_log(self) -> IO[bytes]:
        """Open the log for the worker, which keeps it locked as long as something of it lives."""
        log = self.log.open("ab")
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.close()
            self.log = self.log.with_stem(f"{self.log.stem}-{os.getpid()}")
            log = self.log.open("ab")
        except OSError:
            # This file system has no locks: all share one log.
            pass
        return log

    def _narrow(self, base: Path) -> None:
        """Let the worker read from this folder alone; a worker that runs keeps the one that it was started for."""
        if self._worker is None:
            self.settings = self.settings.model_copy(update={"image_roots": [base]})
        elif not any(base.is_relative_to(root) for root in self.settings.image_roots):
            roots = ", ".join(map(str, self.settings.image_roots)) or "no folder"
            raise SettingsError(
                f"the worker of this program may read images from {roots}, and this run's data is in {base}: set "
                f"{option('image_roots')} or PERSQA_IMAGE_ROOTS to a folder with all of it"
            )

    def wait_ready(self) -> None:
        """Wait until the worker has loaded its engine.

        Raises:
            SettingsError: the engine cannot be started; the message is its own sentence.
            WorkerDied: the worker cannot be started for another reason.
            BrokerUnavailable: the broker did not start again.
        """
        while self._pipe is not None:
            self.check(wait_seconds=_LOOK_SECONDS)

    def check(self, *, wait_seconds: float = 0) -> None:
        """Check that the worker is alive, if it was started; start the broker again if it is not alive.

        Args:
            wait_seconds: how long to wait for a report of the worker's start.

        Raises:
            SettingsError: the engine cannot be started; the message is its own sentence.
            WorkerDied: the worker has ended; the message says why, or has the end of its log.
            BrokerUnavailable: the broker did not start again.
        """
        if self._broker is not None:
            self._broker.revive()
        if self._worker is None:
            return
        if self._pipe is not None and wait([self._pipe], wait_seconds):
            self._listen(self._worker, self._pipe)
        if (code := self._worker.poll()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            tail = "\n  ".join(lines)
            raise WorkerDied(f"the worker ended with exit code {code}; the end of {self.log}:\n  {tail}")

    def _listen(self, worker: subprocess.Popen[bytes], pipe: int) -> None:
        match os.read(pipe, WORD_BYTES):
            case b"":
                # The worker is ending without a report.
                with suppress(subprocess.TimeoutExpired):
                    worker.wait(_LOOK_SECONDS)
            case said if said == READY:
                self._pipe = None
            case said:
                raise decode_failure(said, more=f"the log of the worker: {self.log}")

    def __exit__(self, *_: object) -> None:
        """Stop the worker, then the broker."""
        try:
            if self._worker is not None:
                self._stop(self._worker)
        finally:
            self._stack.close()

    def _stop(self, worker: subprocess.Popen[bytes]) -> None:
        worker.terminate()
        try:
            worker.wait(self.most_stop_seconds)
        except subprocess.TimeoutExpired:
            worker.kill()
        finally:
            # The engine's processes, where the worker had no time to end them.
            kill_session(worker.pid)
            worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()


def _with(broker: EmbeddedBroker) -> tuple[list[str], list[int]]:
    """The flags of a worker that has this broker to itself, and the descriptor by which it keeps the broker alive."""
    return ["--with-parent", "--with-broker"], [broker.lifeline]


def kill_session(leader: int) -> None:
    """Kill what this process has started and not ended, and wait until the system has freed what it had.

    A large process takes some tenths of a second to vanish, and its memory as long to be free for the next one.
    """
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    left = [process for process in psutil.process_iter() if _lives_in(process, leader)]
    until = time.monotonic() + _GONE_SECONDS
    while any(_lives_in(process, leader) for process in left) and time.monotonic() < until:
        time.sleep(_GONE_POLL_SECONDS)


def _lives_in(process: psutil.Process, group: int) -> bool:
    """Whether it is more than an entry that waits for its parent to read its exit code."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ProcessLookupError):
        return False


def _log_path(database_url: str) -> Path:
    """Beside the database if that is a file, else in the working directory."""
    folder = Path(database_url.removeprefix("sqlite:///")).parent if database_url.startswith("sqlite") else Path()
    return folder / "persqa-worker.log"
