"""The server of the gallery: where it listens, under which address a person opens it, and how it ends."""

from __future__ import annotations

import errno
import ipaddress
import resource
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from persqa.errors import SettingsError
from persqa.system_errors import in_words
from persqa.words import option
from producer.web.app import application
from producer.web.door.calls import ABORT
from producer.web.door.door import ROOT, Door
from producer.web.site import Site

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from producer.client import Client
    from producer.web.door import Tokens

#: Asked for first; the next free one is taken where nobody has named one.
_PORT = 9760
_TRIED = 20
_ON_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: What is being answered at the end is waited for so long, in seconds; a person waits for the end.
_END_SECONDS = 1
#: Connections at once; a browser has six, and programs are many.
MOST_CONNECTIONS = 240
MOST_WITH_DOOR = 2400
#: Files that are open beside connections.
_OTHER_FILES = 400
#: What programs add at the end is waited for so long, in seconds.
_END_WITH_DOOR_SECONDS = 10


class Server:
    """Serves the gallery of a client, in a thread of its own, in a `with` block."""

    def __init__(
        self, client: Client, *, host: str = "127.0.0.1", port: int | None = None, tokens: Tokens | None = None
    ) -> None:
        """Listen, so that the address is known.

        Args:
            client: its database is shown; it stays the caller's.
            host: the name or IP address to listen on. Beyond loopback, the address has a token.
            port: the port; by default 9760, or the next one that is free.
            tokens: those of programs, for which the HTTP interface is there then, too.

        Raises:
            SettingsError: this machine cannot listen there.
        """
        self._socket = _listen(host, port)
        number = self._socket.getsockname()[1]
        local = _is_loopback(self._socket.getsockname()[0])
        token = None if local else secrets.token_urlsafe(16)
        self._site = Site(client)
        hosts = _ON_LOOPBACK | {_shown(host).lower()} if local else None
        door = None if tokens is None else Door(client, tokens)
        self._end_seconds = _END_SECONDS if door is None else _END_WITH_DOOR_SECONDS
        if door is not None:
            _allow_files(MOST_WITH_DOOR + _OTHER_FILES)
        config = uvicorn.Config(
            application(self._site, hosts=hosts, token=token, door=door),
            http=_Connection if door is None else _ManyConnections,
            ws="none",
            lifespan="off",
            # Headers that a proxy could have set are anybody's to set.
            proxy_headers=False,
            server_header=False,
            log_config=None,
            # What strangers send is not worth a line; a defect is.
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=self._end_seconds,
        )
        self._server = _Uvicorn(config, door)
        # A thread whose `join` a signal interrupts counts as ended from then on, in Python 3.11.
        self._ended = threading.Event()
        # Only in the main thread would uvicorn set handlers of signals; they are the program's.
        self._thread = threading.Thread(target=self._serve, name="persqa-ui", daemon=True)
        #: Why it is not where it is expected; empty where it is.
        self.elsewhere = f"port {_PORT} is taken: " if port is None and number != _PORT else ""
        root = f"http://{_shown(host)}:{number}"
        #: What a person opens, and where programs ask.
        self.address = f"{root}/" + (f"?token={token}" if token else "")
        self.for_programs = f"{root}{ROOT}"

    def wait(self) -> None:
        """Wait for Ctrl-C, while it serves."""
        try:
            self._ended.wait()
        except KeyboardInterrupt:
            return

    def _serve(self) -> None:
        try:
            self._server.run([self._socket])
        finally:
            self._ended.set()

    def __enter__(self) -> Self:
        """Serve in a thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        # Who reads from a slow web server or database may go on; such a thread does not keep the program running.
        if self._ended.wait(self._end_seconds + 1):
            self._thread.join()
        self._socket.close()
        self._site.close()


class _Uvicorn(uvicorn.Server):
    """A server that lets go first of those who would stay."""

    def __init__(self, config: uvicorn.Config, door: Door | None) -> None:
        super().__init__(config)
        self._door = door

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._door is not None:
            self._door.end()
        await super().shutdown(sockets)


class _Connection(H11Protocol):
    """One connection; of too many, the one that has waited longest for its client is closed.

    Whoever opens thousands and sends nothing, or little by little, would else keep all others out.
    """

    #: When the client last sent something, by the clock of the loop, in seconds.
    heard = 0.0
    most = MOST_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.heard = self.loop.time()
        if len(self.connections) > self.most:
            min(_of_ours(self.connections), key=lambda one: (one.is_answered_for, one.heard)).transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)

    @property
    def is_answered_for(self) -> bool:
        """Whether it is we who work, and not the client whom we wait for."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete


class _ManyConnections(_Connection):
    """One connection of many; who answers may cut it."""

    most = MOST_WITH_DOOR

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        app = self.app

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {ABORT: transport.abort}
            await app(scope, receive, send)  # pyrefly: ignore[bad-argument-type] - uvicorn types the same otherwise

        self.app = with_abort


def _allow_files(number: int) -> None:
    """Let this process have so many files open, or as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _of_ours(connections: Iterable[object]) -> Iterable[_Connection]:
    return (one for one in connections if isinstance(one, _Connection))


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = [port] if port is not None else [*range(_PORT, _PORT + _TRIED), 0]
    for number in wanted:
        try:
            return _bound(host.strip("[]"), number)
        except (OSError, UnicodeError) as error:
            is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            if number == wanted[-1] or not is_taken:
                where = f"port {number} of {host!r}"
                said = in_words(error, where) if isinstance(error, OSError) else "no such host"
                hint = f"choose another {option('port')} or {option('host')}"
                raise SettingsError(f"the gallery cannot listen on {where}: {said}; {hint}") from None
    raise AssertionError("the last one either listens or raises")


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name that has both is asked for by the older one first.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    everywhere = address[0] == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, backlog=128, dualstack_ipv6=everywhere)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _shown(host: str) -> str:
    """The host in an address that a person opens."""
    bare = host.strip("[]")
    if bare in {"", "0.0.0.0", "::"}:
        return socket.gethostname()
    return f"[{bare}]" if ":" in bare else bare
