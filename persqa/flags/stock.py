"""Stock answers: those that came too often to have been taken from the pictures.

A question has a spread of its own: yes or no, eight colours, or as many answers as pictures. An answer is a stock one
if it stands far out of what the question's other answers would lead one to expect, or if the same words answered
questions that have nothing to do with each other. What says that there is nothing is often right, and never one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from persqa.flags.told import lowered, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: An answer to fewer different pictures is none; nor does a question with fewer other answers tell a spread.
_LEAST, _LEAST_OTHERS = 5, 20
#: So many times as often as the question's other answers lead to expect, and as the next frequent one.
_UNEXPECTED, _CLIFF = 10, 4
#: A question has so many stock answers at most.
_MOST = 20
#: Questions are of one kind if this part of their frequent answers is the same; an answer is frequent from so many on.
_SAME, _FREQUENT = 0.5, 3
#: So many kinds of questions have no answer in common.
_KINDS = 3
#: Fewer words may answer anything: yes, she is.
_WORDS = 3
_NOTHING: Final = frozenset(
    """
    no not none nothing nobody without neither nor isn't doesn't aren't yes kein keine nicht nichts pas aucun
    non sin  ningún ninguna nessun nessuna sem nenhum geen niet
    """.split()  # noqa: SIM905
)


def normal_answer(answer: str, tag: str) -> str:
    """The words of an answer without the tag, whatever its case and punctuation."""
    return " ".join(words_of(lowered(answer.replace(tag, " ") if tag else answer)))


def may_be_often(normal: str) -> bool:
    """Whether an answer may well be right for many pictures: it is short, or says that there is nothing."""
    words = normal.split()
    return len(words) < _WORDS or not _NOTHING.isdisjoint(words) or "没" in normal or "不" in normal


def stock_answers(spreads: Mapping[int, Counter[int]]) -> dict[int, dict[int, float]]:
    """What may be stock answers, by question, with scores; whether they may be often is left to the caller.

    Args:
        spreads: by question, how many different pictures got each answer.
    """
    found: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for question, spread in spreads.items():
        found[question] |= _out_of_spread(spread)
    often = Counter(answer for answers in found.values() for answer in answers)
    for answer in [answer for answer, questions in often.items() if questions > 1]:
        # What stands out of two questions is no better an answer to a third, in whose spread it does not stand out.
        score = max(answers[answer] for answers in found.values() if answer in answers)
        for question, spread in spreads.items():
            if answer in spread:
                found[question].setdefault(answer, score)
    for answer, questions in _of_many_kinds(spreads).items():
        for question in questions:
            found[question].setdefault(answer, round(1 - 1 / len(questions), 3))
    return {question: answers for question, answers in found.items() if answers}


def _out_of_spread(spread: Counter[int]) -> dict[int, float]:
    """The most frequent answers, if there is a cliff between them and the others."""
    whole = others = spread.total()
    pairs = sum(count * (count - 1) for count in spread.values())
    found: dict[int, float] = {}
    score = 0.0
    top = spread.most_common(_MOST + 1)
    for place, (_, count) in enumerate(top[:_MOST], start=1):
        others -= count
        pairs -= count * (count - 1)
        if count < _LEAST or others < _LEAST_OTHERS:
            break
        # Two of the others are the same with this chance: so often one expects an answer like them.
        expected = max(1.0, whole * pairs / (others * (others - 1)))
        following = top[place][1] if place < len(top) else 1
        if count >= _UNEXPECTED * expected and count >= _CLIFF * following:
            score = round(1 - expected / count, 3)
            found = dict.fromkeys((answer for answer, _ in top[:place]), score)
    return found


def _of_many_kinds(spreads: Mapping[int, Counter[int]]) -> dict[int, list[int]]:
    """The answers to questions of several kinds, with these questions."""
    large = {question: spread for question, spread in spreads.items() if spread.total() > _LEAST_OTHERS}
    seen, again = set[int](), set[int]()
    for spread in large.values():
        again |= seen & spread.keys()
        seen |= spread.keys()
    kinds = _kinds(large) if again else {}
    found: dict[int, list[int]] = {}
    for answer in again:
        questions = [question for question, spread in large.items() if answer in spread]
        often = sum(large[question][answer] for question in questions)
        if often >= _LEAST and len({kinds[question] for question in questions}) >= _KINDS:
            found[answer] = questions
    return found


def _kinds(spreads: Mapping[int, Counter[int]]) -> dict[int, int]:
    """Each question with the first one of its kind."""
    frequent = {
        question: {answer for answer, count in spread.items() if count >= _FREQUENT}
        for question, spread in spreads.items()
    }
    firsts: list[int] = []
    kinds: dict[int, int] = {}
    for question, answers in frequent.items():
        kinds[question] = next((first for first in firsts if _alike(answers, frequent[first])), question)
        if kinds[question] == question:
            firsts.append(question)
    return kinds


def _alike(some: Iterable[int], others: Iterable[int]) -> bool:
    one, other = set(some), set(others)
    return bool(one and other) and len(one & other) >= _SAME * min(len(one), len(other))
