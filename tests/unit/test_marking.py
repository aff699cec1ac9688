"""Marking of answers: the tag, and what breaks the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.flags import ANSWER_FLAGS, Finding, Flag
from persqa.tags import Tag
from persqa.verdicts import ViolationKind, judge_text
from producer.web.pages.marking import FLAGGED, MEANINGS, Part, Role, kind_of, marked
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


def test_what_is_missing_says_why() -> None:
    missing = marked("Brown eyes.", tag=MAM, kind=ViolationKind.MISSING_TAG)[0]
    assert (missing.role, missing.why) == (Role.MISSING, "The tag is not there.")


@given(st.text(max_size=40) | st.builds("{}<mam>{}".format, st.text(max_size=9), st.text(max_size=9)))
def test_no_letter_is_lost(text: str) -> None:
    parts = marked(text, tag=MAM, question=QUESTION, kind=judge_text(text, tag=MAM, question=QUESTION))
    assert "".join(part.text for part in parts if part.role is not Role.MISSING) == text


def test_the_words_of_a_flag_are_marked_beside_the_fault_and_never_twice() -> None:
    text = "Well, I'm sorry, <mam> it may be red."
    found = [Finding(Flag.REFUSAL, 1.0, 6, 15), Finding(Flag.HEDGE, 0.5, 23, 32), Finding(Flag.META, 0.5, 30, 36)]
    parts = marked(text, tag=MAM, kind=None, findings=[*found, Finding(Flag.BLANK, 1.0)])
    assert "".join(part.text for part in parts) == text
    assert [(part.text, part.why) for part in parts if part.role is Role.FLAG] == [
        ("I'm sorry", "refusal"), ("it may be", "hedge")
    ]  # fmt: skip
    broken = marked(text, tag=MAM, kind=ViolationKind.LATE_TAG, findings=found)
    assert [part.role for part in broken] == ["fault", "tag", "", "flag", ""], "the refusal stands in the fault"
    rejected = marked(text, tag=MAM, kind=Flag.REFUSAL, findings=found)
    assert [(part.text, part.role) for part in rejected if part.role is not Role.PLAIN] == [
        ("I'm sorry", "fault"), ("<mam>", "tag"), ("it may be", "flag")
    ]  # fmt: skip


def test_without_a_tag_nothing_is_marked() -> None:
    assert marked("<b> is here", tag=Tag("")) == [Part("<b> is here")]


def test_every_kind_is_explained_and_no_other_reason_is_one() -> None:
    assert set(MEANINGS) == {*ViolationKind, *ANSWER_FLAGS}
    assert set(FLAGGED) == set(Flag)
    assert [kind_of(reason) for reason in ("late_tag", "refusal", "not_found", None)] == [
        ViolationKind.LATE_TAG,
        Flag.REFUSAL,
        None,
        None,
    ]
