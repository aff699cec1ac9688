"""Marking: an answer in parts, the tag set off, and what breaks the tag rule marked where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from persqa.flags import ANSWER_FLAGS, Flag
from persqa.verdicts import ViolationKind, fault, parse_kind
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from persqa.flags import Finding
    from persqa.tags import Tag
    from persqa.verdicts import Kind


class Role(StrEnum):
    """What a part of an answer is; the value is its class on a page."""

    PLAIN = ""
    TAG = "tag"
    FAULT = "fault"
    MISSING = "missing"  #: not in the answer: what should stand there
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer; `why` says which flag it is about, or what it means that it is missing."""

    text: str
    role: Role = Role.PLAIN
    why: str = ""


#: What is missing at a place, in words, where it is not the tag.
_MISSING: Mapping[str, str] = {
    ViolationKind.TAG_ONLY: "no words follow",
    ViolationKind.TRUNCATED: "cut off here",
    ViolationKind.EMPTY: "nothing was said",
}
#: What each flag means, for people.
FLAGGED = {
    Flag.REFUSAL: "The answer says that the model cannot or will not answer.",
    Flag.HEDGE: "The answer takes back what it says.",
    Flag.REPETITION: "The answer says something over and over.",
    Flag.OTHER_LANGUAGE: "The answer is not in the language of the question.",
    Flag.UNFINISHED: "The last sentence is cut.",
    Flag.GENERIC: "The answer says nothing that could not be said of any picture.",
    Flag.QUESTION_ECHO: "The answer says the question again.",
    Flag.OTHER_TAG: "The answer names somebody else in brackets.",
    Flag.TAG_AGAIN: "The answer writes the tag twice where once would do.",
    Flag.META: "The answer talks of the picture or the model instead of what is seen.",
    Flag.MARKUP: "The answer has Markdown, HTML, code or JSON in it.",
    Flag.BLANK: "The picture is all of one colour, or nearly.",
    Flag.TINY: "The picture has too few pixels to see much.",
    Flag.BLURRED: "The picture has no sharp edge.",
    Flag.SEEN_BEFORE: "An earlier record of the run has the same picture, or nearly.",
    Flag.STOCK_ANSWER: "Many different pictures of the run got this answer.",
}
#: What each kind means, for people.
MEANINGS: Mapping[str, str] = {
    ViolationKind.EMPTY: "The answer is empty.",
    ViolationKind.PROMPT_ECHO: "The answer repeats a sentence of the prompt.",
    ViolationKind.MALFORMED_TAG: "The answer begins with the tag, but writes it in another way.",
    ViolationKind.WRONG_TAG: "The answer begins with another name in brackets.",
    ViolationKind.LATE_TAG: "The tag is there, but not at the beginning.",
    ViolationKind.MISSING_TAG: "The tag is not there.",
    ViolationKind.TAG_ONLY: "The tag is there, but no word after it.",
    ViolationKind.TRUNCATED: "The answer was cut off by the length limit.",
    **{flag: FLAGGED[flag] for flag in ANSWER_FLAGS},
}


def marked(
    text: str, *, tag: Tag, question: str = "", kind: Kind | None = None, findings: Sequence[Finding] = ()
) -> list[Part]:
    """Take an answer apart.

    Args:
        text: the answer.
        tag: the tag asked for; empty where none was.
        question: what was asked; an echo of it is found.
        kind: how the answer breaks the rule, if it does.
        findings: its flags; where two are about the same words, the first one is marked.

    Returns:
        The parts in order; without those that are missing, they are the text.
    """
    taken = [] if kind is None else [_fault(text, kind, tag, question)]
    for found in findings:
        if found.start is None or found.end is None or found.start >= found.end or found.flag is kind:
            continue
        if all(found.end <= first or last <= found.start for first, last, _ in taken):
            taken.append((found.start, found.end, Part(text[found.start : found.end], Role.FLAG, found.flag)))
    parts, at = list[Part](), 0
    for first, last, part in sorted(taken, key=lambda one: one[:2]):
        parts += [*_with_tags(text[at:first], tag), part]
        at = last
    return [*parts, *_with_tags(text[at:], tag)]


def _fault(text: str, kind: Kind, tag: Tag, question: str) -> tuple[int, int, Part]:
    first, last = fault(text, kind, tag=tag, question=question)
    if first < last:
        return first, last, Part(text[first:last], Role.FAULT)
    return first, last, Part(_MISSING.get(kind, tag), Role.MISSING, MEANINGS[kind])


def kind_of(reason: str | None) -> Kind | None:
    """The kind that a result has as its reason; None where the reason is another one."""
    return parse_kind(reason) if reason is not None and reason in MEANINGS else None


def _with_tags(text: str, tag: Tag) -> Iterator[Part]:
    if not tag:
        yield from [Part(text)] if text else ()
        return
    for part in re.split(f"({re.escape(tag)})", text):
        if part:
            yield Part(part, Role.TAG if part == tag else Role.PLAIN)


def shown_parts(parts: list[Part], most: int) -> list[tuple[str, str, str]]:
    """The role, the harmless text, and the flag of each part, of so many characters in all."""
    given: list[tuple[str, str, str]] = []
    for part in parts:
        if most <= 0:
            given.append(("", "…", ""))
            break
        given.append((part.role, shown(part.text, most), part.why))
        most -= len(part.text)
    return given
