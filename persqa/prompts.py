"""The prompt of an item, and the conversation with which a record is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

SYSTEM_PROMPT = (
    "You describe the main character of an image. The user names the character with a tag. "
    "Answer in one short sentence, begin with the tag exactly as the user writes it, "
    "state only what can be seen, and do not repeat the question."
)

#: The names of the human speaker in conversations.
HUMAN = ("human", "user")


def human_turn(tag: Tag, question: str) -> str:
    """The human turn, byte for byte that of the original operator, with its trailing space.

    Without a tag, the question is a record's own prompt, and is the whole turn.
    """
    if not tag:
        return question
    name, task, asked, demand = prompt_sentences(tag, question)
    return f"{name} {task}\n{asked} {demand}\nAnswer: "


def prompt_sentences(tag: Tag, question: str) -> tuple[str, str, str, str]:
    """The sentences of the human turn; an answer that contains one of them repeats the prompt."""
    return (
        f"The name of the main character in the image is {tag}.",
        f"You need to answer a question about {tag}.",
        f"Question: {question}",
        f"Please answer starting with {tag}!",
    )


def rewrite_conversation(conversation: Sequence[JsonValue] | None, prompt: str) -> list[JsonValue]:
    """Put the prompt into the first human turn, or into a new turn behind the leading system turns."""
    turns = list(conversation or ())
    for index, turn in enumerate(turns):
        if isinstance(turn, dict) and turn.get("from") in HUMAN:
            turns[index] = {**turn, "value": prompt}
            return turns
    systems = [isinstance(turn, dict) and turn.get("from") == "system" for turn in turns]
    front = systems.index(False) if False in systems else len(turns)
    turns.insert(front, {"from": "human", "value": prompt})
    return turns
