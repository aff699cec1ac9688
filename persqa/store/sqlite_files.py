"""SQLite's files: one is read without writing beside it, and a sentence says why one cannot be used.

The newest rows of a database are in FILE-wal, and those who have it open agree in FILE-shm on what is there. Whoever
opens it in the usual way makes both, even for reading, and cannot read it where they cannot be made. So:

* Nothing is in FILE-wal: the file itself is everything, and is read as one that nobody writes (`immutable`).
* Both are there, as somebody has it open or was killed: nothing is made, and SQLite's locks do their work.
* FILE-shm is missing, as in a copy: nobody has it open. Its contents are worked out anew in memory, without locks.

Without locks, it is looked at afterwards whether somebody has written meanwhile; then what was read is worth nothing.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from persqa.errors import NoDatabase, SettingsError, StoreUnavailable
from persqa.system_errors import in_words
from persqa.words import to_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Longest wait for a lock while looking: writers lock nobody out for longer than it takes to begin.
_LOCK_SECONDS = 5
#: What changes when a file is written: which one it is, its bytes, and its time in nanoseconds; None if it is gone.
_State: TypeAlias = "tuple[int, int, int] | None"
#: The times of files go on in steps, of 10 ms at most.
_STEP_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class Unlocked:
    """Files that are read without a lock, as they were before."""

    states: dict[Path, _State]

    @property
    def written(self) -> bool:
        """Whether somebody has written one of them since."""
        return any(_state(file) != before for file, before in self.states.items())


class OpenFile:
    """The file that a database opened first, for SQLAlchemy's events: no other one of its name takes its place.

    A file that was deleted can still be written, and nobody would ever see that; in another one, a run of the same
    number may be another run.
    """

    def __init__(self, path: Path) -> None:
        """Note the name; which file it is tells the first connection."""
        self._path = path
        self._which: tuple[int, int] | None = None

    def note(self, *_: object) -> None:
        """Note which file it is, after connecting to it."""
        self._which = self._which or self._now()

    def refuse_another(self, *_: object) -> None:
        """Raise StoreUnavailable if the file that was opened has not its name any longer."""
        if self._which is not None and self._now() != self._which:
            raise StoreUnavailable(
                f"the database {self._path} was deleted, moved or replaced while this program had it open, so nothing "
                "more is written to it: put it back, or start this program again"
            )

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def open_to_look(path: Path) -> tuple[sqlite3.Connection, Unlocked | None]:
    """Open a database for reading, without making or changing a file.

    Returns:
        The connection, and the files that it reads without a lock, if it does.

    Raises:
        NoDatabase: there is none yet.
        SettingsError: it cannot be read, as it is.
        sqlite3.Error: SQLite says why not.
    """
    refuse_unreadable(path)
    real = path.resolve()
    wal, shm, journal = _beside(real)
    if _size(wal) and shm.exists():
        # As ever while others write: their locks do, and nobody waits for a clock.
        return _connect(real, ""), None
    # In this order: if the WAL is empty now, then the file is whole, and all that is written to it later is noticed.
    before = {file: _state(file) for file in (real, wal)}
    _let_their_time_pass(before.values())
    if _size(wal):
        connection = _connect(real, "vfs=unix-none")
        # It alone needs no FILE-shm; the file system is told nothing of it.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        return connection, Unlocked(before)
    if _size(journal):
        return _connect(real, ""), None
    return _connect(real, "immutable=1"), Unlocked({real: before[real]})


def refuse_unreadable(path: Path) -> None:
    """Raise NoDatabase if there is no database at this path, and SettingsError if this user cannot read it."""
    if (size := _size_of(path, looking=True)) is None:
        raise NoDatabase(f"there is no database at {path}: {_make_or_name()}")
    if not size:
        raise NoDatabase(f"the file {path} is empty, and so no database yet: {_make_or_name()}")
    _refuse_unreadable_files(path)


def refuse_unreadable_beside(path: Path) -> None:
    """Raise SettingsError if this user cannot read what is beside a database; only for one that cannot be read.

    These files come and go while others write, so a look at them alone proves nothing.
    """
    _refuse_unreadable_files(*(file for file in _beside(path.resolve()) if file.exists()))


def _refuse_unreadable_files(*files: Path) -> None:
    for file in files:
        if not _may(file, os.R_OK):
            raise SettingsError(f"this user may not read {file}, which the database needs: its owner can allow it")


def refuse_unwritable(path: Path) -> None:
    """Raise SettingsError if this user cannot write the database, or make it where there is none."""
    there = is_there(path)
    real = path.resolve()
    for file in (real.parent, real, *_beside(real)):
        if not _may(file, os.W_OK) and file.exists():
            trouble = f"the database {path} can only be looked at" if there else f"no database can be made at {path}"
            raise SettingsError(f"{trouble}: {_not_writable(file)}")


def is_there(path: Path) -> bool:
    """Whether there is a file; raises SettingsError if there is something else, or no folder for it."""
    return _size_of(path, looking=False) is not None


def refuse_strange(path: Path) -> None:
    """Raise SettingsError for what is no SQLite database."""
    raise SettingsError(f"{path} is no SQLite database: name another file with --database-url, or move it away")


def _make_or_name() -> str:
    return f"`{to_type('persqa run INPUT')}` makes one, --database-url names another"


def _size_of(path: Path, *, looking: bool) -> int | None:
    """The size in bytes; None where there is no file, but could be one.

    Raises:
        SettingsError: there is something else, or no folder for it.
    """
    folder = path.parent
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            return None
        message = f"there is no folder {folder} for the database {path.name}"
        # Whoever looks wants a database that is there.
        make = "" if looking else "make it, or "
        raise SettingsError(f"{message}: {make}name another place with --database-url") from None
    except OSError as error:
        raise SettingsError(f"the database {path} cannot be reached: {in_words(error, path)}") from None
    if stat.S_ISDIR(found.st_mode):
        raise SettingsError(f"{path} is a folder: name a file in it, as in sqlite:///{path / 'persqa.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{path} is no file, so it can be no SQLite database")
    return found.st_size


def _not_writable(file: Path) -> str:
    kind = "the folder" if file.is_dir() else "the file"
    if os.statvfs(file).f_flag & os.ST_RDONLY:
        return f"{kind} {file} is on a file system that is mounted read-only"
    needed = ", where SQLite keeps files beside it" if file.is_dir() else ""
    return f"this user may not write {kind} {file}{needed}; its owner can allow it, or --database-url names another"


def _let_their_time_pass(states: Iterable[_State]) -> None:
    """Wait until whatever is written gives a file another time than it has."""
    newest = max((state[2] for state in states if state is not None), default=0)
    passed = time.time_ns() - newest
    if 0 <= passed < _STEP_NS:
        threading.Event().wait((_STEP_NS - passed) / 1e9)


def _connect(path: Path, option: str) -> sqlite3.Connection:
    """Connect for reading only; transactions are begun by who reads."""
    uri = f"file:{quote(os.fsencode(path))}?mode=ro&{option}"
    return sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _beside(path: Path) -> Iterator[Path]:
    """The files that SQLite may keep beside a database."""
    return (path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))


def _may(file: Path, right: int) -> bool:
    return os.access(file, right, effective_ids=os.access in os.supports_effective_ids)


def _size(file: Path) -> int:
    found = _state(file)
    return found[1] if found else 0


def _state(file: Path) -> _State:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
