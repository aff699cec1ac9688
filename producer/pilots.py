"""Figures of a pilot: what its variants come to, what differs by more than chance, and what the whole would cost.

Only counting: whoever asks for figures has asked the questions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import chain, combinations
from statistics import median
from typing import TYPE_CHECKING

from persqa.results import Status
from producer.intervals import DOUBTFUL, FEWEST_TO_TELL, Share, by_chance, by_chance_in_groups, often, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from persqa.store.measured import MeasuredItem

_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one variant comes to.

    Attributes:
        items: items that have ended.
        ok: the answers that keep the tag rule, of those that were judged.
        first: those that kept it at the first generation.
        unusable: items without an answer: `invalid` or `dead`.
        flags: the answers with each flag, of all answers.
        good: items that are `ok` and have no flag.
        characters: length of the answers: the middle one, and those that a tenth is shorter and longer than.
        tokens: written for each item, also for answers that broke the rule.
        seconds: time for which anything was being asked.
    """

    items: int
    ok: Share
    first: Share
    unusable: int
    flags: dict[str, Share]
    good: int
    characters: tuple[int, int, int] | None
    tokens: float
    seconds: float

    def flag(self, name: str) -> Share:
        """The answers with this flag, which may be none."""
        return self.flags.get(name) or share(0, self.ok.whole)

    @property
    def seconds_each(self) -> float:
        """Seconds an item, with all others beside it."""
        return self.seconds / self.items if self.items else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the whole input comes to, at the speed of the pilot.

    Attributes:
        seconds: for all of it.
        price: of that time; None where no price is named.
        good_price: of one good pair; None where no price is named, or nothing is good.
    """

    seconds: float
    price: float | None
    good_price: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two variants and one thing that both could have.

    Attributes:
        more: the number of the variant that has it more often; `less`, of the other one.
        what: `ok`, `first`, `longer`, or a flag.
        only_more: items of which only the one has it; `only_less`, only the other.
        shares: how often both have it; None for `longer`.
        chance: how likely chance alone makes such a difference.
        corrected: the same, with all comparisons that were made at once taken into account.
    """

    more: int
    less: int
    what: str
    only_more: int
    only_less: int
    shares: tuple[Share, Share] | None
    chance: float
    corrected: float

    @property
    def is_real(self) -> bool:
        """Whether it is more than chance makes."""
        return self.corrected <= DOUBTFUL

    def __str__(self) -> str:
        counts = f"{self.only_more} items only in {self.more}, {self.only_less} only in {self.less}"
        if self.shares is None:
            said = f"{self.more} gives longer answers than {self.less}"
            counts = f"{self.only_more} items longer in {self.more}, {self.only_less} in {self.less}"
        else:
            high, low = self.shares
            said = f"{self.more} {_MORE.get(self.what, f'has {self.what} more often')} than {self.less}: {high}, {low}"
        return f"{said} ({counts}; by chance {often(self.corrected)})"


_MORE = {"ok": "keeps the tag rule more often", "first": "keeps the tag rule at once more often"}


def figures_of(found: Sequence[MeasuredItem]) -> Figures:
    """Count the items of one variant."""
    judged = [one for one in found if _is_judged(one)]
    flagged = Counter(flag for one in judged for flag in one.flags)
    lengths = sorted(len(one.answer) for one in judged if one.answer)
    return Figures(
        items=len(found),
        ok=share(sum(map(_is_ok, judged)), len(judged)),
        first=share(sum(one.first for one in judged), len(judged)),
        unusable=len(found) - len(judged),
        flags={flag: share(number, len(judged)) for flag, number in flagged.most_common()},
        good=sum(_is_good(one) for one in judged),
        characters=_spread(lengths) if lengths else None,
        tokens=sum(one.tokens for one in found) / len(found) if found else 0.0,
        seconds=busy_seconds((one.begun, one.finished) for one in found if one.begun is not None),
    )


def cost_of(figures: Figures, *, times: float, price_per_hour: float | None) -> Cost:
    """The whole input's time and cost, which is so many times as large as what was asked."""
    price = None if price_per_hour is None else figures.seconds / _HOUR * price_per_hour
    return Cost(
        seconds=figures.seconds * times,
        price=None if price is None else price * times,
        good_price=None if price is None or not figures.good else price / figures.good,
    )


def busy_seconds(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """How long at least one of these spans lasted: pauses between them, as of an interrupted run, do not count."""
    total, until = 0.0, None
    for begun, finished in sorted(spans):
        if until is None or begun > until:
            total += (finished - begun).total_seconds()
            until = finished
        elif finished > until:
            total += (finished - until).total_seconds()
            until = finished
    return total


def differences(variants: Mapping[int, Sequence[MeasuredItem]]) -> list[Difference]:
    """Compare each two variants, item by item; the clearest difference first.

    Left out is what cannot be told apart: fewer than six items that differ could all be chance.
    """
    found = [one for pair in combinations(variants, 2) for one in _compared(variants, *pair)]
    found.sort(key=lambda one: one.chance)
    corrected: list[Difference] = []
    least = 0.0
    for place, one in enumerate(found):
        # Holm's correction: of so many comparisons the best is as likely by chance as one is so many times.
        least = max(least, min(1.0, one.chance * (len(found) - place)))
        corrected.append(replace(one, corrected=least))
    return corrected


def _compared(variants: Mapping[int, Sequence[MeasuredItem]], a: int, b: int) -> Iterable[Difference]:
    other = {one.place: one for one in variants[b]}
    pairs = [(one, other[one.place]) for one in variants[a] if one.place in other]
    judged = [(one, two) for one, two in pairs if _is_judged(one) and _is_judged(two)]
    names = sorted({flag for pair in judged for one in pair for flag in one.flags})
    measures: dict[str, Callable[[MeasuredItem], bool]] = {
        "ok": _is_ok,
        # Where nothing was asked twice, it is the same.
        **({"first": lambda one: one.first} if any(_is_ok(one) is not one.first for one in chain(*judged)) else {}),
        **{name: (lambda one, name=name: name in one.flags) for name in names},
    }
    for what, has in measures.items():
        signs = [(one.place[0], has(one) - has(two)) for one, two in judged]
        counts = (sum(has(pair[side]) for pair in judged) for side in (0, 1))
        high, low = (share(number, len(judged)) for number in counts)
        if (made := _difference(a, b, what, signs, (high, low))) is not None:
            yield made
    signs = [(one.place[0], _sign(len(one.answer or "") - len(two.answer or ""))) for one, two in judged]
    if (made := _difference(a, b, "longer", signs, None)) is not None:
        yield made


def _difference(
    a: int, b: int, what: str, signs: Sequence[tuple[int, int]], shares: tuple[Share, Share] | None
) -> Difference | None:
    """What the items say of two variants, each with its record and with 1 where only the first one has it."""
    only_a, only_b = (sum(sign == wanted for _, sign in signs) for wanted in (1, -1))
    if only_a + only_b < FEWEST_TO_TELL:
        return None
    chance = _chance(signs, only_a, only_b)
    swap = only_b > only_a
    return Difference(
        more=b if swap else a,
        less=a if swap else b,
        what=what,
        only_more=max(only_a, only_b),
        only_less=min(only_a, only_b),
        shares=(shares[1], shares[0]) if swap and shares else shares,
        chance=chance,
        corrected=chance,
    )


def _chance(signs: Sequence[tuple[int, int]], only_a: int, only_b: int) -> float:
    sums: defaultdict[int, int] = defaultdict(int)
    for record, sign in signs:
        sums[record] += sign
    if len(sums) == len(signs):
        return by_chance(only_a, only_b)
    # Questions about one picture are alike, so each record counts as one.
    return by_chance_in_groups(sum(sums.values()), sum(number * number for number in sums.values()))


def _is_judged(one: MeasuredItem) -> bool:
    return one.status in (Status.OK, Status.NONCOMPLIANT)


def _is_ok(one: MeasuredItem) -> bool:
    return one.status is Status.OK


def _is_good(one: MeasuredItem) -> bool:
    return _is_ok(one) and not one.flags


def _spread(lengths: Sequence[int]) -> tuple[int, int, int]:
    tenth = len(lengths) // 10
    return round(median(lengths)), lengths[tenth], lengths[-1 - tenth]


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
