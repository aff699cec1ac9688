"""Marking of answers: the tag, and what breaks the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.tags import Tag
from persqa.verdicts import ViolationKind, judge_text
from producer.web.pages.marking import MEANINGS, Part, Role, kind_of, marked
from tests.support.builders import MAM

QUESTION = "What color are <mam>'s eyes?"


def shown(text: str) -> str:
    """The parts of an answer with their roles, as one text."""
    parts = marked(text, tag=MAM, question=QUESTION, kind=judge_text(text, tag=MAM, question=QUESTION))
    return "".join(f"[{part.role}:{part.text}]" if part.role else part.text for part in parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<mam> has brown eyes.", "[tag:<mam>] has brown eyes."),
        ("<mam> and <mam>", "[tag:<mam>] and [tag:<mam>]"),
        ("Sure! <mam> has.", "[fault:Sure! ][tag:<mam>] has."),
        ("<MAM> has.", "[fault:<MAM>] has."),
        ("<bob> sees <mam>.", "[fault:<bob>] sees [tag:<mam>]."),
        ("Brown eyes.", "[missing:<mam>]Brown eyes."),
        ("<mam>.", "[tag:<mam>].[missing:no words follow]"),
        ("", "[missing:nothing was said]"),
        (
            "<mam>: QUESTION: what color are <mam>'s eyes?",
            "[tag:<mam>]: [fault:QUESTION: what color are <mam>'s eyes?]",
        ),
    ],
)
def test_the_tag_is_set_off_and_the_fault_is_marked(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(max_size=40) | st.builds("{}<mam>{}".format, st.text(max_size=9), st.text(max_size=9)))
def test_no_letter_is_lost(text: str) -> None:
    parts = marked(text, tag=MAM, question=QUESTION, kind=judge_text(text, tag=MAM, question=QUESTION))
    assert "".join(part.text for part in parts if part.role is not Role.MISSING) == text


def test_without_a_tag_nothing_is_marked() -> None:
    assert marked("<b> is here", tag=Tag("")) == [Part("<b> is here")]


def test_every_kind_is_explained_and_no_other_reason_is_one() -> None:
    assert set(MEANINGS) == set(ViolationKind)
    assert [kind_of(reason) for reason in ("late_tag", "not_found", None)] == [ViolationKind.LATE_TAG, None, None]
