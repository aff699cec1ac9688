"""Rows for people: an item with its result, and a violation of the tag rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Self

from persqa.choices import parse_choice, parse_choices
from persqa.errors import SettingsError
from persqa.flags import Finding, Flag
from persqa.generations import FinishReason
from persqa.items import ItemId
from persqa.own_code import own_module
from persqa.policies import Rung
from persqa.results import Status
from persqa.reviews import Decision
from persqa.verdicts import Kind
from persqa.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import JsonValue

#: The status of an item without a result.
PENDING: Final = "pending"


def parse_status(value: str) -> Status | Literal["pending"]:
    """Parse a `Status` or `pending`; raises SettingsError for any other value, listing the choices."""
    return parse_choice(value, (*Status, PENDING), name="status")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One item, with its result if it has one.

    Attributes:
        item_id: what commands take as `--item`.
        record: the record as given; one that is no object stands in a field `record`.
        image: its image references, joined by commas.
        record_id: the value of the run's id column in this record, by default of its field `id`, if any.
        finished_at: when the item ended, in UTC; who reviews it says by this which answer they saw.
        review: what somebody decided; `edited_answer`, what somebody wrote instead of the answer; both None if nobody.
        reviewer: who said the last of these, or gave it its star or note.
        flags: what makes it worth a second look, in the order of their names.
        logprob_mean: the mean log-probability of the answer's tokens, as the model gave them; `logprob_min` is that of
            the least likely one, which is `logprob_min_token`. None unless the run asked for them.
    """

    item_id: int
    position: int
    slot: int
    record: dict[str, JsonValue]
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
    finished_at: datetime | None = None
    review: Decision | None = None
    edited_answer: str | None = None
    starred: bool = False
    note: str = ""
    reviewer: str | None = None
    flags: tuple[Finding, ...] = ()
    logprob_mean: float | None = None
    logprob_min: float | None = None
    logprob_min_token: str | None = None

    def _repr_html_(self) -> str:
        # How things look is above what they are, so it is found by name.
        return own_module("producer.notebook").row_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending(PairRow):
    """One item that has ended, of a run that is followed.

    Attributes:
        cursor: what `after` takes, to go on behind this one.
    """

    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRow:
    """One violation; `record_id` as in `PairRow`."""

    item_id: int
    position: int
    question: str
    rung: Rung
    kind: Kind
    text: str
    finish_reason: FinishReason
    model: str
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why items of a run are not `ok`.

    Attributes:
        reason: the code that they share; None where they have none.
        items: how many they are.
        example: the sentence of one of them, if it has one.
    """

    status: Status
    reason: str | None
    items: int
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRow:
    """A result that was taken back so that its item could be asked again.

    Attributes:
        requeues: how often the item had been requeued before.
        finished_at: when the item ended so; `taken_back_at`, when somebody requeued it.
        flags, logprob_mean: as in `PairRow`, and what follows there.
    """

    item_id: int
    status: Status
    reason: str | None
    detail: str | None
    answer: str | None
    rung: Rung | None
    forced: bool
    finish_reason: FinishReason | None
    generations: int
    prompt_tokens: int | None
    output_tokens: int | None
    worker: str | None
    model: str | None
    finished_at: datetime
    requeues: int
    taken_back_at: datetime
    flags: tuple[Finding, ...] = ()
    logprob_mean: float | None = None
    logprob_min: float | None = None
    logprob_min_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Some items of a run; what is None matters not.

    Attributes:
        status: of their results.
        question: their topic, or words of their question.
        items: their numbers.
    """

    status: Status | None = None
    question: str | None = None
    items: tuple[ItemId, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flagged:
    """Some items, by their flags.

    Attributes:
        with_any: they have at least one of these; any item where none is named.
        without: they have none of these.
    """

    with_any: tuple[Flag, ...] = ()
    without: tuple[Flag, ...] = ()

    @classmethod
    def parse(cls, with_any: str | Iterable[str] | None, without: str | Iterable[str] | None) -> Self | None:
        """Flags by their names, with commas or one by one; None where none is named.

        Raises:
            SettingsError: there is no such flag; the message has those that there are. Or no item can be so.
        """
        chosen = cls(
            with_any=parse_choices(with_any or (), Flag, name="flag"),
            without=parse_choices(without or (), Flag, name="flag"),
        )
        if chosen.with_any and set(chosen.with_any) <= set(chosen.without):
            named = listed(chosen.with_any, "and")
            raise SettingsError(f"{named}: wanted and left out at once, so no item is chosen; say only one of the two")
        return None if chosen == cls() else chosen

    def against(self, findings: Sequence[Finding]) -> tuple[str, ...]:
        """Why an item with these is none of them, in a few words each; empty where it is one."""
        found = {finding.flag for finding in findings}
        if self.with_any and found.isdisjoint(self.with_any):
            return (f"no {' or '.join(self.with_any)}",)
        return tuple(flag for flag in self.without if flag in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """What a requeue did with the items that were chosen.

    Attributes:
        taken_back: their results are earlier results now, and they are pending again.
        wrong: their records are wrong in themselves, so they stay `invalid`.
        pending: they had no result.
    """

    taken_back: int
    wrong: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The rung and kind of a violation."""

    rung: Rung
    kind: Kind
