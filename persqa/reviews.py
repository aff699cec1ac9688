"""Review: what a person says of a result."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, TypedDict

from persqa.choices import parse_choice
from persqa.items import ItemId

#: Which results a person saw: when each of them ended, by item, or when the person looked at them; both in UTC.
Seen: TypeAlias = Mapping[int, datetime] | datetime


class Decision(StrEnum):
    """Whether a person takes an answer."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Wanted(StrEnum):
    """Items by their reviews; one item may be several of these."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_REJECTED = "not-rejected"  #: accepted, or not decided on
    EDITED = "edited"  #: a person wrote another answer
    STARRED = "starred"
    NONE = "none"  #: neither a decision nor another answer


#: What an export can be told to write.
EXPORTED = (Wanted.ACCEPTED, Wanted.NOT_REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a person says of the result of an item.

    Attributes:
        decision: None while nobody has decided.
        answer: the one that a person wrote instead of the model's, if any.
        note: words for other people; empty where there are none.
        reviewer: who said the last of it.
        reviewed_at: when that was, in UTC.
        action: what all rows have in common that were changed at once, and may be undone together.
        replaced_at: when it ceased to hold: changed again, undone, or its result taken back; None while it holds.
    """

    item_id: ItemId
    decision: Decision | None
    answer: str | None
    starred: bool
    note: str
    reviewer: str
    reviewed_at: datetime
    action: str
    replaced_at: datetime | None = None


class GivenReview(TypedDict, total=False):
    """What a person changes in reviews: the keys that are there; the others stay as they are.

    Attributes:
        decision: `accepted`, `rejected`, or None to take a decision back.
        answer: the text to use instead of the model's; None, or the model's own text, to use the model's again.
        starred: whether it has a star.
        note: words for other people; empty to remove them.
    """

    decision: str | None
    answer: str | None
    starred: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What one action of a person has changed.

    Attributes:
        action: its name, to undo it by.
        items: those whose reviews are other ones now.
    """

    action: str
    items: tuple[ItemId, ...]


def parse_wanted(value: str) -> Wanted:
    """Parse a `Wanted`; raises SettingsError for any other value, listing the choices."""
    return parse_choice(value, Wanted, name="review")


def parse_exported(value: str) -> Wanted:
    """Parse what an export can be told to write; raises SettingsError for any other value, listing the choices."""
    return parse_choice(value, EXPORTED, name="review to export by")


def new_action() -> str:
    """A name that no other action has."""
    return secrets.token_hex(8)
