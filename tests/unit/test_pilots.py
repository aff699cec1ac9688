"""Figures of a pilot, from items whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.results import Status
from persqa.store.measured import MeasuredItem
from producer.cli.pilot import _parse_vary, _time
from producer.pilots import busy_seconds, cost_of, differences, figures_of

_START = datetime(2030, 1, 1, tzinfo=UTC)


def an_answer(
    place: int,
    status: Status = Status.OK,
    *,
    slot: int = 0,
    first: bool = True,
    answer: str = "<mam> smiles.",
    **more: object,
) -> MeasuredItem:
    fields: dict[str, object] = {"tokens": 4, "begun": _START, "finished": _START + timedelta(seconds=1), **more}
    return MeasuredItem(place=(place, slot), status=status, first=first, answer=answer, **fields)  # pyrefly: ignore[bad-argument-type]


def seconds(*spans: tuple[float, float]) -> float:
    return busy_seconds((_START + timedelta(seconds=one), _START + timedelta(seconds=two)) for one, two in spans)


def test_time_counts_once_however_many_are_asked_and_not_while_nothing_is() -> None:
    assert seconds() == 0
    assert seconds((0, 4), (1, 2), (3, 6), (6, 7)) == 7
    # The run was interrupted for a day.
    assert seconds((86_400, 86_402), (0, 3)) == 5


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=20))
def test_time_is_the_length_of_what_the_spans_cover(spans: list[tuple[int, int]]) -> None:
    covered = {second for begun, long in spans for second in range(begun, begun + long)}

    assert seconds(*((begun, begun + long) for begun, long in spans)) == len(covered)


def test_figures_count_what_was_judged_and_only_that() -> None:
    found = [
        an_answer(0),
        an_answer(1, first=False, tokens=12, flags=frozenset({"hedge"})),
        an_answer(2, Status.NONCOMPLIANT, first=False, answer="No.", flags=frozenset({"hedge", "refusal"})),
        an_answer(3, Status.INVALID, first=False, answer="", tokens=0, begun=None),
    ]
    figures = figures_of(found)

    assert (figures.items, figures.unusable, figures.good) == (4, 1, 1)
    assert (figures.ok.part, figures.ok.whole, figures.first.part) == (2, 3, 1)
    assert {flag: one.part for flag, one in figures.flags.items()} == {"hedge": 2, "refusal": 1}
    assert (figures.flag("hedge").whole, figures.flag("blank").part) == (3, 0)
    assert figures.characters == (13, 3, 13)
    assert (figures.tokens, figures.seconds, figures.seconds_each) == (5.0, 1.0, 0.25)

    cost = cost_of(figures, times=1000, price_per_hour=3.6)
    assert cost.seconds == 1000
    assert (cost.price, cost.good_price) == (pytest.approx(1.0), pytest.approx(0.001))
    assert cost_of(figures, times=1000, price_per_hour=None).price is None
    nothing = figures_of([])
    assert (nothing.seconds_each, nothing.characters) == (0.0, None)
    assert cost_of(nothing, times=1, price_per_hour=1).good_price is None


def test_what_differs_is_found_among_what_does_not() -> None:
    good = [an_answer(place) for place in range(100)]
    bad = [
        an_answer(
            place,
            Status.OK if place % 2 else Status.NONCOMPLIANT,
            first=bool(place % 2),
            flags=frozenset({"meta"} if place < 3 else ()),
        )
        for place in range(100)
    ]
    found = differences({1: bad, 2: good})

    # Both ways to keep the rule say the same here, and three answers with a flag tell nothing.
    assert [(one.what, one.more, one.less, one.only_more, one.only_less) for one in found] == [("ok", 2, 1, 50, 0)]
    assert found[0].is_real
    assert found[0].shares is not None
    assert (str(found[0].shares[0]), str(found[0].shares[1])) == ("100.0 %", "50.0 %")
    assert str(found[0]).startswith("2 keeps the tag rule more often than 1: 100.0 %, 50.0 % (50 items only in 2, 0")


def test_answers_about_one_picture_are_not_so_many_witnesses() -> None:
    # Eight pictures, of which one has each of its 20 questions answered better.
    one = [an_answer(place, slot=slot) for place in range(8) for slot in range(20)]
    other = [an_answer(a.place[0], Status.NONCOMPLIANT if a.place[0] == 3 else Status.OK, slot=a.place[1]) for a in one]

    assert not [found for found in differences({1: one, 2: other}) if found.what == "ok" and found.is_real]


def test_many_comparisons_of_the_same_seldom_find_anything() -> None:
    chance = Random(7)
    wrong = 0
    for _ in range(40):
        same = {
            number: [an_answer(place, chance.choice([Status.OK, Status.NONCOMPLIANT])) for place in range(60)]
            for number in range(1, 5)
        }
        found = differences(same)
        assert len(found) >= 6
        assert all(one.corrected >= one.chance for one in found)
        wrong += any(one.is_real for one in found)
    # Without a correction, about a quarter of these would find something.
    assert wrong <= 4


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("colour=a,b", "varies 'colour'; choose tag_policy, model, prompt, "),
        ("promt=a,b", r"did you mean prompt\?"),
        ("tag_policy=check, check", "--vary: tag_policy has 'check' twice: write values that differ$"),
    ],
)
def test_what_cannot_be_varied_is_refused_by_the_names_that_are_typed(typed: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        _parse_vary([typed], {})
    assert "system_prompt" not in str(refused.value)


def test_a_time_has_its_unit() -> None:
    assert [_time(seconds) for seconds in (7, 3599, 3600)] == ["about 0:07 min", "about 59:59 min", "about 1:00:00 h"]
