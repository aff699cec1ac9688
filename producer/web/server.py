"""The server of the gallery: where it listens, under which address a person opens it, and how it ends."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn

from persqa.errors import SettingsError
from persqa.system_errors import in_words
from persqa.words import option
from producer.web.app import application
from producer.web.site import Site

if TYPE_CHECKING:
    from producer.client import Client

#: Asked for first; the next free one is taken where nobody has named one.
_PORT = 9760
_TRIED = 20
_ON_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_START_SECONDS = 10
_END_SECONDS = 3


class Server:
    """Serves the gallery of a client, in a thread of its own or until it is stopped."""

    def __init__(self, client: Client, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        """Listen, so that the address is known.

        Args:
            client: its database is shown; it stays the caller's.
            host: the name or IP address to listen on. Beyond loopback, the address has a token.
            port: the port; by default 9760, or the next one that is free.

        Raises:
            SettingsError: this machine cannot listen there.
        """
        self._socket = _listen(host, port)
        number = self._socket.getsockname()[1]
        local = _is_loopback(self._socket.getsockname()[0])
        token = None if local else secrets.token_urlsafe(16)
        self._site = Site(client)
        app = application(self._site, hosts=_ON_LOOPBACK if local else None, token=token)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_END_SECONDS)
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None
        #: What a person opens.
        self.address = f"http://{_shown(host, local=local)}:{number}/" + (f"?token={token}" if token else "")

    def serve(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        try:
            self._server.run([self._socket])
        finally:
            self._site.close()

    def __enter__(self) -> Self:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self._serve_quietly, name="persqa-ui", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_START_SECONDS)
        self._site.close()

    def _serve_quietly(self) -> None:
        # Only the main thread may have handlers of signals, so they stay the program's.
        self._server.config.load()
        self._server.run([self._socket])


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = [port] if port is not None else [*range(_PORT, _PORT + _TRIED), 0]
    for number in wanted:
        try:
            return socket.create_server(_address(host, number), family=_family(host), backlog=128)
        except OSError as error:
            if number == wanted[-1] or port is not None or error.errno != errno.EADDRINUSE:
                where = f"port {number} of {host!r}"
                hint = f"choose another {option('port')} or {option('host')}"
                raise SettingsError(f"the gallery cannot listen on {where}: {in_words(error, where)}; {hint}") from None
    raise AssertionError("the last one either listens or raises")


def _address(host: str, port: int) -> tuple[str, int]:
    return host.strip("[]"), port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _shown(host: str, *, local: bool) -> str:
    if local:
        return f"[{host.strip('[]')}]" if ":" in host else host
    if host.strip("[]") in {"0.0.0.0", "::"}:
        return socket.gethostname()
    return f"[{host.strip('[]')}]" if ":" in host else host
