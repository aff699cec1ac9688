"""The folder of a tiny model of Qwen2.5-VL's shape: true image processor, tokens and chat template; random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.noise_model import build_model, model_cache

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the folder's name; raise it whenever anything in `qwen_weights` changes what is built.
VERSION = 3


def qwen_model(folder: Path | None = None) -> Path:
    """The folder of the model, built in seconds when it is not there yet; by default it is in the user's cache."""
    folder = folder or model_cache() / f"qwen-model-{VERSION}"
    if not folder.is_dir():
        # Imported here, as in `build_noise_model`.
        from tests.support.qwen_weights import write

        build_model(folder, write)
    return folder
