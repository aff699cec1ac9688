"""PersQAGeneratorPrompt: the parts a prompt is made of, in the form that DataFlow operators know."""

from __future__ import annotations

from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import TAG_FIELD, load_pool
from persqa.tags import Tag

#: Where DataFlow's question templates have the name of the main character.
SKS = "<sks>"


class PersQAGeneratorPrompt:
    """Templates of the question and of the turn it is asked in."""

    def __init__(self) -> None:
        """Load the questions."""
        self.qa_template = {"obj_qs": _questions("object"), "human_qs": _questions("human")}

    def build_prompt(self) -> tuple[str, dict[str, list[str]], str]:
        """The human turn with `{sks}` and `{query}` to fill in, the questions with `<sks>`, and the system prompt."""
        return human_turn(Tag("<{sks}>"), "{query}"), self.qa_template, SYSTEM_PROMPT


def _questions(pool: str) -> list[str]:
    return [question.template.replace(TAG_FIELD, SKS) for question in load_pool(pool).questions]
