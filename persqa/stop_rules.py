"""Stop rules: when a run pauses itself, as too much of it goes wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from persqa.flags import Flag
from persqa.reasons import Reason
from persqa.shares import Share, percent, share
from persqa.verdicts import ViolationKind
from persqa.words import in_percent, no_such

#: Fewer items than these tell nothing yet.
FEWEST_ITEMS = 100
_FORM = re.compile(r"\s*([a-z_]+)\s*>\s*(\d{1,3}(?:\.\d{1,6})?)\s*(%?)\s*")
#: Statuses of items; as words, since they are above this.
_NONCOMPLIANT, _STATUSES = "noncompliant", ("noncompliant", "invalid", "dead")
_KINDS, _FLAGS = frozenset(ViolationKind), frozenset(Flag)


@dataclass(frozen=True, slots=True)
class StopRule:
    """One rule, such as `noncompliant>20%`.

    Attributes:
        about: a status, a reason, a kind of violation, or a flag.
        limit: in percent.
    """

    about: str
    limit: float

    def __str__(self) -> str:
        return f"{self.about}>{self.limit:g}%"

    @property
    def of_answers(self) -> bool:
        """Whether it counts among answers, those of `ok` and `noncompliant` items, and not among all that ended."""
        return self.about == _NONCOMPLIANT or self.about in _KINDS or self.is_flag

    @property
    def is_flag(self) -> bool:
        """Whether it is about a flag."""
        return self.about in _FLAGS

    @property
    def statuses(self) -> tuple[str, ...]:
        """Which statuses the items have that it is about; none where it is about a flag."""
        if self.is_flag:
            return ()
        if self.about in _STATUSES:
            return (self.about,)
        return (_NONCOMPLIANT,) if self.about in _KINDS else ("invalid", "dead")

    @property
    def reason(self) -> str | None:
        """What stands in `results.reason` of the items that it is about; None where their status or a flag says all."""
        return None if self.is_flag or self.about in _STATUSES else self.about

    def broken_by(self, part: int, whole: int) -> Share | None:
        """The share, if by all that chance can do it is above the limit, and there are enough items to tell."""
        if whole < FEWEST_ITEMS:
            return None
        found = share(min(max(part, 0), whole), whole)
        return found if 100 * found.low > self.limit else None


class Stop(BaseModel):
    """A run has paused itself: by which rule, and what was counted then, since the beginning or the last resume."""

    model_config = ConfigDict(frozen=True)

    rule: str
    part: int
    whole: int
    low: float
    high: float
    at: datetime

    @classmethod
    def by(cls, rule: StopRule, found: Share, at: datetime) -> Self:
        """The stop by this rule."""
        return cls(rule=str(rule), part=found.part, whole=found.whole, low=found.low, high=found.high, at=at)

    @property
    def parsed(self) -> StopRule:
        """The rule itself."""
        return parse_stop_rule(self.rule)

    def __str__(self) -> str:
        rule = self.parsed
        among = "answers" if rule.of_answers else "items that have ended"
        found = Share(self.part, self.whole, self.low, self.high)
        counts = f"{self.part:,} of {self.whole:,} {among} are {rule.about} ({percent(found.value)}"
        return f"it paused itself by its rule {rule}: {counts}; 19 times out of 20 from {found.between})"


class Stopped(BaseModel):
    """What is stored of a run's stops.

    Attributes:
        stop: why it is paused now, if it has paused itself.
        since: what each rule had counted, part and whole, when a person let the run go on after it.
    """

    model_config = ConfigDict(frozen=True)

    stop: Stop | None = None
    since: dict[str, tuple[int, int]] = {}

    @classmethod
    def stored(cls, text: str | None) -> Self:
        """What `runs.stopped` says; null as long as no rule has ever stopped the run."""
        return cls() if text is None else cls.model_validate_json(text)


def parse_stop_rule(text: str) -> StopRule:
    """Parse one rule.

    Raises:
        ValueError: it is none; the message says how one is written, or what there is instead.
    """
    matched = _FORM.fullmatch(text)
    if matched is None or not 0 <= (limit := float(matched[2])) < 100:
        raise ValueError(f"{text!r} is no rule: write what is counted and a limit below 100 %, as in noncompliant>20%")
    if not matched[3]:
        raise ValueError(f"{text!r} lacks the %: write {matched[1]}>{in_percent(matched[2])}")
    known = [*_STATUSES, *ViolationKind, *Reason, *Flag]
    if matched[1] not in known:
        raise ValueError(no_such("status, reason, kind of violation or flag", matched[1], known))
    return StopRule(matched[1], limit)
