"""Tallies: what a view's items come to, counted in numpy: one pass over a column, or one sort of it, for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from persqa.policies import Rung
from persqa.results import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy.typing as npt

    Numbers = npt.NDArray[Any]

#: How an answer came to keep the rule or not, as codes; 0 is of items without an answer that was judged.
FIRST: Final = 1
REPAIRED: Final = 2
FORCED: Final = 3
BROKEN: Final = 4
_WAYS: Final = 5
_BY_RUNG: Final = {Rung.FREE: FIRST, Rung.RESEED: REPAIRED, Rung.PREFILL: FORCED}
#: The low bits of a key of answers, in which its group stands, and those of a key of pictures.
_GROUP_BITS: Final = 16
_ANSWER_BITS: Final = 10


class Kept(NamedTuple):
    """How many answers keep the rule, and how they came to.

    Attributes:
        first: the model wrote the tag by itself, when it was asked first.
        repaired: it did when it was asked once more.
        forced: the tag was written for it, so this says nothing of the model.
        broken: the answer breaks the rule.
    """

    first: int = 0
    repaired: int = 0
    forced: int = 0
    broken: int = 0

    @property
    def judged(self) -> int:
        """All answers that were judged."""
        return sum(self)

    @property
    def ok(self) -> int:
        """All that keep the rule in the end."""
        return self.judged - self.broken


@dataclass(frozen=True, slots=True)
class Spread:
    """How large the values of some items are.

    Attributes:
        edges: of the bins; each bin holds its lower edge and not its upper one.
        counts: the items in each bin.
        median: half of the items are below.
        most: 95 of 100 are below.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float
    most: float

    @property
    def items(self) -> int:
        """All items that have a value."""
        return sum(self.counts)


class Frequent(NamedTuple):
    """An answer that several items have.

    Attributes:
        group: the code of their question.
        place: of one of these items, among those that were given.
        items: how many have it.
        pictures: how many different pictures they are about.
    """

    group: int
    place: int
    items: int
    pictures: int


def ways(status: Numbers, rung: Numbers, statuses: Sequence[str], rungs: Sequence[str]) -> npt.NDArray[np.uint8]:
    """How each item came to keep the rule or not; the last two say what the codes of the columns mean."""
    table = np.zeros((256, 256), np.uint8)
    if Status.OK in statuses:
        for name, way in _BY_RUNG.items():
            if name in rungs:
                table[statuses.index(Status.OK), rungs.index(name)] = way
    if Status.NONCOMPLIANT in statuses:
        table[statuses.index(Status.NONCOMPLIANT), :] = BROKEN
    return table[status, rung]


def kept_by(group: Numbers, way: Numbers) -> dict[int, Kept]:
    """What each group keeps, by the code of the group; those of which nothing was judged are left out."""
    counts = np.bincount(group.astype(np.int64) * _WAYS + way)
    counts.resize(-(-len(counts) // _WAYS) * _WAYS)
    table = counts.reshape(-1, _WAYS)
    judged = np.flatnonzero(table[:, 1:].any(axis=1))
    return {int(code): Kept(*table[code, 1:].tolist()) for code in judged}


def bits(column: Numbers) -> list[int]:
    """How many items have each bit of a column, up to the highest that any has."""
    counts = np.bincount(column, minlength=1)
    # Of many bits there are many codes, most of which no item has.
    codes = np.flatnonzero(counts)
    return [int(counts[codes[(codes >> bit) & 1 == 1]].sum()) for bit in range((len(counts) - 1).bit_length())]


def ordered(values: Numbers) -> Numbers:
    """The values that there are, the smallest first: what `spread` counts in."""
    found = np.sort(values)
    # What is no number comes last.
    return found[: np.searchsorted(found, np.inf, side="right")]


def quantile(values: Numbers, part: float) -> float:
    """The value of ordered ones below which this part of them lies; 0 of none."""
    return float(values[min(len(values) - 1, int(part * len(values)))]) if len(values) else 0.0


def spread(values: Numbers, edges: Sequence[float]) -> Spread:
    """Count ordered values in bins; what is below the first edge or from the last one on is counted in neither."""
    places = np.searchsorted(values, np.asarray(edges, values.dtype))
    return Spread(
        edges=tuple(edges),
        counts=tuple(np.diff(places).tolist()),
        median=quantile(values, 0.5),
        most=quantile(values, 0.95),
    )


def over_time(moments: Numbers, step: float) -> tuple[float, list[int]]:
    """The items in each step of time, in seconds: when the first step begins, and the counts from there on."""
    known = moments[moments > 0]
    if not len(known):
        return 0.0, []
    begin = float(known.min()) // step * step
    return begin, np.bincount(((known - begin) / step).astype(np.int64)).tolist()


def frequent(group: Numbers, answer: Numbers, picture: Numbers, *, each: int, groups: int) -> list[Frequent]:
    """The answers that most items share, group by group; those that only one has are left out.

    Args:
        group: the code of each item's question.
        answer: a key of 64 bits of each item's answer; 0 where there is none.
        picture: a key of 64 bits of what the item shows.
        each: most answers of a group.
        groups: most groups, the largest ones.
    """
    low = (1 << _GROUP_BITS) - 1
    # One sort brings the same answers to the same question together: 48 bits are enough to tell them apart.
    mixed = np.where(answer != 0, (answer & ~low) | group, 0)
    keys, counts = np.unique(mixed, return_counts=True)
    shared = (counts > 1) & (keys != 0)
    keys, counts = keys[shared], counts[shared]
    chosen = _most(keys, counts, keys & low, each=each, groups=_largest(group[answer != 0], groups))
    if not len(chosen):
        return []
    numbers = dict(zip(keys[chosen].tolist(), counts[chosen].tolist(), strict=True))
    tops = np.sort(keys[chosen])
    places, which = _places(mixed, tops)
    pictures = _distinct(picture[places], which, len(tops))
    firsts = places[np.unique(which, return_index=True)[1]]
    found = [
        Frequent(int(key) & low, int(first), numbers[int(key)], shows)
        for key, first, shows in zip(tops, firsts, pictures, strict=True)
    ]
    return sorted(found, key=lambda one: (one.group, -one.items, one.place))


def _largest(group: Numbers, most: int) -> list[int]:
    counts = np.bincount(group)
    return [int(code) for code in np.argsort(-counts, kind="stable")[:most] if counts[code]]


def _most(keys: Numbers, counts: Numbers, group: Numbers, *, each: int, groups: Sequence[int]) -> npt.NDArray[np.int64]:
    """The places of the keys that count most, so many of each of these groups."""
    found: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for code in groups:
        places = np.flatnonzero(group == code)
        found.append(places[np.lexsort((keys[places], -counts[places]))[:each]])
    return np.concatenate(found)


def _places(mixed: Numbers, tops: Numbers) -> tuple[Numbers, Numbers]:
    """Where there is one of a few ordered keys, and which one."""
    # Most keys are none of them, as a small table says at once.
    flags = np.zeros(1 << 16, np.bool_)
    flags[_folded(tops)] = True
    candidates = np.flatnonzero(flags[_folded(mixed)])
    nearest = np.minimum(np.searchsorted(tops, mixed[candidates]), len(tops) - 1)
    right = tops[nearest] == mixed[candidates]
    return candidates[right], nearest[right]


def _folded(keys: Numbers) -> Numbers:
    return ((keys >> 24) ^ (keys << 3)) & 0xFFFF


def _distinct(picture: Numbers, which: Numbers, number: int) -> list[int]:
    """How many different pictures each of so many answers has."""
    low = (1 << _ANSWER_BITS) - 1
    pairs = np.sort((picture & ~low) | which)
    first = np.ones(len(pairs), np.bool_)
    first[1:] = pairs[1:] != pairs[:-1]
    return np.bincount(pairs[first] & low, minlength=number).tolist()
