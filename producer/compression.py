"""Files that are compressed as a whole, by their last suffix."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import BinaryIO, cast

#: Compression by last suffix. All of them notice a file that is cut off.
COMPRESSIONS = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}
#: Parallel programs begin their Zstandard files with a frame that is skipped.
_MAGIC = {"gzip": re.compile(rb"\x1f\x8b"), "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")}


def packed_as(head: bytes) -> str | None:
    """How a file is compressed by its first bytes; None if it is not."""
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), None)


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading; a compressed one is unpacked while it is read.

    Raises:
        OSError: the file cannot be read, or its compression is broken or cut off; also raised while reading, and so are
            EOFError and zlib.error.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("rb")
    if kind == "gzip":
        # Unlike pyarrow it ignores zeros behind the end, which tapes and some programs put there.
        return cast("BinaryIO", io.BufferedReader(gzip.open(path), 1 << 20))
    # Loaded only for such a file, since that takes long.
    import pyarrow as pa

    packed = pa.OSFile(str(path), "rb")
    return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(packed, kind), 1 << 20))  # pyrefly: ignore[bad-argument-type, bad-specialization] - a file in all but its type


def create_bytes(path: Path) -> BinaryIO:
    """Create a file, compressed if its suffix says so; the same bytes always give the same file.

    Raises:
        OSError: the file cannot be written; also raised while writing.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("wb")
    import pyarrow as pa

    return cast("BinaryIO", io.BufferedWriter(pa.CompressedOutputStream(str(path), kind), 1 << 20))  # pyrefly: ignore[bad-argument-type, bad-specialization] - a file in all but its type
