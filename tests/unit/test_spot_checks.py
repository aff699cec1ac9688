"""Spot checks: which items get them, and what their answers say, where the truth is known."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.runs import RunOptions, parse_options
from persqa.spot_checks import Check, checks_of, parse_shares
from persqa.store.spot_checks import CheckedAnswer
from producer.spot_checks import sentences, summary

_COLOURS = ("red", "blue", "green", "grey", "brown", "black", "white", "pink")
_QUESTION = "What is the colour of {tag}'s hair?"


def checked(item: int, check: Check, answer: str, said: str | None, question: str = _QUESTION) -> CheckedAnswer:
    full = None if said is None else f"<mam> {said}"
    return CheckedAnswer(
        item_id=item, check=check, question=question, tag="<mam>", answer=f"<mam> {answer}", checked=full
    )


@pytest.mark.parametrize("given", ["again=0.5,blind=2%", ["blind=2%", "again = 50 %"], {"again": 0.5, "blind": 0.02}])
def test_shares_are_read_as_people_and_programs_write_them(given: object) -> None:
    assert parse_shares(given) == {Check.BLIND: 0.02, Check.AGAIN: 0.5}


@pytest.mark.parametrize("given", ["blind", "blind=0%", "blind=101%", "blind=2%,blind=3%", "bland=2%", {"blind": -1}])
def test_what_is_no_share_is_refused(given: object) -> None:
    with pytest.raises(SettingsError):
        parse_shares(given)


def test_a_share_without_its_percent_sign_is_told_so() -> None:
    with pytest.raises(SettingsError, match=r"spot_check: blind=20 lacks the %: write blind=20%$"):
        parse_options(spot_check="blind=20")


@given(st.dictionaries(st.sampled_from(Check), st.floats(1e-9, 1), min_size=1))
def test_options_with_spot_checks_are_read_back_and_others_are_stored_as_ever(shares: dict[Check, float]) -> None:
    options = parse_options(spot_check=shares)

    assert RunOptions.model_validate_json(options.model_dump_json()) == options
    assert options.spot_check == shares
    assert "spot_check" not in parse_options().model_dump_json()


def test_each_item_is_drawn_for_itself_and_always_the_same() -> None:
    shares = {Check.BLIND: 0.1, Check.SWAPPED: 1.0, Check.AGAIN: 0.02}
    drawn = [checks_of(shares, seed=3, index=index) for index in range(20_000)]
    counts = {check: sum(check in checks for checks in drawn) for check in Check}

    assert drawn == [checks_of(shares, seed=3, index=index) for index in range(20_000)]
    assert counts[Check.SWAPPED] == 20_000
    assert counts[Check.BLIND] == pytest.approx(2000, abs=200)
    assert counts[Check.AGAIN] == pytest.approx(400, abs=100)
    both = sum(Check.BLIND in checks and Check.AGAIN in checks for checks in drawn)
    assert both == pytest.approx(40, abs=30)


def test_what_a_question_makes_all_say_does_not_count() -> None:
    chance = Random(5)
    found: list[CheckedAnswer] = []
    for item in range(300):
        colour, other = chance.sample(_COLOURS, 2)
        said = f"has hair that is, as one can see here, {colour}."
        found += [
            checked(item, Check.AGAIN, said, f"has hair that is {colour}, as one can see here"),
            checked(item, Check.BLIND, said, f"has hair that is, as one can see here, {other}."),
            checked(item, Check.SWAPPED, said, None),
        ]
    said = summary(found)

    again, blind, swapped = (said.checks[check] for check in (Check.AGAIN, Check.BLIND, Check.SWAPPED))
    assert (again.same.part, again.equal.part) == (300, 0)
    assert (blind.same.part, blind.equal.part) == (0, 0)
    assert (swapped.asked, swapped.failed) == (0, 300)
    (only,) = said.from_picture
    assert only.is_seen
    assert only.low > 0.97
    assert sentences(said)[-1].startswith("100.0 % of the answers come from the picture (98.")


def test_where_the_picture_does_nothing_nothing_is_said_to_come_from_it() -> None:
    chance = Random(6)
    found = [
        checked(item, check, f"wears {chance.choice(_COLOURS)}.", f"wears {chance.choice(_COLOURS)}.")
        for item in range(200)
        for check in Check
    ]
    said = summary(found)

    assert all(not one.is_seen and one.low < 0 < one.high for one in said.from_picture)
    assert "no sign that the pictures matter" in sentences(said)[-1]


def test_nothing_is_said_of_nothing() -> None:
    assert summary([]).checks == {}
    assert sentences(summary([])) == []
    # Without `again`, nobody knows how much answers change anyway.
    assert summary([checked(1, Check.BLIND, "smiles.", "frowns.")]).from_picture == ()
