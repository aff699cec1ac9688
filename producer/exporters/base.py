"""What every exporter offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue


class Exporter(Protocol):
    """Writes one file of one format."""

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is written yet."""
        ...

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records in their order; returns how many.

        Raises:
            OSError: the file cannot be written.
        """
        ...
