"""All errors, by what happens next.

PersqaError
├── UserError            the caller must change something; exit code 2
│   ├── RecordError      one record cannot be used; it is stored as an `invalid` result
│   ├── InputError       the input as a whole cannot be read; nothing is enqueued
│   ├── SettingsError    an option or setting is wrong or missing
│   │   └── NoDatabase   there is no database yet where somebody wants to look at one
│   ├── RunConflict      the run's name is taken by other data or options, and something of it is answered
│   ├── RunNotFound      no run has this name
│   └── RunStopped       the run is paused, cancelled or done; exit code 4
├── Rejected             this item can never be answered; it becomes an `invalid` result
│   └── BadContent       its bytes are no image (persqa/bad_images.py)
├── EngineLost           the engine died and another one is being started; ask again
├── RowRefused           the database refuses these rows; it accepts others
└── Infrastructure       the data has no fault; try again later; exit code 3
    ├── StoreUnavailable
    ├── BrokerUnavailable
    ├── BlobsUnavailable
    ├── EngineDead       the engine of this process stopped for good
    ├── OutOfMemory      memory was short for one item, which may be why; the delivery counts as a failed one
    └── WorkerDied       the local worker process ended too early

Used only inside of one part:

Trouble                  a server of images failed; it is asked again (persqa/images/patience.py)
DeadMessage              a message is not a task; it becomes a dead letter (worker/leases/transport.py)
UnreadableDelivery       a task has no item; it becomes a dead letter (worker/deliveries.py)
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: System errors that mean that this process or machine lacks a resource; they say nothing about a file.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

#: The same, but for memory, of what is no image file.
_OTHER_SHORTAGES = SHORTAGES - {errno.ENOMEM} | {errno.ENOBUFS, errno.EAGAIN}
#: Memory may be a file system, too.
_MEMORY = {errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}
#: torch and Python say these in errors that have no number.
_SAYS_MEMORY = re.compile(r"(can.?t|cannot) allocate memory|not enough memory|out of memory", re.IGNORECASE)
_SAYS_THREADS = re.compile(r"can't start new thread")


class PersqaError(Exception):
    """Any error that PersQA raises on purpose; its text is for people."""


class UserError(PersqaError):
    """The caller must change something before trying again."""


class RecordError(UserError):
    """One record cannot be used.

    Attributes:
        reason: the code stored with the `invalid` result.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InputError(UserError):
    """The input cannot be read as a whole; nothing of it was enqueued."""


class SettingsError(UserError):
    """An option or setting is wrong or missing.

    Attributes:
        lines: a sentence for each wrong setting, by its name, where it is known.
    """

    def __init__(self, message: str, lines: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.lines = dict(lines or {})


class NoDatabase(SettingsError):
    """There is no database yet; the first run makes it."""


class RunConflict(UserError):
    """A run of this name exists with other data, other options, or in another folder, and cannot be replaced."""


class KeyTaken(UserError):
    """Another record of the same key was added to the run before.

    Attributes:
        keys: of the records that were refused, in their order.
    """

    def __init__(self, message: str, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class RunNotFound(UserError):
    """No run has this name."""


class RunStopped(UserError):
    """The run is paused or cancelled and must be resumed first; or it is done, and cannot be stopped."""


class Rejected(PersqaError):
    """This item can never be answered as it is.

    Attributes:
        reason: the code stored with the `invalid` result.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EngineLost(PersqaError):
    """The engine died, and another one is being started; the request can be repeated.

    Attributes:
        asked: whether the engine had the request when it died, so that it may have died of it.
    """

    def __init__(self, message: str, *, asked: bool) -> None:
        super().__init__(message)
        self.asked = asked


class RowRefused(PersqaError):
    """The database refuses the data of a statement; a repetition would fail, too."""


class Infrastructure(PersqaError):
    """Something other than the data failed; the work is kept and can be tried again."""


class StoreUnavailable(Infrastructure):
    """The database does not answer."""


class BrokerUnavailable(Infrastructure):
    """Redis does not answer."""


class BrokerFull(BrokerUnavailable):
    """Redis takes nothing more until workers have made room in its memory."""


class BlobsUnavailable(Infrastructure):
    """The blob store does not answer."""


class EngineDead(Infrastructure):
    """The engine of this process stopped for good."""


class WorkerDied(Infrastructure):
    """The local worker process ended before its work was done."""


class OutOfMemory(Infrastructure):
    """Memory was short for one item, and nobody can say whether it is the item or the machine that is to blame."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came of, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shortage(error: BaseException) -> Infrastructure | None:
    """What this process or machine lacks, where an error came of that; None where it did not."""
    for cause in causes(error):
        number = cause.errno if isinstance(cause, OSError) else None
        said = str(cause) if isinstance(cause, RuntimeError) else ""
        if isinstance(cause, MemoryError) or number in _MEMORY or _SAYS_MEMORY.search(said):
            return OutOfMemory(f"this machine has too little memory: {_words(cause)}")
        if number in _OTHER_SHORTAGES or _SAYS_THREADS.search(said):
            return Infrastructure(f"this machine is short of something: {_words(cause)}")
    return None


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return " ".join(str(error).split())[:200] or type(error).__name__
