"""Marking: an answer in parts, the tag set off, and what breaks the tag rule marked where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from persqa.verdicts import ViolationKind, fault
from producer.web.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.tags import Tag


class Role(StrEnum):
    """What a part of an answer is; the value is its class on a page."""

    PLAIN = ""
    TAG = "tag"
    FAULT = "fault"
    MISSING = "missing"  #: not in the answer: what should stand there


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer."""

    text: str
    role: Role = Role.PLAIN


#: What is missing at a place, in words, where it is not the tag.
_MISSING = {
    ViolationKind.TAG_ONLY: "no words follow",
    ViolationKind.TRUNCATED: "cut off here",
    ViolationKind.EMPTY: "nothing was said",
}
#: What each kind means, for people.
MEANINGS = {
    ViolationKind.EMPTY: "The answer is empty.",
    ViolationKind.PROMPT_ECHO: "The answer repeats a sentence of the prompt.",
    ViolationKind.MALFORMED_TAG: "The answer begins with the tag, but writes it in another way.",
    ViolationKind.WRONG_TAG: "The answer begins with another name in brackets.",
    ViolationKind.LATE_TAG: "The tag is there, but not at the beginning.",
    ViolationKind.MISSING_TAG: "The tag is not there.",
    ViolationKind.TAG_ONLY: "The tag is there, but no word after it.",
    ViolationKind.TRUNCATED: "The answer was cut off by the length limit.",
}


def marked(text: str, *, tag: Tag, question: str = "", kind: ViolationKind | None = None) -> list[Part]:
    """Take an answer apart.

    Args:
        text: the answer.
        tag: the tag asked for; empty where none was.
        question: what was asked; an echo of it is found.
        kind: how the answer breaks the rule, if it does.

    Returns:
        The parts in order; without those that are missing, they are the text.
    """
    if kind is None:
        return list(_with_tags(text, tag))
    first, last = fault(text, kind, tag=tag, question=question)
    is_missing = first == last
    broken = Part(_MISSING.get(kind, tag), Role.MISSING) if is_missing else Part(text[first:last], Role.FAULT)
    return [*_with_tags(text[:first], tag), broken, *_with_tags(text[last:], tag)]


def kind_of(reason: str | None) -> ViolationKind | None:
    """The kind that a result has as its reason; None where the reason is another one."""
    return ViolationKind(reason) if reason in set(ViolationKind) else None


def _with_tags(text: str, tag: Tag) -> Iterator[Part]:
    if not tag:
        yield from [Part(text)] if text else ()
        return
    for part in re.split(f"({re.escape(tag)})", text):
        if part:
            yield Part(part, Role.TAG if part == tag else Role.PLAIN)


def shown_parts(parts: list[Part], most: int) -> list[tuple[str, str]]:
    """The role and the harmless text of each part, of so many characters in all."""
    given: list[tuple[str, str]] = []
    for part in parts:
        if most <= 0:
            given.append(("", "…"))
            break
        given.append((part.role, shown(part.text, most)))
        most -= len(part.text)
    return given
