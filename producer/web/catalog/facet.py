"""Facet: what items are grouped by, the values that are known beforehand, and counts of values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from persqa.flags import Flag
from persqa.pairs import PENDING
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.results import Status
from persqa.verdicts import KINDS


class Facet(StrEnum):
    """What items are grouped by; the value is its name in an address."""

    STATUS = "status"  #: how the item ended, or `pending`
    KIND = "kind"  #: how any generation of the item broke the rule: by its tag, or by a flag that is rejected
    REASON = "reason"
    TOPIC = "topic"
    QUESTION = "question"  #: as in the pool, with `{tag}` in place of the tag
    MODEL = "model"
    RUNG = "rung"
    FORCED = "forced"  #: whether the tag was put into the model's mouth; only of items with a result
    TAG = "tag"
    WORKER = "worker"
    REVIEW = "review"
    FLAG = "flag"  #: of the answer, or of the picture


#: What a review makes of an item: a decision, another answer, a star; `none` is neither a decision nor another answer.
REVIEWS = ACCEPTED, REJECTED, EDITED, STARRED, NONE = ("accepted", "rejected", "edited", "starred", "none")
#: Facets of which an item may have several values, each of them a bit of its column.
SEVERAL = {Facet.KIND: tuple(map(str, KINDS)), Facet.REVIEW: REVIEWS, Facet.FLAG: tuple(map(str, Flag))}
#: Facets with one value, or none, that is one of a few words.
FIXED = {
    Facet.STATUS: (PENDING, *map(str, Status)),
    Facet.REASON: tuple(dict.fromkeys([*map(str, Reason), *map(str, KINDS)])),
    Facet.RUNG: tuple(map(str, Rung)),
    Facet.FORCED: ("no", "yes"),
}
#: Facets with one value, or none, that the run's data has brought.
OPEN = (Facet.TOPIC, Facet.QUESTION, Facet.MODEL, Facet.TAG, Facet.WORKER)
#: The words that a facet's values are taken from, where they are known beforehand.
WORDS = SEVERAL | FIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """One value of a facet.

    Attributes:
        items: how many of the view's items have it, this facet itself left out of account.
        is_kept: whether the view keeps only this value, among others perhaps.
        is_left_out: whether the view leaves it out.
    """

    value: str
    items: int
    is_kept: bool = False
    is_left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetCounts:
    """The values of a facet, the most frequent first, then by name.

    Attributes:
        values: the 20 most frequent ones, and those that the view keeps or leaves out.
        others: how many items have other values than these.
    """

    facet: Facet
    values: tuple[ValueCount, ...]
    others: int = 0
