"""BadImage: content that no decoder accepts, remembered so that no other run needs to try."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from persqa.clock import now
from persqa.errors import Rejected
from persqa.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class BadImage:
    """Bytes that are no image, whatever their name and place.

    Images that only break a limit are not among them, since limits may change.

    Attributes:
        digest: SHA-256 of the bytes, as hexadecimal digits.
        reason: what is wrong with them.
        detail: a sentence about it, without a file name.
    """

    digest: str
    reason: Reason
    detail: str
    first_seen: datetime = field(default_factory=now)


class BadContent(Rejected):
    """The bytes themselves are no image; `image` is what to remember of them."""

    def __init__(self, image: BadImage) -> None:
        super().__init__(image.reason, image.detail)
        self.image = image
