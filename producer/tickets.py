"""Tickets: what adding one record gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persqa.additions import Place


@dataclass(frozen=True, slots=True)
class Ticket:
    """One record of an open run."""

    key: str | None
    place: Place
