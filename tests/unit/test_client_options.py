"""The names that a client takes, which are written down twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from persqa.errors import SettingsError
from persqa.runs import Priority, RunOptions, Sampling
from persqa.settings import Settings, load_settings
from producer import Client
from producer.options import GivenRunOptions, GivenSettings, parse_submit_options


def test_every_setting_and_every_option_of_a_run_can_be_given_by_name() -> None:
    assert list(GivenSettings.__annotations__) == list(Settings.model_fields)
    assert list(GivenRunOptions.__annotations__) == list(RunOptions.model_fields)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("brokr_url", "did you mean broker_url?"),
        ("database", "did you mean database_url?"),
        ("Window", "did you mean window?"),
        ("zzz", "choose broker_url, broker_password, database_url, "),
        ("", "choose broker_url, "),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, name: str, words: str
) -> None:
    given: dict[str, Any] = {"database_url": f"sqlite:///{tmp_path}/x.db", name: None}
    for ask in (Client, load_settings):
        with pytest.raises(SettingsError, match=re.escape(f"there is no setting {name!r}; {words}")):
            ask(**given)
    assert not (tmp_path / "x.db").exists()


def test_all_settings_and_single_ones_do_not_go_together() -> None:
    with pytest.raises(SettingsError, match="not both: window"):
        Client(load_settings(), window=3)


def test_what_is_none_is_not_given() -> None:
    found = parse_submit_options("a/model", tag=None, model=None, priority=None, strict=None, sampling=None)
    assert found == parse_submit_options("a/model")
    assert (found.asked.model, found.asked.sampling, found.strict) == ("a/model", Sampling(), False)


def test_options_are_checked_wherever_they_belong() -> None:
    found = parse_submit_options(None, run="r", priority="high", tag="bob", strict=True, sampling={"top_k": 3})
    assert (found.run, found.priority, found.strict) == ("r", Priority.HIGH, True)
    assert (found.asked.tag, found.asked.sampling.top_k) == ("<bob>", 3)
