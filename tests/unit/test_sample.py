"""Which items of a run are shown."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from persqa.items import ItemId
from producer.sample import draw_items, shares

_STATUSES = ("ok", "noncompliant", "invalid", "dead", "pending")
_wholes = st.dictionaries(st.sampled_from(_STATUSES), st.integers(1, 40))
_numbers = st.integers(1, 80)


def _found(whole: dict[str, int]) -> list[tuple[ItemId, str]]:
    statuses = [status for status, number in whole.items() for _ in range(number)]
    return [(ItemId(place), status) for place, status in enumerate(statuses)]


@given(_wholes, _numbers, st.integers(0, 2**63))
def test_as_many_are_drawn_as_were_asked_for_each_once_and_in_order(
    whole: dict[str, int], number: int, seed: int
) -> None:
    found = _found(whole)
    sample = draw_items(found, number, seed=seed)
    assert len(sample.items) == min(number, len(found))
    assert list(sample.items) == sorted(set(sample.items))
    statuses = dict(found)
    assert Counter(statuses[item] for item in sample.items) == Counter(sample.drawn)
    assert sample.whole == whole
    assert sample.is_whole == (number >= len(found))
    assert draw_items(reversed(found), number, seed=seed).items == sample.items


@given(_wholes, _numbers)
def test_what_is_rare_has_its_share_and_what_is_frequent_half_of_its_own(whole: dict[str, int], number: int) -> None:
    drawn, total = shares(whole, number), sum(whole.values())
    for status, items in whole.items():
        assert drawn[status] >= min(items, (number - number // 2) // len(whole))
        assert drawn[status] >= number // 2 * items // total if number <= total else drawn[status] == items


def test_another_seed_draws_other_items_and_every_item_has_its_chance() -> None:
    found = _found({"ok": 200})
    times = Counter(item for seed in range(300) for item in draw_items(found, 20, seed=seed).items)
    # Each is drawn 30 times on average; a heap that is the wrong way round would always draw the same.
    assert len(times) == 200
    assert max(times.values()) < 70


def test_a_few_failures_of_many_items_are_among_those_drawn() -> None:
    sample = draw_items(_found({"ok": 9_500, "noncompliant": 400, "invalid": 80, "dead": 20}), 200, seed=0)
    assert sample.drawn == {"ok": 95, "noncompliant": 42, "invalid": 43, "dead": 20}
