"""The prompt of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persqa.tags import Tag

SYSTEM_PROMPT = (
    "You describe the main character of an image. The user names the character with a tag. "
    "Answer in one short sentence, begin with the tag exactly as the user writes it, "
    "state only what can be seen, and do not repeat the question."
)


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
