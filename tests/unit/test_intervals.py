"""Intervals and tests, against published values, exact sums and what must hold for any counts."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.intervals import FEWEST_TO_TELL, by_chance, by_chance_in_groups, often, percent, share, verdict


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(part: int, whole: int, low: float, high: float) -> None:
    found = share(part, whole)

    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(0, 10**7).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_the_interval_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    part, whole = counts
    found, mirrored = share(part, whole), share(whole - part, whole)

    assert 0 <= found.low <= found.high <= 1
    assert found.low <= found.value <= found.high or whole == 0
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(2, 50))
def test_more_of_the_same_narrows_the_interval(part: int, rest: int, times: int) -> None:
    few, many = share(part, part + rest), share(part * times, (part + rest) * times)

    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(("part", "whole"), [(-1, 3), (4, 3)])
def test_what_is_no_part_is_refused(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="no part"):
        share(part, whole)


@pytest.mark.parametrize(
    ("one", "other", "chance"),
    [
        # Sums of a row of Pascal's triangle, which anyone can add up.
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (9, 1, 2 * 11 / 1024),
        # The example of Agresti, Categorical Data Analysis, of ratings before and after: 150 and 86.
        (150, 86, 0.0000374),
    ],
)
def test_the_chance_is_the_known_one(one: int, other: int, chance: float) -> None:
    assert by_chance(one, other) == pytest.approx(chance, rel=0.01)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_chance_is_the_exact_sum(one: int, other: int) -> None:
    total = one + other
    tail = Fraction(sum(comb(total, place) for place in range(min(one, other) + 1)), 2**total)

    assert by_chance(one, other) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)
    assert by_chance(one, other) == by_chance(other, one)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_chance_is_one_at_any_size(one: int, other: int) -> None:
    assert 0 <= by_chance(one, other) <= 1


@given(st.integers(30, 5000), st.integers(30, 5000))
def test_groups_of_one_item_each_are_as_good_as_items(one: int, other: int) -> None:
    alone, grouped = by_chance(one, other), by_chance_in_groups(one - other, one + other)

    assert grouped == pytest.approx(alone, rel=0.25, abs=0.02)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=200))
def test_items_in_groups_tell_less_than_as_many_alone(more: list[int]) -> None:
    total, alone = sum(more), sum(map(abs, more))

    assert by_chance_in_groups(total, sum(one * one for one in more)) >= by_chance_in_groups(total, alone) - 1e-12


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (
            80,
            120,
            "B keeps the rule more often: 120 items only in B, 80 only in A; "
            "a difference as large comes by chance in about 1 of 180 such comparisons.",
        ),
        (
            9000,
            10,
            "A keeps the rule more often: 9,000 items only in A, 10 only in B; "
            "a difference as large comes by chance in less than 1 of 1,000,000 such comparisons.",
        ),
        (5, 0, "Too few to tell: 5 items only in A, 0 only in B."),
        (
            12,
            9,
            "Too close to tell: 12 items only in A, 9 only in B; a difference as large comes by chance "
            "in about 7 of 10 such comparisons, so it may well be none.",
        ),
        (7, 7, "Neither keeps the rule more often."),
    ],
)
def test_a_person_understands_the_verdict(a: int, b: int, said: str) -> None:
    assert verdict(a, b) == said


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_the_verdict_is_the_same_from_both_sides(a: int, b: int) -> None:
    swapped = verdict(b, a).translate(str.maketrans("AB", "BA"))

    assert verdict(a, b) == swapped


def test_so_few_can_tell_at_all() -> None:
    assert by_chance(FEWEST_TO_TELL, 0) < 0.05 < by_chance(FEWEST_TO_TELL - 1, 0)


@given(st.floats(0, 1))
def test_a_percentage_is_never_rounded_to_all_or_nothing(value: float) -> None:
    assert (percent(value) == "0.0 %") == (value == 0)
    assert (percent(value) == "100.0 %") == (value == 1)


@pytest.mark.parametrize(
    ("chance", "said"),
    [(1.0, "nearly all"), (0.4, "about 4 of 10"), (0.05, "about 1 of 20"), (1 / 1234, "about 1 of 1,200")],
)
def test_a_chance_is_a_count(chance: float, said: str) -> None:
    assert often(chance) == said
