"""Answers for names as Docker does in every container: with the addresses of all hosts that have the name.

`python -m tests.topology.names FILE` runs on one host beside a program that reads no hosts file; FILE is one.
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

from tests.topology.network import RESOLVER

_A, _AAAA = 1, 28
_NO_SUCH_NAME = 3
_SECONDS = 1


def answer(question: bytes, names: dict[str, list[str]]) -> bytes:
    """The answer to one message of DNS, of which the first question counts."""
    end = question.index(b"\0", 12) + 5
    name, kind = _name(question), int.from_bytes(question[end - 4 : end - 2], "big")
    found = names.get(name, []) if kind == _A else []
    # Standard response, recursion as asked; a name that exists has no error, even without an address of this kind.
    flags = 0x8180 | (0 if name in names else _NO_SUCH_NAME)
    head = question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
    records = [b"\xc0\x0c" + struct.pack(">HHIH", _A, 1, _SECONDS, 4) + socket.inet_aton(address) for address in found]
    return head + question[12:end] + b"".join(records)


def _name(question: bytes) -> str:
    labels: list[str] = []
    at = 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += length + 1
    return ".".join(labels).lower()


def _names(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        address, *names = line.split()
        for name in names:
            found.setdefault(name, []).append(address)
    return found


def serve(file: Path) -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind((RESOLVER, 53))
        while True:
            question, asker = port.recvfrom(512)
            port.sendto(answer(question, _names(file)), asker)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
