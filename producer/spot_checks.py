"""What spot checks say: how often an answer stays the same without its picture, with another one, or with another seed.

Answers to one question are alike in most of their words. So words count by how well they tell the answers to it apart:
those that all of them have count nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from persqa.spot_checks import Check
from persqa.words import counted
from producer.intervals import Share, percent, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persqa.store.spot_checks import CheckedAnswer

#: From here on, answers say the same: half of what tells answers apart is in both.
SAME = 0.5

_WORD = re.compile(r"\w+")
_Words: TypeAlias = frozenset[str]
_Weights: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFigures:
    """What one kind of check came to.

    Attributes:
        asked: how many were answered.
        failed: how many could not be asked, such as with a picture that cannot be read.
        equal: those whose answer has the very same words.
        same: those whose answer says the same, these included.
    """

    asked: int
    failed: int
    equal: Share
    same: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class FromPicture:
    """How much of the answers comes from their pictures, as a part of all that is said, with its interval.

    It is how much oftener an answer stays the same with its picture than without it, or than with another one.
    """

    value: float
    low: float
    high: float
    against: Check

    @property
    def is_seen(self) -> bool:
        """Whether pictures matter at all, by more than chance."""
        return self.low > 0

    def __str__(self) -> str:
        other = "without the picture" if self.against is Check.BLIND else "with another picture"
        if not self.is_seen:
            return f"no sign that the pictures matter: answers {other} stay the same about as often as with it"
        between = f"{percent(self.low)[:-2]} to {percent(self.high)}"
        return f"{percent(self.value)} of the answers come from the picture ({between}), as they change {other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the spot checks of a run say.

    Attributes:
        checks: by kind; those that were not asked are left out.
        from_picture: by `blind` and by `swapped`, where `again` was asked, too.
    """

    checks: dict[Check, CheckFigures]
    from_picture: tuple[FromPicture, ...]


def summary(found: Iterable[CheckedAnswer]) -> Summary:
    """Count the checks of a run, as `store.spot_checks.of` gives them."""
    by_question: defaultdict[str, list[CheckedAnswer]] = defaultdict(list)
    for one in found:
        by_question[one.question].append(one)
    likenesses: defaultdict[Check, list[float | None]] = defaultdict(list)
    equal = Counter[Check]()
    for answered in by_question.values():
        weights = _weights(answered)
        for one in answered:
            if one.checked is None:
                likenesses[one.check].append(None)
                continue
            a, b = _said(one.answer, one.tag), _said(one.checked, one.tag)
            equal[one.check] += a == b
            likenesses[one.check].append(_likeness(frozenset(a), frozenset(b), weights))
    checks = {check: _figures(likenesses[check], equal[check]) for check in Check if check in likenesses}
    return Summary(checks=checks, from_picture=tuple(_from_picture(checks)))


def _figures(likenesses: Sequence[float | None], equal: int) -> CheckFigures:
    asked = [one for one in likenesses if one is not None]
    return CheckFigures(
        asked=len(asked),
        failed=len(likenesses) - len(asked),
        equal=share(equal, len(asked)),
        same=share(sum(one >= SAME for one in asked), len(asked)),
    )


def _from_picture(checks: dict[Check, CheckFigures]) -> Iterable[FromPicture]:
    if (again := checks.get(Check.AGAIN)) is None or not again.asked:
        return
    for check in (Check.BLIND, Check.SWAPPED):
        if (other := checks.get(check)) is None or not other.asked:
            continue
        a, b = again.same, other.same
        value = a.value - b.value
        # Newcombe's interval, made of those of both shares: other items have other checks.
        low = value - math.hypot(a.value - a.low, b.high - b.value)
        high = value + math.hypot(a.high - a.value, b.value - b.low)
        yield FromPicture(value=value, low=max(-1.0, low), high=min(1.0, high), against=check)


def _said(answer: str, tag: str) -> list[str]:
    """The words of an answer, without its tag."""
    return _WORD.findall(answer.replace(tag, " ").casefold() if tag else answer.casefold())


def _weights(answered: Sequence[CheckedAnswer]) -> _Weights:
    """How much each word tells the answers to one question apart: nothing where all of them have it."""
    answers = {one.item_id: frozenset(_said(one.answer, one.tag)) for one in answered}
    having = Counter(word for words in answers.values() for word in words)
    return {word: math.log((len(answers) + 1) / (number + 0.5)) for word, number in having.items()}


def _likeness(a: _Words, b: _Words, weights: _Weights) -> float:
    """How much of what two answers say is the same, from 0 to 1."""
    if a == b:
        return 1.0
    # What no other answer has tells most.
    rare = max(weights.values(), default=1.0)
    either = sum(weights.get(word, rare) for word in a | b)
    return sum(weights[word] for word in a & b) / either if either else 0.0


#: What is said of each kind of check.
OTHERWISE = {
    Check.BLIND: "without the picture",
    Check.SWAPPED: "with another picture",
    Check.AGAIN: "with another seed",
}


def sentences(checked: Summary) -> list[str]:
    """What spot checks say, for people; nothing where there are none."""
    said = [
        f"{OTHERWISE[check]}: {one.same} of {counted(one.asked, 'answer says', 'answers say')} the same "
        f"({one.same.between})" + (f"; {one.failed} could not be asked" if one.failed else "")
        for check, one in checked.checks.items()
    ]
    return [*said, *map(str, checked.from_picture)]
