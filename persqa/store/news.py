"""News: waiting until something of a run may have ended, at no cost for those who commit.

PostgreSQL tells it to a connection that does nothing else. Where that cannot be, as behind PgBouncer, which gives every
transaction another connection, or on a standby, the caller looks again after a short while; so it does on SQLite, once
the number of its version has changed. That while grows with the time that was waited in vain, so it delays nobody much.
"""

from __future__ import annotations

import selectors
import socket
import sqlite3
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from persqa.errors import PersqaError
from persqa.store.sqlite_files import Unlocked, open_to_look

if TYPE_CHECKING:
    from pathlib import Path

#: A pause is such a part of the time since the last news, and has bounds, in seconds.
_PART = 0.05
_LOOKING_AT_A_FILE = (0.002, 0.1)


class News(ABC):
    """What may be new of one run; one thread waits for it at a time, and any thread may wake that."""

    def __init__(self, pauses: tuple[float, float]) -> None:
        self._shortest, self._longest = pauses
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._last = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait until something may be new, somebody wakes this one, or so many seconds have passed.

        What is committed after the first call is noticed by the next one, so read between the calls.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_new():
                self.found()
                return
            waited = time.monotonic() - self._last
            if self._sleep(min(left, self._pause(waited))) or self._is_blind():
                return

    def wake(self) -> None:
        """Let the thread that waits go on; or else the next wait is none."""
        # It may have been closed by now.
        with suppress(OSError):
            self._waker.send(b".")

    def found(self) -> None:
        """Something was new indeed, so more may be soon."""
        self._last = time.monotonic()

    @abstractmethod
    def rest(self) -> None:
        """Nobody waits for a while: let nothing be told meanwhile."""

    def close(self) -> None:
        """Let go of everything."""
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _pause(self, waited: float) -> float:
        return min(max(waited * _PART, self._shortest), self._longest)

    def _sleep(self, seconds: float) -> bool:
        """Returns whether somebody has woken us."""
        self._selector.select(seconds)
        with suppress(BlockingIOError):
            return bool(self._woken.recv(4096))
        return False

    @abstractmethod
    def _is_new(self) -> bool:
        """Whether something may be new since it was asked last."""

    @abstractmethod
    def _is_blind(self) -> bool:
        """Whether `_is_new` cannot tell, so that the caller has to look."""


class FileNews(News):
    """News of a SQLite database: it is looked at whether anything was committed."""

    def __init__(self, file: Path) -> None:
        super().__init__(_LOOKING_AT_A_FILE)
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._unlocked: Unlocked | None = None
        self._version = -1

    def rest(self) -> None:
        """Nobody waits for a while, and nobody is told anything."""

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        super().close()

    def _is_new(self) -> bool:
        # Nobody had it open to write when it was looked at; a look without a lock sees nothing that is written later.
        if self._unlocked is not None and self._unlocked.written:
            self._forget()
        if self._connection is None and self._unlocked is None:
            with suppress(sqlite3.Error, PersqaError):
                self._open()
            return True
        if self._connection is None:
            return False
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self._forget()
            return True
        changed, self._version = version != self._version, version
        return changed

    def _is_blind(self) -> bool:
        return self._connection is None and self._unlocked is None

    def _open(self) -> None:
        connection, self._unlocked = open_to_look(self._file)
        if self._unlocked is None:
            self._connection, self._version = connection, -1
        else:
            connection.close()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._unlocked = None, None
