"""Files that are compressed as a whole, where the end of their name says so."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

#: What compresses a file, by the last part of its name. pyarrow knows all of them, and notices where one is cut off.
COMPRESSIONS = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a file; one whose name says that it is compressed is unpacked as it is read.

    Raises:
        OSError: now or while reading: it cannot be read, or its compression is broken or cut off.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("rb")
    packed = pa.OSFile(str(path), "rb")
    return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(packed, kind), 1 << 20))  # pyright: ignore[reportArgumentType] - a file in all but its type


def create_bytes(path: Path) -> BinaryIO:
    """Create a file; one whose name says so is compressed as it is written, the same bytes always to the same file.

    Raises:
        OSError: now or while writing: it cannot be written.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("wb")
    return cast("BinaryIO", io.BufferedWriter(pa.CompressedOutputStream(str(path), kind), 1 << 20))  # pyright: ignore[reportArgumentType] - a file in all but its type
