"""Servings that need no model, and records to give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persqa.dataflow import (
    FileStorage,
    LLMServingABC,
)
from persqa.runs import RunOptions, Sampling
from persqa.settings import load_settings
from producer.dataflow.asks import Answer, Ask
from producer.dataflow.servings import PersQAServing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Echo(PersQAServing):
    """Answers with the record's position; knows what it was asked."""

    def __init__(self) -> None:
        super().__init__(sampling=Sampling(), seed=5, settings=load_settings(max_images=2))
        self.asked: list[Ask] = []
        self.options: list[RunOptions] = []

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> Iterator[Answer]:
        self.options.append(options)
        for ask in asks:
            self.asked.append(ask)
            yield Answer(text=f"{ask.tag} has {ask.position}")

    def cleanup(self) -> None:
        """Nothing to free."""


class Original(LLMServingABC):
    """Anybody's serving, which knows nothing of ours."""

    def __init__(self, answers: list[str] | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._answers = answers

    def generate_from_input(self, user_inputs: list[str], system_prompt: str) -> list[str | None]:
        raise AssertionError(f"this one takes messages, not {user_inputs} and {system_prompt}")

    def generate_from_input_messages(self, **call: Any) -> list[str]:
        self.calls.append(call)
        return self._answers or [f"answer {number}" for number, _ in enumerate(call["conversations"])]

    def cleanup(self) -> None:
        """Nothing to free."""


class APIVLMServing_openai(Original):  # noqa: N801 - the original's name
    """By its name, the one that wants roles."""


RECORDS: list[dict[str, Any]] = [
    {"image": ["a.png"], "source": "s", "conversation": [{"from": "human", "value": ""}]},
    {"image": "b.png", "id": 2},
    {"image": ["c.png", "d.png"], "tag": "bob"},
    {"text": "no image"},
    {"image": None, "conversation": None},
    {"image": 7, "conversation": "?"},
    {"image": ["1", "2", "3"]},
]


def storage(folder: Path, kind: Any, first: str = "", **options: Any) -> FileStorage:
    made = FileStorage(first, cache_path=str(folder / "cache"), file_name_prefix="p", cache_type=kind, **options)
    made.step()
    return made


def on_disk(tmp_path: Path, records: list[dict[str, Any]], kind: str = "json") -> FileStorage:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(records))
    return storage(tmp_path, kind, str(path))


def written(made: FileStorage) -> list[dict[str, Any]]:
    made.step()
    return made.read("dict")
