"""What the flags see in answers, and what they leave alone."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import flags
from persqa.flags import ANSWER_FLAGS, Flag, flags_of_answer
from persqa.generations import FinishReason
from producer.demo import random_person, true_answers
from scripts.quality_docs import DOCS, written
from tests.support.flag_corpus import TAG, faults, marks, sentences

_QUESTION = "What is the color of <mam>'s hair?"
#: Where in an answer the evidence is, for people to see.
_PLACES = {
    Flag.REFUSAL: ("<mam> Well, I'm sorry, I can't tell.", "I'm sorry"),
    Flag.HEDGE: ("<mam> has hair that is perhaps brown.", "perhaps"),
    Flag.OTHER_LANGUAGE: ("<mam> has 棕色的 hair.", "棕色的"),
    Flag.QUESTION_ECHO: ("Well. What color is <mam>'s hair? Brown.", " What color is <mam>'s hair?"),
    Flag.OTHER_TAG: ("<mam> and <dad> have brown hair.", "<dad>"),
    Flag.TAG_AGAIN: ("Her hat and <mam> are <mam> to me.", "<mam>"),
    Flag.META: ("<mam> has brown hair in the image.", "in the image"),
    Flag.MARKUP: ("<mam> has **brown** hair.", "**brown**"),
}


def _flags(answer: str, *, question: str = _QUESTION, reason: FinishReason = FinishReason.STOP) -> set[Flag]:
    return {one.flag for one in flags_of_answer(answer, question=question, tag=TAG, finish_reason=reason)}


@pytest.mark.parametrize("held", [False, True], ids=["told", "held"])
@pytest.mark.parametrize("flag", ANSWER_FLAGS)
def test_a_flag_is_given_to_who_deserves_it(flag: Flag, held: bool) -> None:
    assert len(sentences(flag)) >= 60
    found = marks(flag, held=held)
    assert found.precision >= 0.95, faults([flag], held=held)
    assert found.recall >= 0.8, faults([flag], held=held)


@pytest.mark.parametrize("flag", _PLACES)
def test_it_says_where(flag: Flag) -> None:
    answer, words = _PLACES[flag]
    for before in ("", " ".join(f"w{number}" for number in range(600)) + ". "):
        text = f"{before}{answer}"
        (found,) = (
            one
            for one in flags_of_answer(text, question=_QUESTION, tag=TAG, finish_reason=FinishReason.STOP)
            if one.flag is flag
        )
        assert text[found.start : found.end] == words


def test_the_right_answers_of_the_demo_have_no_flag() -> None:
    chance = random.Random(7)
    wrong = [
        (question, answer, found)
        for _ in range(150)
        for question, answer in true_answers(random_person(chance)).items()
        if (found := _flags(answer.format(tag=TAG), question=question.format(tag=TAG)))
    ]
    assert not wrong


def test_an_answer_that_ran_into_its_limit_is_unfinished_without_a_full_stop() -> None:
    assert _flags("<mam> has brown hair", reason=FinishReason.LENGTH) == {Flag.UNFINISHED}
    assert not _flags("<mam> has brown hair.", reason=FinishReason.LENGTH)
    assert not _flags("<mam> has brown hair")


def test_a_run_without_a_tag_has_flags_as_well() -> None:
    found = flags_of_answer("I'm sorry, I can't tell.", question="Who?", tag="", finish_reason=FinishReason.STOP)
    assert [one.flag for one in found] == [Flag.REFUSAL]
    assert not flags_of_answer("", question="", tag="", finish_reason=FinishReason.STOP)


_PIECES = st.sampled_from(
    [
        "<mam>",
        "<dad>",
        "I can't ",
        "ich kann ",
        "is ",
        "? ",
        ". ",
        "\n- ",
        "**",
        "`",
        "{'",
        '["',
        "«",
        "İ",
        "無法",
        "수 없",
        " ",
    ]
)


@given(
    st.one_of(st.text(max_size=400), st.lists(_PIECES, max_size=700).map("".join)),
    st.text(max_size=60),
    st.sampled_from(FinishReason),
)
def test_whatever_is_said_each_flag_comes_once_and_in_its_place(
    answer: str, question: str, reason: FinishReason
) -> None:
    found = flags_of_answer(answer, question=question, tag=TAG, finish_reason=reason)
    assert len({one.flag for one in found}) == len(found)
    for one in found:
        assert one.start is not None
        assert one.end is not None
        assert 0 <= one.start <= one.end <= len(answer)
        assert 0 < one.score <= 1


def _hostile() -> dict[str, str]:
    chance = random.Random(3)
    signs = "abcdefgh <>*\"'`#|[]{}&;?.\n"
    repeated = [
        "<", "*a", "?", "a ", "I can't ", "<mam>", "\"'", "\n- ", "ich kann ", "может быть 无法 ", "[a](", "&a", "((",
        "lässt sich ", "either a ", "what is the ", "<b ", "不", "İ",
    ]  # fmt: skip
    return {piece: piece * (100_000 // len(piece)) for piece in repeated} | {
        "random": "".join(chance.choices(signs, k=100_000)),
        "question": f"{_QUESTION} " * 2_500,
    }


@pytest.mark.parametrize("piece", _hostile())
def test_a_hostile_answer_takes_no_longer_than_others(piece: str) -> None:
    answer = _hostile()[piece]
    least = float("inf")
    for _ in range(5):
        start = time.thread_time()
        _flags(answer)
        least = min(least, time.thread_time() - start)
    # Far above what it takes, far below what a pattern takes that looks again and again.
    assert least < 0.01


@pytest.mark.parametrize("what", flags.answers())
def test_all_flags_of_an_item_take_microseconds_whatever_the_answer(what: str) -> None:
    cost = flags.microseconds(flags.answers()[what], rounds=300)
    print(f"{what}: {cost:.0f} µs of processor time an item")
    # Four times the benchmark's limit: here it is about what has become much slower, on whatever machine.
    assert cost < 600


def test_the_documents_have_these_figures() -> None:
    assert written(DOCS.read_text()) == DOCS.read_text(), "make docs"
