"""Which answers are stock answers, against the spread of their question."""

from __future__ import annotations

from collections import Counter

from persqa.flags.near import NearAnswers
from persqa.flags.stock import may_be_often, normal_answer, stock_answers

_STOCK, _OTHER_STOCK = 900, 901


def _few(number: int, each: int) -> Counter[int]:
    return Counter(dict.fromkeys(range(number), each))


def test_few_answers_of_a_question_are_its_own() -> None:
    assert not stock_answers({0: _few(2, 500), 1: _few(8, 120), 2: Counter({0: 700, 1: 100, 2: 100, 3: 100})})


def test_one_sentence_under_many_pictures_stands_out_of_different_answers() -> None:
    spread = Counter({answer: 1 + answer % 3 for answer in range(800)}) + Counter({_STOCK: 150})
    assert stock_answers({0: spread}).keys() == {0}
    assert stock_answers({0: spread})[0].keys() == {_STOCK}
    both = spread + Counter({_OTHER_STOCK: 120})
    assert stock_answers({0: both})[0].keys() == {_STOCK, _OTHER_STOCK}
    assert not stock_answers({0: _few(800, 2)})
    assert not stock_answers({0: Counter({_STOCK: 40, 1: 2})}), "too few others to know what the question has"


def test_what_stands_out_of_two_questions_is_one_to_a_third_as_well() -> None:
    various = {question: Counter({1000 * question + answer: 1 for answer in range(300)}) for question in (1, 2)}
    for spread in various.values():
        spread[_STOCK] = 60
    few = _few(8, 120) + Counter({_STOCK: 30})
    assert stock_answers({0: few, **various}).keys() == {0, 1, 2}
    assert not stock_answers({0: few})


def test_what_grows_less_and_less_frequent_has_no_cliff() -> None:
    assert not stock_answers({0: Counter({answer: 1000 // (answer + 1) for answer in range(400)})})


def test_the_same_words_to_questions_of_three_kinds_are_a_stock_answer() -> None:
    kinds = {question: Counter({100 * question + answer: 20 for answer in range(8)}) for question in range(4)}
    for spread in kinds.values():
        spread[_STOCK] = 4
    assert stock_answers(kinds) == {question: {_STOCK: 0.75} for question in range(4)}
    alike = {question: Counter(dict.fromkeys(range(8), 20)) for question in range(4)}
    assert not stock_answers(alike), "four ways to ask the same"


def test_words_count_and_not_how_they_are_written() -> None:
    assert normal_answer("<mam> Looks, GOOD!", "<mam>") == normal_answer("Looks good <mam>.", "<mam>") == "looks good"
    assert may_be_often("is not wearing any glasses")
    assert may_be_often("yes she is indeed")
    assert may_be_often("brown")
    assert not may_be_often("is a person in a picture")


def test_long_answers_that_differ_in_a_word_are_one() -> None:
    long = "is a friendly person who looks at the viewer with a calm face and stands in front of a plain wall"
    near = NearAnswers()
    near.add(1, long)
    near.add(2, f"{long} again")
    near.add(3, "is a tall man in a dark green coat who walks a small dog along the river bank at night")
    near.add(4, "short answer")
    assert near.firsts() == {2: 1}
