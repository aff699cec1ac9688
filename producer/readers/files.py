"""Files of text, errors about files as sentences for people, and temporary files."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import weakref
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from persqa.errors import InputError
from persqa.system_errors import in_words
from producer.compression import open_bytes

if TYPE_CHECKING:
    from collections.abc import Generator

    from producer.readers.base import Source

#: Some programs begin a text in UTF-8 with it; it is no part of the text.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def open_text(path: Path, *, errors: str = "strict", newline: str | None = None) -> IO[str]:
    """Open a file of UTF-8 text, with or without a byte order mark; otherwise as `open_bytes`."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors=errors, newline=newline)


@contextmanager
def refusals(source: Source) -> Generator[None]:
    """Errors of the operating system and of pyarrow about a file become errors about this input.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except OSError as error:
        inside = error.filename is not None and str(error.filename) != str(source.path)
        where = f"{source.shown} ({error.filename})" if inside else source.shown
        raise InputError(f"{where}: {in_words(error, error.filename)}") from error
    except EOFError as error:
        raise InputError(f"{source.shown}: broken: Truncated: {error}") from None
    except (*_arrow_exceptions(), UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{source.shown}: broken: {error}") from None


def _arrow_exceptions() -> tuple[type[Exception], ...]:
    """What pyarrow raises, where something has loaded it; most files do not need it."""
    arrow = sys.modules.get("pyarrow")
    return () if arrow is None else (arrow.ArrowException,)


class ScratchFile:
    """An empty temporary file; it is removed with this object, at the latest when the program ends."""

    def __init__(self, suffix: str = "") -> None:
        number, name = tempfile.mkstemp(prefix="persqa-", suffix=suffix)
        os.close(number)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
