"""Asking a server byte for byte, as no browser would."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPMessage


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a server answered."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(address: str, path: str = "/", method: str = "GET", **headers: str) -> Answered:
    """Ask once; an underscore in a header's name stands for a hyphen, and `host` replaces the usual one."""
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="host" in given, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Answered(status=answer.status, headers=answer.headers, body=answer.read())


def status_of(address: str, request: bytes) -> int:
    """Send bytes; gives the status of what comes back, or 0 where the connection is closed without a word."""
    parts = urlsplit(address)
    with closing(socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)) as connection:
        try:
            connection.sendall(request)
            said = connection.recv(65_536)
        except ConnectionError:
            return 0
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/") else 0
