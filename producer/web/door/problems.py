"""Problems: errors as clients get them, `{"error": {"code", "message"}}`; nobody gets a traceback."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from persqa.errors import (
    Infrastructure,
    KeyTaken,
    NoDatabase,
    PersqaError,
    RowRefused,
    RunConflict,
    RunNotFound,
    RunStopped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The code of a full queue.
QUEUE_FULL = "queue_full"

logger = logging.getLogger(__name__)

#: After how many seconds it is worth to try again: a full queue, and what is away.
_FULL_SECONDS, _AWAY_SECONDS = 5, 10


class ClientGone(Exception):
    """The client has closed the connection; there is nobody to answer."""


class Problem(Exception):
    """What keeps a request from being done.

    Attributes:
        status: of HTTP.
        code: for programs; it stays the same when the sentence changes.
        message: for people.
        headers: beside the usual ones.
        done: what was done before.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})
        self.done: object = None

    @property
    def body(self) -> dict[str, object]:
        """What the client gets."""
        said: dict[str, object] = {"error": {"code": self.code, "message": self.message}}
        return said if self.done is None else {**said, "done": self.done}


def queue_full() -> Problem:
    """The queue of the run has no room."""
    said = "the queue is full, and these records were not added: send them again later"
    return Problem(429, QUEUE_FULL, said, headers={"retry-after": str(_FULL_SECONDS)})


def busy(message: str) -> Problem:
    """The server has too much in hand."""
    return Problem(503, "busy", message, headers={"retry-after": str(_AWAY_SECONDS)})


def too_large(message: str) -> Problem:
    """There is too much of something in a request."""
    return Problem(413, "too_large", message)


#: Status and code of errors that are the client's to mend, the first that fits.
_KINDS: tuple[tuple[type[PersqaError], int, str], ...] = (
    (RunNotFound, 404, "run_not_found"),
    (RunConflict, 409, "run_conflict"),
    (RunStopped, 409, "run_stopped"),
    (KeyTaken, 409, "key_taken"),
    (RowRefused, 422, "refused_by_database"),
    (PersqaError, 400, "bad_request"),
)


def problem_of(error: BaseException) -> Problem:
    """The problem that an error is."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, NoDatabase):
        return Problem(404, "run_not_found", "there is no run yet")
    if isinstance(error, Infrastructure):
        return Problem(503, "unavailable", str(error), headers={"retry-after": str(_AWAY_SECONDS)})
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return Problem(status, code, str(error))
    # What only the terminal may show.
    logger.error("a request has failed: this is a defect of PersQA", exc_info=error)
    return Problem(500, "defect", "the server has a defect; where it runs, the terminal says more")
