"""Who fills a blob store that is a folder, and for which ledgers: nothing may be deleted that somebody has or gets.

Who fills it holds a lock of the folder until the items that refer to its blobs are in the ledger; many may at once. Who
deletes has the folder alone. Each ledger leaves a mark there, because no ledger knows to what the items of another one
refer. The system frees the lock of a process that is killed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.errors import BlobsUnavailable
from persqa.system_errors import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_LOCK = ".lock"
_LEDGERS = ".ledgers"


class Filling(BlobStore):
    """A blob store that somebody fills: from the first `put` until `close` nobody deletes anything from it.

    A store that is no folder has no lock, and nobody deletes anything from it at all.
    """

    def __init__(self, url: str, *, ledger: Callable[[], str] | None = None, database: str = "") -> None:
        """Prepare; nothing is locked yet.

        Args:
            url: as in `BlobStore`.
            ledger: gives the identity of the ledger that gets the items; None if somebody else leaves its mark.
            database: its database, for people.
        """
        super().__init__(url)
        self._ledger = ledger
        self._database = database
        self._held = ExitStack()
        self._holds = self._marked = False

    def put(self, data: bytes) -> str:
        """Store the bytes as `BlobStore.put` does; waits for whoever is deleting blobs."""
        self.hold()
        self.leave_mark()
        return super().put(data)

    def hold(self) -> None:
        """Let nobody delete blobs from now on; waits for whoever is doing so.

        Raises:
            BlobsUnavailable: the folder cannot be used.
        """
        folder = self.folder
        if folder is None or self._holds:
            return
        lock = self._held.enter_context(_opened(folder, os.O_RDONLY))
        # Some file systems know no locks. Nobody can have such a folder alone, so nothing is deleted there.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)
        self._holds = True

    def leave_mark(self) -> None:
        """Note that items of the ledger refer to blobs of the folder.

        Raises:
            BlobsUnavailable: the folder cannot be used.
        """
        if self._ledger is None or self.folder is None or self._marked:
            return
        mark = self.folder / _LEDGERS / self._ledger()
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                mark.write_text(f"{self._database}\n")
        except OSError as error:
            raise _unusable(self.folder, error) from error
        self._marked = True

    def hold_what_is_there(self) -> None:
        """The same, if there is such a folder that may be locked: records may refer to blobs that it has."""
        if self.folder is not None and self.folder.is_dir():
            with suppress(BlobsUnavailable):
                self.hold()

    def close(self) -> None:
        """Let others delete blobs again; safe to call twice."""
        self._held.close()
        self._holds = False


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Have the folder alone as long as this lasts: whoever wants to fill it waits.

    Raises:
        BlobsUnavailable: somebody fills it, or it cannot be locked.
    """
    with _opened(folder, os.O_RDWR) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlobsUnavailable(f"a submit is under way that may use images of the blob store {folder}") from error
        except OSError as error:
            raise _unusable(folder, error) from error
        yield


def others(folder: Path, *, ledger: str) -> str | None:
    """Why blobs may be somebody else's, in words; None where this ledger alone has any."""
    try:
        marks = {mark.name: mark for mark in (folder / _LEDGERS).iterdir()}
        for name, mark in sorted(marks.items()):
            if name != ledger:
                database = mark.read_text(errors="replace").strip()
                return f"{folder} has those of the database {database}, too (if that is gone, remove {mark})"
    except FileNotFoundError:
        marks = {}
    except OSError as error:
        return f"{folder} cannot be read: {in_words(error, folder)}"
    return None if ledger in marks else f"{folder} was filled by an earlier PersQA, perhaps for other databases, too"


@contextmanager
def _opened(folder: Path, mode: int) -> Generator[int]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, mode | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        yield lock
    finally:
        os.close(lock)


def _unusable(folder: Path, error: OSError) -> BlobsUnavailable:
    return BlobsUnavailable(f"the blob store {folder} failed: {in_words(error, folder / _LOCK)}")
