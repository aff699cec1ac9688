"""The tag rule: an answer starts with the exact tag, and then says something."""

from __future__ import annotations

import html
import re
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from persqa.flags import ANSWER_FLAGS, Finding, Flag
from persqa.generations import FinishReason, Generation
from persqa.prompts import prompt_sentences
from persqa.tags import Tag


class ViolationKind(StrEnum):
    """How an answer breaks the tag rule."""

    EMPTY = "empty"  #: nothing but white space
    PROMPT_ECHO = "prompt_echo"  #: repeats a sentence of the prompt
    MALFORMED_TAG = "malformed_tag"  #: starts with the tag in another case, spacing, quotes, markdown or entities
    WRONG_TAG = "wrong_tag"  #: starts with another bracketed name
    LATE_TAG = "late_tag"  #: the tag is there, but not first
    MISSING_TAG = "missing_tag"  #: the tag is not there
    TAG_ONLY = "tag_only"  #: the tag, and no word after it
    TRUNCATED = "truncated"  #: starts well, but was cut off by the length limit


#: How a generation breaks the rule of a run: the tag rule, or a flag that the run rejects.
Kind: TypeAlias = ViolationKind | Flag
KINDS: tuple[Kind, ...] = (*ViolationKind, *ANSWER_FLAGS)
_OF_TAGS = frozenset(map(str, ViolationKind))


def parse_kind(stored: str) -> Kind:
    """The kind of this name; raises ValueError where there is none."""
    return ViolationKind(stored) if stored in _OF_TAGS else Flag(stored)


# Characters that models put before a tag: quotes, markdown, brackets, bullets.
_DECORATION = r"[\s\"'`*_~#>|\\\-–—“”‘’«»(\[{]*"
#: Characters in which a tag that is written wrongly is looked for.
_LONGEST_START = 200
_BRACKETED = re.compile(_DECORATION + r"[<＜‹]\s*/?\s*[A-Za-z][\w-]{0,63}\s*/?\s*[>＞›]")


def judge(generation: Generation, *, tag: Tag, question: str) -> ViolationKind | None:
    """Judge one generation; None if it is compliant, else the first kind that fits, in the order of `ViolationKind`.

    Without a tag, every generation is compliant. The question serves to recognise an echo of the prompt.
    """
    kind = judge_text(generation.text, tag=tag, question=question)
    if tag and kind is None and generation.finish_reason is FinishReason.LENGTH:
        return ViolationKind.TRUNCATED
    return kind


def judge_text(text: str, *, tag: Tag, question: str) -> ViolationKind | None:
    """The same for a text that is whole, whoever wrote it."""
    return _form(text.lstrip(), tag, question) if tag else None


def findings(generation: Generation, *, tag: Tag, question: str) -> tuple[Finding, ...]:
    """The flags of a generation, whatever the tag rule says of it."""
    # Imported here, as below: most programs look for none.
    from persqa.flags.answers import flags_of_answer

    return flags_of_answer(generation.text, question=question, tag=tag, finish_reason=generation.finish_reason)


def fault(text: str, kind: Kind, *, tag: Tag, question: str) -> tuple[int, int]:
    """Where an answer breaks the rule: the first and the last place, as in a slice.

    Both are the same where something is missing there: the tag at the beginning, or words at the end.
    """
    if isinstance(kind, Flag):
        return _place(text, kind, tag=tag, question=question)
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    match kind:
        case ViolationKind.PROMPT_ECHO:
            return _echo(text, tag, question) or (start, end)
        case ViolationKind.MALFORMED_TAG:
            return start, _end_of(_malformed(tag), text, start)
        case ViolationKind.WRONG_TAG:
            return start, _end_of(_BRACKETED, text, start)
        case ViolationKind.LATE_TAG:
            return start, max(start, text.find(tag))
        case ViolationKind.EMPTY | ViolationKind.MISSING_TAG:
            return start, start
        case ViolationKind.TAG_ONLY | ViolationKind.TRUNCATED:
            return end, end


def _place(text: str, flag: Flag, *, tag: Tag, question: str) -> tuple[int, int]:
    """Where a flag is found; all of the text where it has no place of its own."""
    from persqa.flags.answers import flags_of_answer

    found = flags_of_answer(text, question=question, tag=tag, finish_reason=FinishReason.STOP)
    for finding in found:
        if finding.flag is flag and finding.start is not None and finding.end is not None:
            return finding.start, finding.end
    return 0, len(text)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """The end of the shortest beginning that matches, which may be written with entities."""
    for end in range(start + 1, min(len(text), start + _LONGEST_START) + 1):
        if pattern.match(html.unescape(text[start:end])):
            # An entity is understood without its semicolon, too.
            return end + (text[end : end + 1] == ";" and "&" in text[start:end])
    return start


def _echo(text: str, tag: Tag, question: str) -> tuple[int, int] | None:
    """Where the first sentence of the prompt stands, whatever its case and spacing."""
    for sentence in prompt_sentences(tag, question):
        words = r"\s+".join(map(re.escape, sentence[:-1].split()))
        if found := re.search(words + re.escape(sentence[-1:]) + "?", text, re.IGNORECASE):
            return found.span()
    return None


def _form(text: str, tag: Tag, question: str) -> ViolationKind | None:
    if not text:
        return ViolationKind.EMPTY
    folded = _folded(text)
    if any(sentence in folded for sentence in _folded_prompt(tag, question)):
        return ViolationKind.PROMPT_ECHO
    if text.startswith(tag):
        spoken = any(character.isalnum() for character in text.replace(tag, ""))
        return None if spoken else ViolationKind.TAG_ONLY
    plain = html.unescape(text)
    if _malformed(tag).match(plain):
        return ViolationKind.MALFORMED_TAG
    if _BRACKETED.match(plain):
        return ViolationKind.WRONG_TAG
    return ViolationKind.LATE_TAG if tag in text else ViolationKind.MISSING_TAG


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@lru_cache(maxsize=4096)
def _folded_prompt(tag: Tag, question: str) -> tuple[str, ...]:
    # Without the last character, after which an echo may differ.
    return tuple(_folded(sentence)[:-1] for sentence in prompt_sentences(tag, question))


@lru_cache(maxsize=1024)
def _malformed(tag: Tag) -> re.Pattern[str]:
    """Matches the tag's name at the start in any case, any bracket, spacing or decoration."""
    name = re.escape(tag[1:-1])
    return re.compile(rf"{_DECORATION}[<＜‹\[({{]\s*/?\s*{name}\s*[/\\]?\s*[>＞›\])}}]", re.IGNORECASE)
