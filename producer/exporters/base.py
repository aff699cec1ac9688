"""What every exporter offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class Exporter(Protocol):
    """Writes one file, or one folder, of one format."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:
        """Keep the path; nothing is written yet.

        Args:
            path: where to write; a last suffix of `COMPRESSIONS` compresses text.
            blobs: where the bytes of blob references are, for formats that can hold bytes.
        """
        ...

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records in their order; returns how many.

        Raises:
            OSError: the file cannot be written.
        """
        ...
