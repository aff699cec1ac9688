"""The tag rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.generations import FinishReason
from persqa.prompts import human_turn
from persqa.tags import Tag
from persqa.verdicts import ViolationKind, fault, judge
from tests.support.builders import MAM, generation

QUESTION = "How would you describe <mam>'s attire?"

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,31}", fullmatch=True)
tags = names.map(lambda name: Tag(f"<{name}>"))
words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
# Anything but what could be or complete a tag, or be part of an entity for one.
plain_text = st.text(st.characters(codec="utf-8", exclude_characters="<>&＜＞‹›[](){}"), max_size=60)


def kind_of(text: str, tag: Tag = MAM, finish_reason: FinishReason = FinishReason.STOP) -> ViolationKind | None:
    return judge(generation(text, finish_reason), tag=tag, question=QUESTION)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<mam> wears a red coat.", None),
        ("  \n<mam> wears a red coat.", None),
        ("<mam>'s hair is brown.", None),
        ("<mam>: brown", None),
        ("<mam><mam> is tall", None),
        ("<mam> 穿着红色外套", None),
        ("<mam> wears what <bob> wears.", None),
        ("", ViolationKind.EMPTY),
        (" \n\t", ViolationKind.EMPTY),
        ("<mam>", ViolationKind.TAG_ONLY),
        ("<mam> ...!", ViolationKind.TAG_ONLY),
        ("<mam> <mam>", ViolationKind.TAG_ONLY),
        ("A red coat.", ViolationKind.MISSING_TAG),
        ("mam wears a coat.", ViolationKind.MISSING_TAG),
        ("The person <MAM> wears a coat.", ViolationKind.MISSING_TAG),
        ("The person <mam> wears a coat.", ViolationKind.LATE_TAG),
        ("Sure! <mam> wears a coat.", ViolationKind.LATE_TAG),
        ("<MAM> wears a coat.", ViolationKind.MALFORMED_TAG),
        ("< mam > wears a coat.", ViolationKind.MALFORMED_TAG),
        ("</mam> wears a coat.", ViolationKind.MALFORMED_TAG),
        ("<mam/> wears a coat.", ViolationKind.MALFORMED_TAG),
        ("&lt;mam&gt; wears a coat.", ViolationKind.MALFORMED_TAG),
        ("&#60;mam&#62; wears a coat.", ViolationKind.MALFORMED_TAG),
        ("**<mam>** wears a coat.", ViolationKind.MALFORMED_TAG),
        ("`<mam>` wears a coat.", ViolationKind.MALFORMED_TAG),
        ('"<mam> wears a coat."', ViolationKind.MALFORMED_TAG),
        ("“<mam>” wears a coat.", ViolationKind.MALFORMED_TAG),
        ("(<mam>) wears a coat.", ViolationKind.MALFORMED_TAG),
        ("[mam] wears a coat.", ViolationKind.MALFORMED_TAG),
        ("- <mam> wears a coat.", ViolationKind.MALFORMED_TAG),
        ("\\<mam\\> wears a coat.", ViolationKind.MALFORMED_TAG),
        ("<bob> wears a coat.", ViolationKind.WRONG_TAG),
        ("<bob> and <mam> wear coats.", ViolationKind.WRONG_TAG),
        ("**<mammal>** wears a coat.", ViolationKind.WRONG_TAG),
        ("<mammal> wears a coat.", ViolationKind.WRONG_TAG),
        (human_turn(MAM, QUESTION) + "<mam> wears a coat.", ViolationKind.PROMPT_ECHO),
        ("<mam>. You need to answer a question about <mam>.", ViolationKind.PROMPT_ECHO),
        ("<mam> wears.\nQuestion:  How would you describe <mam>'s attire?", ViolationKind.PROMPT_ECHO),
        ("<mam> please answer starting with <mam>!", ViolationKind.PROMPT_ECHO),
    ],
)
def test_each_kind_is_told_from_the_others(text: str, kind: ViolationKind | None) -> None:
    assert kind_of(text) is kind


def test_an_answer_cut_off_by_the_limit_is_truncated_even_if_its_form_is_right() -> None:
    assert kind_of("<mam> wears a", finish_reason=FinishReason.LENGTH) is ViolationKind.TRUNCATED


def test_a_broken_form_says_more_than_the_cut() -> None:
    assert kind_of("A red", finish_reason=FinishReason.LENGTH) is ViolationKind.MISSING_TAG


@given(tag=tags, space=st.text(" \n\t", max_size=3), word=words)
def test_the_tag_first_and_a_word_after_it_is_compliant_for_every_tag(tag: Tag, space: str, word: str) -> None:
    assert judge(generation(f"{space}{tag} {word}"), tag=tag, question="Q?") is None


@given(tag=tags, text=st.text(max_size=80))
def test_whatever_is_compliant_starts_with_the_tag_and_says_something(tag: Tag, text: str) -> None:
    for candidate in (text, tag + text):
        if judge(generation(candidate), tag=tag, question="Q?") is None:
            assert candidate.lstrip().startswith(tag)
            assert candidate.replace(tag, "").strip()


@given(tag=tags, text=plain_text)
def test_without_any_bracket_it_is_empty_or_missing(tag: Tag, text: str) -> None:
    expected = ViolationKind.MISSING_TAG if text.strip() else ViolationKind.EMPTY
    assert judge(generation(text), tag=tag, question="Q?") is expected


@given(tag=tags, other=tags)
def test_another_name_first_is_a_wrong_or_malformed_tag_never_compliant(tag: Tag, other: Tag) -> None:
    kind = judge(generation(f"{other} wears a coat"), tag=tag, question="Q?")
    if other == tag:
        assert kind is None
    elif other.lower() == tag.lower():
        assert kind is ViolationKind.MALFORMED_TAG
    else:
        assert kind is ViolationKind.WRONG_TAG


@given(tag=tags, question=st.text(max_size=40))
def test_the_whole_prompt_is_always_recognised_as_an_echo(tag: Tag, question: str) -> None:
    assert judge(generation(human_turn(tag, question)), tag=tag, question=question) is ViolationKind.PROMPT_ECHO


@given(text=st.text(max_size=200), tag=tags)
def test_no_text_makes_the_judge_fail(text: str, tag: Tag) -> None:
    judge(generation(text), tag=tag, question=text)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("  <MAM> wears a coat.", "<MAM>"),
        ("&lt;mam&gt; wears a coat.", "&lt;mam&gt;"),
        ("&#60;mam&#62 wears a coat.", "&#60;mam&#62"),
        ("**<mam>** wears a coat.", "**<mam>"),
        ("\n<bob> and <mam> wear coats.", "<bob>"),
        ("Sure! <mam> wears a coat.", "Sure! "),
        (
            "<mam>.\nQuestion:  HOW would you describe <mam>'s attire? Well",
            "Question:  HOW would you describe <mam>'s attire?",
        ),
        ("A red coat.", ""),
        ("<mam> ...", ""),
        (" ", ""),
    ],
)
def test_the_part_that_breaks_the_rule_is_found(text: str, marked: str) -> None:
    kind = kind_of(text)
    assert kind is not None
    first, last = fault(text, kind, tag=MAM, question=QUESTION)
    assert text[first:last] == marked


def test_what_is_missing_has_a_place() -> None:
    assert fault(" A red coat.", ViolationKind.MISSING_TAG, tag=MAM, question=QUESTION) == (1, 1)
    assert fault("<mam> wears a ", ViolationKind.TRUNCATED, tag=MAM, question=QUESTION) == (13, 13)


@given(st.text(max_size=60) | st.builds("{}<mam>{}".format, st.text(max_size=9), st.text(max_size=9)))
def test_every_fault_is_in_its_text(text: str) -> None:
    kind = kind_of(text)
    if kind is not None:
        first, last = fault(text, kind, tag=MAM, question=QUESTION)
        assert 0 <= first <= last <= len(text)
