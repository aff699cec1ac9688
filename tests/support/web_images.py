"""Reading images from servers of this machine that have the names of others."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from urllib3.util import connection as urllib3_connection

from persqa.errors import Rejected
from persqa.images import ImageLimits, read_image

PICTURE = bytes(range(256)) * 16
OPEN = ImageLimits(
    roots=(), max_pixels=9, max_bytes=10_000, hosts=("127.0.0.1", "*.test"), allow_private=True, seconds=10
)


def read(url: str, **limits: Any) -> bytes:
    found = read_image(url, base=Path("/nowhere"), limits=replace(OPEN, **limits))
    return found.data


def refusal(url: str, **limits: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(url, **limits)
    return caught.value


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Let names resolve to one address after the other, the last one for ever; gives the names asked for."""
    real, asked = socket.getaddrinfo, list[str]()

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        if host in names:
            asked.append(host)
            answers = names[host]
            host = answers.pop(0) if len(answers) > 1 else answers[0]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def route(monkeypatch: pytest.MonkeyPatch, routes: dict[str, int]) -> list[str]:
    """Let public addresses be ports of this machine; gives the addresses that were connected to."""
    real, connected = urllib3_connection.create_connection, list[str]()

    def create_connection(address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        connected.append(address[0])
        if address[0] in routes:
            address = "127.0.0.1", routes[address[0]]
        return real(address, *args, **options)  # pyrefly: ignore[bad-argument-type]

    monkeypatch.setattr(urllib3_connection, "create_connection", create_connection)
    return connected
