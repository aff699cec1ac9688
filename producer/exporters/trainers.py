"""Trainers, and the form of a dialogue that each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from persqa.choices import parse_choice
from persqa.errors import InputError
from producer.exporters.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path


class Trainer(StrEnum):
    """Who is to read an export of dialogues."""

    SHAREGPT = "sharegpt"  #: no one in particular: the form that LLaMA-Factory and ms-swift read
    LLAVA = "llava"  #: also LLaVA-NeXT, and the scripts of Qwen-VL
    LLAMA_FACTORY = "llama-factory"
    MS_SWIFT = "ms-swift"
    TRL = "trl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a dialogue looks like.

    Attributes:
        images: the name of the field with the images.
        always_list: whether that is a list even where no record has several, and empty where there is none.
        turns: the name of the field with the turns.
        speaker: the name of the speaker's field in a turn.
        text: the name of the text's field in a turn.
        human: what the one who asks is called.
        model: what the one who answers is called.
        placeholder: stands for each image in front of the first question.
        system: whether the trainer takes a system turn.
        suffixes: by which the trainer knows what a file is; empty where it does not look.
        paths: how files are referred to if nobody says it.
        fetches: the schemes of the URLs that it opens.
        decoded: whether it wants images decoded, and so leaves that to `datasets`.
    """

    images: str = "image"
    always_list: bool = False
    turns: str = "conversations"
    speaker: str = "from"
    text: str = "value"
    human: str = "human"
    model: str = "gpt"
    placeholder: str = "<image>\n"
    system: bool = True
    suffixes: tuple[str, ...] = ()
    paths: Paths = Paths.RELATIVE
    fetches: tuple[str, ...] = ("http", "https")
    decoded: bool = False


FORMS = {
    Trainer.SHAREGPT: Form(),
    # Its scripts stop at a speaker that is neither human nor gpt.
    Trainer.LLAVA: Form(system=False, fetches=(), suffixes=(".json", ".jsonl")),
    Trainer.LLAMA_FACTORY: Form(fetches=(), suffixes=(".json", ".jsonl", ".parquet")),
    Trainer.MS_SWIFT: Form(suffixes=(".json", ".jsonl", ".parquet")),
    # It has no folder of images, and puts the images in front of the first question itself.
    Trainer.TRL: Form(
        images="images", always_list=True, turns="messages", speaker="role", text="content", human="user",
        model="assistant", placeholder="", paths=Paths.ABSOLUTE, decoded=True,
    ),
}  # fmt: skip


def form_for(chat: bool | str | None) -> Form | None:
    """The form of dialogues for a trainer; None where dialogues are not asked for.

    Raises:
        SettingsError: there is no such trainer.
    """
    if isinstance(chat, bool) or chat is None:
        return FORMS[Trainer.SHAREGPT] if chat else None
    return FORMS[parse_choice(chat, Trainer, name="trainer")]


def check_suffix(target: Path, file_format: str, form: Form) -> None:
    """Raise InputError if the trainer would not know what the file is."""
    if form.suffixes and not (target.suffix in form.suffixes and target.suffix == f".{file_format}"):
        raise InputError(f"{target}: this trainer reads {', '.join(form.suffixes)} files, choose one of them")
