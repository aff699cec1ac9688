"""Run and RunOptions: one submitted data set and its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, NewType, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from persqa.choices import parse_choice, parse_choices
from persqa.complaints import explained, together
from persqa.errors import RecordError, SettingsError
from persqa.flags import ANSWER_FLAGS, Flag
from persqa.model_names import model_name
from persqa.placeholders import placeholder_in, what_is_wrong
from persqa.policies import Policy
from persqa.prompts import SYSTEM_PROMPT
from persqa.records import DEFAULT_LIMITS, Columns, RecordLimits
from persqa.spot_checks import Check, parse_shares
from persqa.stop_rules import Stop, StopRule, parse_stop_rule
from persqa.tags import bracketed
from persqa.words import option

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic_core import ErrorDetails

#: Primary key of `runs`.
RunId = NewType("RunId", int)

_MOST_LETTERS = 100
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_MOST_LETTERS - 1}}}")
#: What no database can hold: NUL, and what is not UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Priority(StrEnum):
    """The order in which workers take the items of runs, the first one first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class RunState(StrEnum):
    """Whether workers begin a run's items."""

    ACTIVE = "active"  #: they are
    PAUSED = "paused"  #: not now; what has begun is finished
    CANCELLED = "cancelled"  #: never again, unless it is resumed; nobody waits for it any longer
    # These two are not stored: they follow from the counts, and a requeue changes them.
    OPEN = "open"  #: each that was added has a result, and more may come
    DONE = "done"  #: each has a result


class Sampling(BaseModel):
    """vLLM's sampling parameters of a run; not the seed, which a repeatable run makes of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.7, ge=0, le=10)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int = Field(default=128, ge=1)
    min_tokens: int | None = Field(default=None, ge=0)
    repetition_penalty: float | None = Field(default=None, gt=0)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: tuple[Annotated[str, AfterValidator(lambda value: _check_storable(value))], ...] | None = None


class RunOptions(BaseModel):
    """The options of a run; all submits of one run must have the same ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tag: Annotated[str, BeforeValidator(lambda value: _tag(value))] = "<mam>"
    tag_policy: Policy = Policy.REPAIR
    pool: str = "human"
    questions_per_image: int = Field(default=1, ge=1, le=100)
    seed: int = Field(default=0, ge=0, lt=2**63)
    repeatable: bool = Field(
        default=False,
        exclude_if=lambda value: not value,
        description="each generation is sampled with a seed of its own, which follows from the run's",
    )
    model: Annotated[str | None, AfterValidator(model_name)] = Field(
        default=None, description="None: whatever model the workers serve"
    )
    sampling: Sampling = Sampling()
    system_prompt: str = SYSTEM_PROMPT
    image_column: str = Field(default="image", min_length=1, description="the field that holds the image references")
    id_column: str | None = Field(default=None, min_length=1, description="the field that names a record for people")
    tag_column: str = Field(
        default="tag", description="the field with a record's own tag; empty where no field has one"
    )
    image_optional: bool = Field(default=False, description="a record without an image is asked without one")
    verbatim: bool = Field(
        default=False,
        description="what a record has in `prompt` is asked as it stands: no question, no tag, no verdict",
    )
    limit: int | None = Field(
        default=None, ge=1, lt=2**63, description="only so many records, from the input's beginning"
    )
    sample: int | None = Field(
        default=None, ge=1, lt=2**63, description="only so many records, at random; the seed says which"
    )
    # Left out where they are not used, so that a run without them is stored as ever.
    reject: Annotated[tuple[Flag, ...], BeforeValidator(lambda value: _rejected(value))] = Field(
        default=(), exclude_if=lambda value: not value, description="flags of answers that break the rule of the run"
    )
    logprobs: bool = Field(
        default=False,
        exclude_if=lambda value: not value,
        description="the log-probabilities of answers are kept: the mean, and the least likely token",
    )
    stop_if: Annotated[
        tuple[Annotated[str, AfterValidator(lambda value: str(parse_stop_rule(value)))], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    ] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="rules such as noncompliant>20%, by which the run pauses itself",
    )

    spot_check: Annotated[Mapping[Check, float] | None, BeforeValidator(lambda value: _shares(value))] = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="shares of the items that are asked once more: without the picture, with another one or seed",
    )

    @cached_property
    def stop_rules(self) -> tuple[StopRule, ...]:
        """The rules of `stop_if`."""
        return tuple(map(parse_stop_rule, self.stop_if))

    @cached_property
    def columns(self) -> Columns:
        """The fields of this run's records."""
        return Columns(image=self.image_column, id=self.id_column, tag=self.tag_column)

    @field_validator("system_prompt", "pool", "model", "image_column", "id_column", "tag_column")
    @classmethod
    def _storable(cls, value: str | None) -> str | None:
        return value if value is None else _check_storable(value)

    @model_validator(mode="after")
    def _options_go_together(self) -> Self:
        if self.image_column in ("conversation", self.tag_column):
            taken = f"the field {self.image_column!r} has a meaning of its own"
            raise ValueError(f"{option('image_column')}: {taken}, and holds no images")
        if self.verbatim and self.questions_per_image != 1:
            raise ValueError("a record has one prompt: with verbatim, questions_per_image must be 1")
        if self.limit is not None and self.sample is not None:
            raise ValueError(f"{option('limit')} and {option('sample')} do not go together: choose one of them")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of `runs`.

    Attributes:
        fingerprint: digest of all records in order; other data needs another name.
        base: the folder where relative image paths start; another folder needs another name.
        items: number of all its items.
        limits: those of its first submit, so that the same records are wrong whenever the rest is written.
        recheck: whether known bad images are tried again.
        key: random; another database has no run with this key.
        broker: the identity of the broker whose queues have its items; None before any is enqueued.
        published_to: the last item that was enqueued at least once; 0 if none was since the run was stopped or resumed.
        state: what people have decided; `Progress` has the state with `done`.
        deleting: whether it is being deleted; such a run is cancelled for good.
        stop: why it has paused itself, until it is resumed.
        open: whether records may still be added; None for a data set, which is whole from the beginning.
        key_field: the field that names its records, where it is or was open; None where their content does.
    """

    id: RunId
    name: str
    options: RunOptions
    pool_digest: str
    fingerprint: str
    base: str
    items: int
    created_at: datetime
    key: str
    limits: RecordLimits = DEFAULT_LIMITS
    broker: str | None = None
    published_to: int = 0
    recheck: bool = False
    priority: Priority = Priority.NORMAL
    state: RunState = RunState.ACTIVE
    deleting: bool = False
    stop: Stop | None = None
    open: bool | None = None
    key_field: str | None = None

    @property
    def grows(self) -> bool:
        """Whether its records were or are added one by one; such a run has a queue of its own."""
        return self.open is not None


def parse_options(**options: object) -> RunOptions:
    """Check a run's options; one that is None counts as not given.

    Raises:
        SettingsError: an option is wrong or unknown; the message has a line for each.
    """
    for name in options:
        parse_choice(name, RunOptions.model_fields, name="option of a run")
    try:
        parsed = RunOptions.model_validate({k: v for k, v in options.items() if v is not None})
    except ValidationError as error:
        raise SettingsError(together("wrong options", [_line(details) for details in error.errors()])) from None
    # Not asked of the options of stored runs, which may be older.
    for name, text in (("tag", parsed.tag), ("system_prompt", parsed.system_prompt)):
        if placeholder := placeholder_in(text):
            raise SettingsError(f"{option(name)}: {what_is_wrong(placeholder)}")
    return parsed


def _line(error: ErrorDetails) -> str:
    """What is wrong, behind the option, and the parameter inside it."""
    sentence = explained(error, names=Sampling.model_fields)
    if not error["loc"]:
        return sentence
    # A place in a list says nothing: the sentence has the value.
    name, *inside = (str(part) for part in error["loc"] if not isinstance(part, int))
    unknown = error["type"] == "extra_forbidden"
    return ": ".join([option(name), *([] if unknown else inside[:1]), sentence])


def parse_priority(value: str) -> Priority:
    """Parse a priority; raises SettingsError for any other value, listing the choices."""
    return parse_choice(value, Priority, name="priority")


def check_run_name(name: str) -> str:
    """Accept a name that is safe in a file name; raises SettingsError for any other."""
    if not _NAME.fullmatch(name):
        allowed = f"up to {_MOST_LETTERS} letters, digits, dots, _ and -, a letter or digit first"
        raise SettingsError(f"{name!r} cannot name a run: use {allowed}")
    return name


def _check_storable(value: str) -> str:
    if _UNSTORABLE.search(value):
        raise ValueError("a NUL character, or what is not UTF-8, cannot be used here")
    return value


def _rejected(value: object) -> object:
    """Flags that are named with commas; those of pictures are none of them, as another answer mends no picture."""
    if not isinstance(value, (str, list, tuple)):
        return value
    names = value if isinstance(value, str) else map(str, cast("list[object]", value))
    try:
        return parse_choices(names, ANSWER_FLAGS, name="flag of answers")
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _shares(value: object) -> object:
    try:
        return parse_shares(value)
    except SettingsError as error:
        raise ValueError(str(error).removeprefix(f"{option('spot_check')}: ")) from None


def _tag(value: object) -> str:
    try:
        return bracketed(value)
    except RecordError as error:
        raise ValueError(str(error)) from None
