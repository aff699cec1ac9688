"""Tags."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.tags import parse_tag


@pytest.mark.parametrize("text", ["mam", "<mam>"])
def test_a_tag_may_be_given_with_or_without_brackets(text: str) -> None:
    assert parse_tag(text) == "<mam>"


@pytest.mark.parametrize(
    "text", ["", "<>", "<1a>", "a b", "<mam", "mam>", "<<mam>>", "<mam>\n", "a" * 33, 5, None, ["mam"]]
)
def test_anything_else_is_refused_with_its_reason(text: object) -> None:
    with pytest.raises(RecordError) as caught:
        parse_tag(text)
    assert caught.value.reason is Reason.BAD_TAG


@given(st.text(max_size=40))
def test_what_is_accepted_matches_the_pattern_and_is_accepted_again(text: str) -> None:
    try:
        tag = parse_tag(text)
    except RecordError:
        return
    assert re.fullmatch(r"<[A-Za-z][A-Za-z0-9_-]{0,31}>", tag)
    assert parse_tag(tag) == tag
