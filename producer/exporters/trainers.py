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
        formats: those that the trainer opens, each by its suffix; empty for any.
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
    formats: tuple[str, ...] = ()
    paths: Paths = Paths.RELATIVE
    fetches: tuple[str, ...] = ("http", "https")
    decoded: bool = False


_FILES = ("json", "jsonl", "parquet")
FORMS = {
    Trainer.SHAREGPT: Form(),
    # Its scripts stop at a speaker that is neither human nor gpt.
    Trainer.LLAVA: Form(system=False, fetches=(), formats=("json", "jsonl")),
    Trainer.LLAMA_FACTORY: Form(fetches=(), formats=_FILES),
    Trainer.MS_SWIFT: Form(formats=_FILES),
    # It has no folder of images, and puts the images in front of the first question itself.
    Trainer.TRL: Form(
        images="images", always_list=True, turns="messages", speaker="role", text="content", human="user",
        model="assistant", placeholder="", paths=Paths.ABSOLUTE, decoded=True,
        formats=(*_FILES, "hf"),
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


def check_file(target: Path, file_format: str, form: Form) -> None:
    """Raise InputError if the trainer would not open the file, or not know what it is."""
    if not form.formats or (
        file_format in form.formats and (file_format == "hf" or target.suffix == f".{file_format}")
    ):
        return
    files = ", ".join(f".{name}" for name in form.formats if name != "hf")
    raise InputError(
        f"{target}: this trainer reads {files} files{', and hf' * ('hf' in form.formats)}: choose one of them"
    )
