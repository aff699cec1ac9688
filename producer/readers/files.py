"""Files as bytes and as text, unpacked on the way, and what can go wrong with one in a sentence for people."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from persqa.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

    from producer.readers.base import Source

#: What packs a file, by the last part of its name. pyarrow unpacks all of them, and notices where one is cut off.
COMPRESSIONS = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a file; one whose name says that it is packed is unpacked as it is read.

    Raises:
        OSError: now or while reading: it cannot be read, or its packing is broken or cut off.
    """
    kind = COMPRESSIONS.get(path.suffix.lower())
    if kind is None:
        return path.open("rb")
    packed = pa.OSFile(str(path), "rb")
    return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(packed, kind), 1 << 20))  # pyright: ignore[reportArgumentType] - a file in all but its type


def open_text(path: Path, *, errors: str = "strict", newline: str | None = None) -> IO[str]:
    """Open a file of UTF-8 text, with a byte order mark or without; otherwise as `open_bytes`."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors=errors, newline=newline)


@contextmanager
def reading(source: Source) -> Generator[None]:
    """What the operating system or pyarrow says against a file becomes an error about this input.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except OSError as error:
        inside = error.filename is not None and str(error.filename) != str(source.path)
        where = f"{source.shown} ({error.filename})" if inside else source.shown
        raise InputError(f"{where}: {error.strerror or error}") from error
    except (pa.ArrowException, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{source.shown}: broken: {error}") from None
