"""The flags of an answer, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.flags import refusal

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
    del question, tag, finish_reason
    found = refusal.look(answer)
    return () if found is None else (found,)
