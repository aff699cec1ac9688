"""What can go wrong, sorted by what happens next.

PersqaError
├── UserError            the caller must change something; the command line exits with 2
│   ├── RecordError      one record cannot be used; it is stored as an `invalid` result
│   ├── InputError       the input as a whole cannot be read; nothing is enqueued
│   ├── SettingsError    an option or setting is wrong or missing
│   ├── RunConflict      the run's name is taken by other data or other options
│   ├── RunNotFound      there is no run of that name
│   └── RunStopped       the run is paused or cancelled; exit code 4
├── Rejected             this item can never be answered; it becomes an `invalid` result
│   ├── Undecodable      its bytes are no image (persqa/images/decoding.py)
│   └── BadContent       the same, with what is remembered of them (persqa/bad_images.py)
├── EngineLost           the engine died; another one is being started, ask again
├── RowRefused           the database refuses the data of these rows; others can be stored
└── Infrastructure       nothing is wrong with the data; try again later; exit code 3
    ├── StoreUnavailable
    ├── BrokerUnavailable
    ├── BlobsUnavailable the store of image bytes does not answer
    ├── EngineDead       the engine is gone and cannot answer any more
    └── WorkerDied       the local worker process ended before its work did

Beside these, and never seen outside of their part:

Trouble                  a server of images fails; it is asked again (persqa/images/patience.py)
DeadMessage              a message that is no task; it becomes a dead letter (worker/leases/transport.py)
UnreadableDelivery       a task that carries no item; it becomes a dead letter (worker/deliveries.py)
"""

from __future__ import annotations

import errno

from persqa.reasons import Reason

#: Error numbers of the system that say that this process or machine is short of something, and nothing about a file.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class PersqaError(Exception):
    """Anything PersQA raises on purpose; its text is meant for a person."""


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
    """An option or setting is wrong or missing."""


class RunConflict(UserError):
    """A run of this name exists with other data or other options."""


class RunNotFound(UserError):
    """No run has this name."""


class RunStopped(UserError):
    """The run is paused or cancelled, and somebody has to resume it first."""


class Rejected(PersqaError):
    """This item can never be answered as it is.

    Attributes:
        reason: the code stored with the `invalid` result.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EngineLost(PersqaError):
    """The engine died; another one is being started, and the request can be made again.

    Attributes:
        asked: whether it had the request when it died, so that it may have died of it.
    """

    def __init__(self, message: str, *, asked: bool) -> None:
        super().__init__(message)
        self.asked = asked


class RowRefused(PersqaError):
    """The database refuses the data of a statement, and would again; it is well otherwise."""


class Infrastructure(PersqaError):
    """Something outside the data failed; the work is kept and can be tried again."""


class StoreUnavailable(Infrastructure):
    """The database does not answer."""


class BrokerUnavailable(Infrastructure):
    """Redis does not answer."""


class BlobsUnavailable(Infrastructure):
    """The blob store does not answer."""


class EngineDead(Infrastructure):
    """The engine stopped and will not answer any request of this process again."""


class WorkerDied(Infrastructure):
    """The local worker process ended before its work was done."""
