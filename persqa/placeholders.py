"""Placeholder: a word that trainers or models replace by a picture, a sound or a mark of their own."""

from __future__ import annotations

import re

#: Kinds of media, of which trainers count the words; models have more words that begin so.
_MEDIA = ("image", "video", "audio")
_MEDIA_ENDINGS = ("placeholder", "token", "soft_token", "patch", "pad", "start", "end", "newline", "sep", r"\d+")
#: Of LLaVA, ms-swift, and the vocabularies of models.
_NAMES = (
    "im_patch", "im_start", "im_end", "img", "IMG_CONTEXT", "start-image", "start_of_image", "end_of_image",
    "begin_of_image", "fake_token_around_image", "global-img", "bbox", "box", "ref", "ref-object", "quad",
    "cot-process", "s", "bos", "eos", "pad", "unk", "mask", "start_of_turn", "end_of_turn", "end_of_utterance",
)  # fmt: skip
_PLACEHOLDER = re.compile(
    rf"</?(?:(?i:{'|'.join(_MEDIA)})s?(?:\d+|[_-](?:{'|'.join(_MEDIA_ENDINGS)}))?|{'|'.join(_NAMES)})>"
    # Qwen's <|image_pad|>, Llama's <|eot_id|> and their like; DeepSeek writes other lines.
    r"|<[|\uff5c][^<>\s]{1,64}[|\uff5c]>"
    # Mistral's.
    r"|\[/?(?:INST|IMG|IMG_BREAK|IMG_END|SYSTEM_PROMPT)\]|<</?SYS>>"
)
#: All of them, for people.
LISTED = ", ".join([*(f"<{name}>" for name in (*_MEDIA, *_NAMES)), "<|...|>", "[INST]", "[IMG]"])


def placeholder_in(text: str) -> str | None:
    """The first placeholder in a text, if there is one."""
    found = _PLACEHOLDER.search(text)
    return found and found.group()


def what_is_wrong(placeholder: str) -> str:
    """Why a text must not have it, and which others are of its kind."""
    return (
        f"trainers and models take {placeholder} for the place of a picture, a sound or a mark of their own, and so "
        f"they do {LISTED}"
    )
