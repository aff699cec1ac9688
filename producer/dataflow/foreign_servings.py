"""Servings of other packages: they are asked as the original operator asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persqa.errors import UserError
from producer.dataflow.asks import Answer, Ask, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The one of the original's servings that wants turns with `role` and `content`, and no placeholders for images.
_API = "APIVLMServing_openai"


def ask_foreign(serving: Any, asks: Sequence[Ask], system_prompt: str) -> Iterator[tuple[int, Answer]]:
    """The refusals of what cannot be asked, and then the answers; positions and answers.

    Raises:
        UserError: the serving takes no images, or gives not one answer for each prompt.
    """
    for ask in asks:
        if ask.error is not None:
            yield ask.position, refusal(ask.error)
    askable = [ask for ask in asks if ask.error is None]
    if not askable:
        return
    texts = _generate(serving, askable, system_prompt)
    if len(texts) != len(askable):
        raise UserError(f"{type(serving).__name__} gave {len(texts)} answers to {len(askable)} prompts")
    for ask, text in zip(askable, texts, strict=True):
        yield ask.position, Answer(text=text, reason=None if text else "no_answer")


def _generate(serving: Any, asks: Sequence[Ask], system_prompt: str) -> Sequence[str | None]:
    pictured = any(ask.images for ask in asks)
    if hasattr(serving, "generate_from_input_messages"):
        return serving.generate_from_input_messages(
            conversations=[_conversation(serving, ask) for ask in asks],
            image_list=[list(ask.images) for ask in asks] if pictured else None,
            system_prompt=system_prompt,
        )
    if pictured:
        raise UserError(f"{type(serving).__name__} takes no images: it has no generate_from_input_messages")
    return serving.generate_from_input([ask.prompt for ask in asks], system_prompt)


def _conversation(serving: object, ask: Ask) -> list[dict[str, str]]:
    if any(base.__name__ == _API for base in type(serving).__mro__):
        return [{"role": "user", "content": ask.prompt}]
    return [{"from": "human", "value": "<image>" * len(ask.images) + ask.prompt}]
