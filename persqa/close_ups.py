"""Close-ups: what people see of an item on a tile, beside another item, and alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from persqa.generations import FinishReason
from persqa.items import ItemId
from persqa.policies import Rung
from persqa.results import Status
from persqa.tags import Tag
from persqa.verdicts import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An item in a grid.

    Attributes:
        images: how many it has.
        status: None while it is pending.
        answer: its beginning; `is_whole` says whether that is all.
    """

    item_id: ItemId
    images: int
    tag: Tag
    question: str
    status: Status | None
    reason: str | None
    detail: str | None
    answer: str | None
    is_whole: bool
    forced: bool
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """An item beside another one: of the same record, or with the same image; `status` and `answer` as in `Tile`."""

    item_id: ItemId
    position: int
    tag: Tag
    question: str
    status: Status | None
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRow:
    """One generation of an item; `kind` is None where it keeps the tag rule."""

    rung: Rung
    kind: Kind | None
    text: str
    finish_reason: FinishReason | None
    seed: int | None
    prompt_tokens: int | None
    output_tokens: int | None
    worker: str | None
    model: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseUp:
    """One item with its result, and the generations that broke the rule.

    Attributes:
        record: as given, as JSON.
        requeues: how often a person asked it again.
        recoveries: how often the queue lost it.
        status: None while it is pending; so is what else belongs to its result.
        image_seconds: time to load its images; `engine_seconds` that of all generations.
        logprob_mean: as in `PairRow`, and what follows there.
        broken: the oldest first, also those of results that were taken back.
    """

    item_id: ItemId
    position: int
    slot: int
    record: str
    images: tuple[str, ...]
    tag: Tag
    topic: str
    question: str
    requeues: int
    recoveries: int
    status: Status | None
    reason: str | None
    detail: str | None
    answer: str | None
    rung: Rung | None
    forced: bool
    finish_reason: FinishReason | None
    generations: int | None
    prompt_tokens: int | None
    output_tokens: int | None
    image_seconds: float | None
    engine_seconds: float | None
    worker: str | None
    model: str | None
    finished_at: datetime | None
    logprob_mean: float | None
    logprob_min: float | None
    logprob_min_token: str | None
    broken: tuple[GenerationRow, ...] = ()
