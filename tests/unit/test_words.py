"""Words of messages: numbers, lists, near names, and options as the person writes them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from persqa.words import counted, listed, nearest, no_such, option


@pytest.mark.parametrize(("number", "words"), [(0, "0 items have"), (1, "1 item has"), (2, "2 items have")])
def test_a_count_is_right_in_number(number: int, words: str) -> None:
    assert counted(number, "item has", "items have") == words


def test_most_nouns_take_an_s() -> None:
    assert (counted(1, "run"), counted(3, "run")) == ("1 run", "3 runs")


@pytest.mark.parametrize(
    ("names", "words"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c"), (range(25), "6 more")]
)
def test_a_list_ends_with_a_word_and_is_not_endless(names: list[object], words: str) -> None:
    assert listed(names).endswith(words)
    assert len(listed(names).split(", ")) < 20


@pytest.mark.parametrize(
    ("given", "meant"), [("databse_url", "database_url"), ("WINDW", "window"), ("Window", "window"), ("zzz", None)]
)
def test_the_name_that_was_meant_is_found_whatever_its_case(given: str, meant: str | None) -> None:
    assert nearest(given, ["database_url", "broker_url", "window"]) == meant


def test_a_choice_that_is_none_is_said_with_those_that_there_are() -> None:
    assert no_such("priority", "urgent", ["high", "low"]) == "there is no priority 'urgent'; choose high or low"
    with pytest.raises(SettingsError, match=r"there is no status 'okk'; did you mean ok\? There are ok and dead"):
        parse_choice("okk", ["ok", "dead"], name="status")


def test_an_option_is_a_keyword_here_and_a_flag_on_the_command_line() -> None:
    assert option("tag_policy") == "tag_policy"
    code = "from persqa.words import *; write_flags(); print(option('tag_policy'), option('input_format'))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["--tag-policy", "--format"]
