"""Stop rules: how they are written, and when they are broken beyond chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.results import Status
from persqa.runs import RunOptions, parse_options
from persqa.stop_rules import FEWEST_ITEMS, StopRule, parse_stop_rule


@pytest.mark.parametrize(
    ("text", "about", "limit"),
    [
        ("noncompliant>20%", "noncompliant", 20),
        (" dead > 0.5 % ", "dead", 0.5),
        ("not_found>0%", "not_found", 0),
        ("missing_tag>99%", "missing_tag", 99),
        ("refusal>2%", "refusal", 2),
    ],
)
def test_a_rule_is_read_and_written_in_one_form(text: str, about: str, limit: float) -> None:
    rule = parse_stop_rule(text)
    assert rule == StopRule(about, limit)
    assert parse_stop_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("noncompliant", "noncompliant>20%"),
        ("noncompliant>100%", "below 100 %"),
        ("noncompliant>20", "stop_if: 'noncompliant>20' lacks the %: write noncompliant>20%"),
        ("noncompliant>0.2", "'noncompliant>0.2' lacks the %: write noncompliant>20%"),
        ("foo>20%", "stop_if: there is no status, reason, kind of violation or flag 'foo'; choose noncompliant, "),
        ("noncompliant<20%", "noncompliant>20%"),
        ("noncompliant>-1%", "noncompliant>20%"),
        ("nonconpliant>20%", "did you mean noncompliant?"),
        ("ok>20%", "status, reason, kind of violation or flag 'ok'"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_to_write_instead(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match="stop_if") as refused:
        parse_options(stop_if=[text])
    assert said in str(refused.value)


def test_the_options_of_a_run_without_rules_are_stored_as_before() -> None:
    assert "stop_if" not in RunOptions().model_dump_json()
    given = parse_options(stop_if="dead>1%")
    assert given.stop_if == ("dead>1%",)
    assert RunOptions.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize(
    ("about", "of_answers", "statuses", "reason"),
    [
        ("noncompliant", True, ("noncompliant",), None),
        ("dead", False, ("dead",), None),
        ("late_tag", True, ("noncompliant",), "late_tag"),
        ("broken_image", False, ("invalid", "dead"), "broken_image"),
        ("hedge", True, (), None),
    ],
)
def test_a_rule_knows_what_it_counts(about: str, of_answers: bool, statuses: tuple[str, ...], reason: str) -> None:
    rule = StopRule(about, 5)
    assert (rule.of_answers, rule.statuses, rule.reason) == (of_answers, statuses, reason)
    assert set(rule.statuses) <= set(Status)


@given(whole=st.integers(0, 3000), part=st.integers(0, 3000), limit=st.floats(0, 99))
def test_no_rule_is_broken_by_few_items_or_by_what_chance_can_do(whole: int, part: int, limit: float) -> None:
    found = StopRule("dead", limit).broken_by(part, whole)
    if found is not None:
        assert whole >= FEWEST_ITEMS
        assert found.low * 100 > limit
    if whole >= FEWEST_ITEMS and 100 * part <= limit * whole:
        assert found is None


def test_the_interval_decides_and_not_the_share() -> None:
    rule = StopRule("noncompliant", 20)
    assert rule.broken_by(99, 99) is None
    assert rule.broken_by(25, 100) is None
    assert rule.broken_by(29, 100) is not None
