"""The flags of an answer, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.flags import (
    generic,
    hedge,
    markup,
    meta,
    other_language,
    question_echo,
    refusal,
    repetition,
    tags,
    unfinished,
)
from persqa.flags.told import Told, asked

if TYPE_CHECKING:
    from persqa.flags.flag import Finding
    from persqa.generations import FinishReason


def flags_of_answer(answer: str, *, question: str, tag: str, finish_reason: FinishReason) -> tuple[Finding, ...]:
    """What the answer itself gives away, each flag at most once.

    Args:
        answer: the whole answer, with the tag.
        question: what was asked, with the tag in its place.
        tag: the run's, such as `<mam>`; empty where the run has none.
        finish_reason: why the engine ended.
    """
    told, its_question = Told.of(answer, tag), asked(question, tag)
    found = (
        refusal.look(told),
        hedge.look(told),
        repetition.look(told),
        other_language.look(told, its_question),
        unfinished.look(told, finish_reason),
        generic.look(told, its_question),
        question_echo.look(told, its_question),
        tags.other(told),
        tags.again(told),
        meta.look(told, its_question),
        markup.look(told),
    )
    return tuple(finding for finding in found if finding)
