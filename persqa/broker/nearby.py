"""Nearby: the embedded brokers of this machine, for those who look at what another program does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from persqa.broker.connection import place_digest

if TYPE_CHECKING:
    from collections.abc import Collection

#: How the folder of an embedded broker begins, and its socket in there.
FOLDER: Final = "persqa-"
SOCKET: Final = "valkey.sock"


def url_of(socket: Path) -> str:
    """The URL of the embedded broker with this socket."""
    return f"redis+socket://{socket}"


def nearby(identities: Collection[str]) -> list[str]:
    """The URLs of the embedded brokers with one of these identities; one that was killed may be among them."""
    if not identities:
        return []
    found = map(url_of, sorted(Path(tempfile.gettempdir()).glob(f"{FOLDER}*/{SOCKET}")))
    return [url for url in found if place_digest(url) in identities]
