"""Holding: what a worker knows of one message that it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Holding:
    """One message that this worker holds.

    Attributes:
        begun: whether the pool has begun with it.
        suspect: whether this delivery counts as a failed one if the message is given back.
        uncounted: the number of this delivery, until Redis has counted it; None where it need not be counted.
        ledger: the other ledger that the message belongs to; None for a message of ours.
    """

    begun: bool = False
    suspect: bool = False
    uncounted: int | None = None
    ledger: str | None = None

    @property
    def failed(self) -> bool:
        """Whether this delivery counts if the message is given back."""
        return self.suspect or self.uncounted is not None
