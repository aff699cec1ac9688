"""BadImage: the content of an image that no decoder took, so that no other run needs to try."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from persqa.clock import now
from persqa.errors import Rejected
from persqa.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class BadImage:
    """What is remembered of bytes that are no picture.

    Only what the bytes alone decide: not where they lay, and not what is more than a limit allows, which may change.

    Attributes:
        digest: SHA-256 of the bytes, as hexadecimal digits.
        reason: what is wrong with them.
        detail: a sentence about it, without the name of a file.
    """

    digest: str
    reason: Reason
    detail: str
    first_seen: datetime = field(default_factory=now)


class BadContent(Rejected):
    """The bytes themselves are at fault, wherever and whenever they are read.

    Attributes:
        image: what is to be remembered of them.
    """

    def __init__(self, message: str, *, image: BadImage) -> None:
        super().__init__(image.reason, message)
        self.image = image
