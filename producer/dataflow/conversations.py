"""Conversations as DataFlow's operators hand them over, and the one prompt that is in each of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HUMAN = ("human", "user")
#: Marks the place of an image for original servings; ours know the images and put them before the text.
_PLACEHOLDERS = re.compile(r"<image>\n?")


def prompt_of(conversation: Sequence[Mapping[str, JsonValue]]) -> str:
    """The words of its one human turn.

    Args:
        conversation: turns with `from` and `value`, or with `role` and `content`; an empty answer behind the human
            turn is the one to be written, and a system turn is left to the `system_prompt` of the call.

    Raises:
        ValueError: there is not exactly one human turn, or something was said before.
    """
    human: list[str] = []
    for turn in conversation:
        speaker, words = turn.get("from", turn.get("role")), _words(turn.get("value", turn.get("content")))
        if speaker in _HUMAN:
            human.append(words)
        elif speaker != "system" and words.strip():
            raise ValueError(f"the conversation goes on from an answer ({words[:40]!r}): one question can be asked")
    if len(human) != 1:
        raise ValueError(f"the conversation has {len(human)} human turns, it must have exactly one")
    return _PLACEHOLDERS.sub("", human[0])


def labelled_prompt(prompt: str, labels: Sequence[str]) -> str:
    """The prompt, and below it what each of the images before it is called."""
    lines = [f"Image {number}: {label}" for number, label in enumerate(labels, 1) if label]
    return "\n".join([prompt, *lines] if prompt else lines)


def _words(content: JsonValue) -> str:
    """Text, or the text parts of a list of parts; images are given beside the conversation."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")
