"""Text files for writing, compressed where the suffix says so."""

from __future__ import annotations

import gzip
import io
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from persqa.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

#: Suffixes behind the one that names the format.
COMPRESSIONS = (".gz", ".zst")


@contextmanager
def text_file(path: Path, *, newline: str) -> Generator[IO[str]]:
    """A file for writing text.

    A lone surrogate has no UTF-8 form; its escape is written, which in JSON is the same string.

    Args:
        path: its last suffix decides about compression.
        newline: what a line ends with; empty for what the text itself has.

    Raises:
        InputError: the compression needs a library that is not installed.
        OSError: the file cannot be written.
    """
    with ExitStack() as stack:
        file = cast("IO[bytes]", stack.enter_context(path.open("wb")))
        if path.suffix.lower() == ".gz":
            # No name and no time in it: the same rows make the same file.
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
            file = cast("IO[bytes]", stack.enter_context(packed))
        elif path.suffix.lower() == ".zst":
            file = stack.enter_context(_zstandard(file))
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline=newline)
        yield stack.enter_context(text)


def _zstandard(file: IO[bytes]) -> IO[bytes]:
    try:
        import zstandard
    except ImportError:
        raise InputError(".zst needs a library: pip install 'persqa[data]'") from None
    return cast("IO[bytes]", zstandard.ZstdCompressor().stream_writer(file, closefd=False))
