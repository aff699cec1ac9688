"""Files that are compressed as a whole, by their last suffix."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

#: Compression by last suffix. pyarrow supports all of them, and notices a file that is cut off. It is loaded only for
#: such a file, since that takes long.
COMPRESSIONS = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading; a compressed one is unpacked while it is read.

    Raises:
        OSError: the file cannot be read, or its compression is broken or cut off; also raised while reading.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("rb")
    import pyarrow as pa

    packed = pa.OSFile(str(path), "rb")
    return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(packed, kind), 1 << 20))  # pyright: ignore[reportArgumentType] - a file in all but its type


def create_bytes(path: Path) -> BinaryIO:
    """Create a file, compressed if its suffix says so; the same bytes always give the same file.

    Raises:
        OSError: the file cannot be written; also raised while writing.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("wb")
    import pyarrow as pa

    return cast("BinaryIO", io.BufferedWriter(pa.CompressedOutputStream(str(path), kind), 1 << 20))  # pyright: ignore[reportArgumentType] - a file in all but its type
