"""Checked records: what a survey has read and found, put aside until the ledger has it."""

from __future__ import annotations

import marshal
import tempfile
import weakref
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, cast

from persqa.errors import InputError
from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: A record as JSON, and the fields of `Record`; of a wrong one the reason and the sentence.
Usable: TypeAlias = tuple[str, tuple[str, ...], Tag | None, str]
Wrong: TypeAlias = tuple[str, str, str]
CheckedRecord: TypeAlias = Usable | Wrong

#: More than so many bytes of them are put aside on disk.
_HELD_BYTES = 4 * 2**20
#: Records of more bytes hold pictures, which do not become smaller.
_PICTURE_BYTES = 4096
_SIZE_BYTES = 8


class CheckedRecords:
    """The records of one survey, a transaction's after another; gone with this object."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - as long as the object
        weakref.finalize(self, self._file.close)

    def put(self, chunk: list[CheckedRecord]) -> None:
        """Put aside the records of one transaction.

        Raises:
            InputError: there is no room for them.
        """
        # Nobody but this process reads it, so it may be as Python has values in memory.
        data = marshal.dumps(chunk)
        packed = zlib.compress(data, 1 if len(data) < _PICTURE_BYTES * len(chunk) else 0)
        with _refusals():
            self._file.write(len(packed).to_bytes(_SIZE_BYTES, "big"))
            self._file.write(packed)

    def end(self) -> None:
        """Make sure that there was room for all; raises InputError, as `put` does."""
        with _refusals():
            self._file.flush()

    def chunks(self) -> Iterator[list[CheckedRecord]]:
        """What was put aside, in order; each call starts again.

        Raises:
            InputError: it cannot be read any more.
        """
        with _refusals():
            self._file.seek(0)
            while size := self._file.read(_SIZE_BYTES):
                data = zlib.decompress(self._file.read(int.from_bytes(size, "big")))
                yield cast("list[CheckedRecord]", marshal.loads(data))


@contextmanager
def _refusals() -> Generator[None]:
    try:
        yield
    except (OSError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) else None
        where = f"the checked records cannot be put aside in {tempfile.gettempdir()}"
        raise InputError(f"{where}: {why or error}; set TMPDIR to a folder with more room") from error
