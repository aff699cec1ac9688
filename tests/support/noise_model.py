"""The folder of the noise model, a tiny vision-language model of random weights that breaks the tag rule in every way.

It reads images and text as a real model does and answers with decodable noise.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from persqa.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

#: Part of the folder's name; raise it whenever anything in `noise_weights` changes what is built.
VERSION = 1


def noise_model() -> Path:
    """The folder of the noise model, in the user's cache; built when it is not there yet."""
    folder = model_cache() / f"noise-model-{VERSION}"
    if not folder.is_dir():
        build_noise_model(folder)
    return folder


def model_cache() -> Path:
    """The folder of the models that tests build once."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "persqa"


def noise_settings(*, max_images: int = 4, **engine_args: JsonValue) -> Settings:
    """Settings of a worker that serves it."""
    # Left to itself, vLLM takes bfloat16 and warns of every weight that it converts.
    return Settings(model=str(noise_model()), max_images=max_images, engine_args={"dtype": "float32", **engine_args})


def build_noise_model(folder: Path) -> None:
    """Build the model, as `build_model` does."""
    # Imported here: these libraries take ten seconds to load, which every process of the tests would spend.
    from tests.support.noise_weights import write

    build_model(folder, write)


def build_model(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a model; the folder appears complete or not at all, also when several processes build it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(draft)
        try:
            draft.rename(folder)
        except OSError:
            # Another process was first, and its model is the same.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
