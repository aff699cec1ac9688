"""ServerNews: PostgreSQL tells who waits that something of a run may have ended."""

from __future__ import annotations

import selectors
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from sqlalchemy import exc

from persqa.store.news import News
from persqa.store.numbering import channel_of, lock_of

if TYPE_CHECKING:
    from persqa.runs import RunId
    from persqa.store.database import Database

#: The bounds of a pause where the server tells nothing, in seconds.
_ASKING = (0.01, 0.2)
#: After this a server is asked again that did not let us listen.
_AGAIN_SECONDS = 10


class ServerNews(News):
    """News of a PostgreSQL database: it tells them itself, where it can."""

    def __init__(self, database: Database, run_id: RunId) -> None:
        super().__init__(_ASKING)
        self._database = database
        self._run_id = run_id
        self._connection: psycopg.Connection[Any] | None = None
        self._descriptor = -1
        self._retry_at = 0.0
        #: Whether others know that we wait.
        self._waits = False

    def rest(self) -> None:
        """Nobody waits for a while: let nothing be told meanwhile."""
        if self._connection is not None and self._waits:
            try:
                self._connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", lock_of(self._run_id))
                self._waits = False
                self._heard(self._connection)
            except psycopg.Error:
                self._forget()

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        super().close()

    def _is_new(self) -> bool:
        if self._connection is None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _AGAIN_SECONDS
            with suppress(psycopg.Error, exc.SQLAlchemyError):
                self._listen()
        if self._connection is None:
            return False
        try:
            if self._waits:
                return self._heard(self._connection)
            asked = "SELECT pg_try_advisory_lock_shared(%s, %s)"
            (self._waits,) = self._connection.execute(asked, lock_of(self._run_id)).fetchone() or (False,)
            if not self._waits:
                # Somebody is committing, and tells nobody.
                self._sleep(self._shortest)
        except psycopg.Error:
            self._forget()
        return True

    def _is_blind(self) -> bool:
        return self._connection is None or not self._waits

    def _pause(self, waited: float) -> float:
        return super()._pause(waited) if self._is_blind() else float("inf")

    def _heard(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether we were told something; what there is is read, all of it."""
        return bool(list(connection.notifies(timeout=0)))

    def _listen(self) -> None:
        connection = self._database.own_connection()
        try:
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
            if pid != connection.info.backend_pid:
                # There is a pooler between, by which another one would be told.
                self._retry_at = float("inf")
                connection.close()
                return
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel_of(self._run_id))))
        except BaseException:
            connection.close()
            raise
        self._connection, self._waits = connection, False
        self._descriptor = connection.fileno()
        self._selector.register(self._descriptor, selectors.EVENT_READ)

    def _forget(self) -> None:
        if self._connection is not None:
            self._selector.unregister(self._descriptor)
            self._connection.close()
        self._connection, self._waits = None, False
