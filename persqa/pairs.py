"""Rows as people see them: an item with its result, and a generation that broke the tag rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from persqa.choices import parse_choice
from persqa.generations import FinishReason
from persqa.policies import Rung
from persqa.results import Status
from persqa.verdicts import ViolationKind

#: Stands for "no result yet" where a status is asked for.
PENDING: Final = "pending"


def parse_status(value: str) -> Status | Literal["pending"]:
    """Read what the status of a row may be: a `Status`, or `pending`.

    Raises:
        SettingsError: there is none of this name; the message lists those that there are.
    """
    return parse_choice(value, (*Status, PENDING), name="status")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One item as people see it, with its result if it has one.

    Attributes:
        record: the record as given, as JSON.
        image: its image references, joined by commas.
        status: how it ended, or `PENDING`.
        record_id: what the run's id column says in this record; None where there is none.
    """

    item_id: int
    position: int
    slot: int
    record: str
    image: str
    tag: str
    topic: str
    question: str
    status: Status | Literal["pending"]
    reason: str | None
    detail: str | None
    answer: str | None
    rung: Rung | None
    forced: bool | None
    generations: int | None
    prompt_tokens: int | None
    output_tokens: int | None
    worker: str | None
    model: str | None
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRow:
    """One broken generation as people see it; `record_id` as in `PairRow`."""

    item_id: int
    position: int
    question: str
    rung: Rung
    kind: ViolationKind
    text: str
    finish_reason: FinishReason
    model: str
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """In short: on which rung a generation broke the tag rule, and how."""

    rung: Rung
    kind: ViolationKind
