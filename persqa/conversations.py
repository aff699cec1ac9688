"""Conversations of records: turns with `from` and `value`, as in LLaVA, or with `role` and `content`, as in OpenAI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.words import kind_of_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

Turn: TypeAlias = "Mapping[str, JsonValue]"

#: The names of the human speaker in conversations.
HUMAN: Final = ("human", "user")
#: The name of who tells the model what to do.
SYSTEM: Final = "system"
#: Where records have their conversation; only the first one is that of PersQA, which exports write into.
FIELDS: Final = ("conversation", "conversations", "messages")

#: Marks an image in the text of a turn; the engine is given the images, and puts them before the text.
_IMAGE_TOKENS = re.compile(r"<image>\n?")


def speaker_of(turn: Turn) -> str | None:
    """Who speaks; None where no turn says so."""
    found = turn.get("role") if _has_roles(turn) else turn.get("from")
    return found if isinstance(found, str) else None


def words_of(turn: Turn) -> str:
    """What is said; of a list of parts, the text."""
    content = _content(turn)
    if isinstance(content, str):
        return content
    return "".join(_text_of(part) or "" for part in content) if isinstance(content, list) else ""


def without_image_tokens(text: str) -> str:
    """The text of a turn as a model is asked it."""
    return _IMAGE_TOKENS.sub("", text)


def check_conversation(value: JsonValue) -> None:
    """Expect a list of turns with speakers, or null; a turn's text may be null.

    Raises:
        RecordError: it is something else.
    """
    if value is None:
        return
    if not isinstance(value, list):
        raise RecordError(Reason.BAD_CONVERSATION, f"expected a list in `conversation`, found {kind_of_json(value)}")
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, dict) or speaker_of(turn) is None:
            said = f'turn {number} is not an object with "from" and "value", or "role" and "content"'
            raise RecordError(Reason.BAD_CONVERSATION, said)
        content, name = _content(turn), "content" if _has_roles(turn) else "value"
        if not (isinstance(content, str | None) or _are_parts(content)):
            message = f'turn {number}: "{name}" must be text or a list of parts, found {kind_of_json(content)}'
            raise RecordError(Reason.BAD_CONVERSATION, message)


def system_of(record: Mapping[str, JsonValue]) -> str:
    """The system turns of a record's conversation as one text, whichever field it is in; empty if there is none."""
    for name in FIELDS:
        value = record.get(name)
        turns = [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else []
        if any(speaker_of(turn) is not None for turn in turns):
            return "\n\n".join(filter(None, (words_of(turn) for turn in turns if speaker_of(turn) == SYSTEM)))
    return ""


def rewrite_conversation(conversation: Sequence[JsonValue] | None, prompt: str) -> list[JsonValue]:
    """Put the prompt into the first human turn, or into a new turn behind the leading system turns."""
    turns = list(conversation or ())
    speakers = [speaker_of(turn) if isinstance(turn, dict) else None for turn in turns]
    for index, (turn, speaker) in enumerate(zip(turns, speakers, strict=True)):
        if isinstance(turn, dict) and speaker in HUMAN:
            turns[index] = _saying(turn, prompt)
            return turns
    front = next((index for index, speaker in enumerate(speakers) if speaker != SYSTEM), len(turns))
    roles = any(isinstance(turn, dict) and _has_roles(turn) for turn in turns)
    turns.insert(front, {"role": "user", "content": prompt} if roles else {"from": "human", "value": prompt})
    return turns


def _has_roles(turn: Turn) -> bool:
    return turn.get("from") is None and "role" in turn


def _content(turn: Turn) -> JsonValue:
    """What a turn says: files with columns have the fields of either form, one of them null."""
    given = ("content", "value") if _has_roles(turn) else ("value", "content")
    return next((turn[name] for name in given if turn.get(name) is not None), None)


def _are_parts(content: JsonValue) -> bool:
    return isinstance(content, list) and all(isinstance(part, (str, dict)) for part in content)


def _text_of(part: JsonValue) -> str | None:
    """The text of a part; None for an image and whatever else a turn may show."""
    if isinstance(part, dict):
        found = part.get("text") if part.get("type", "text") == "text" else None
        return found if isinstance(found, str) else None
    return part if isinstance(part, str) else None


def _saying(turn: Turn, prompt: str) -> dict[str, JsonValue]:
    """The turn with the prompt as its text; parts that are no text stay."""
    name = "content" if _has_roles(turn) else "value"
    content = _content(turn)
    if not isinstance(content, list):
        return {**turn, name: prompt}
    parts = [part for part in content if _text_of(part) is None]
    return {**turn, name: [*parts, {"type": "text", "text": prompt}]}
