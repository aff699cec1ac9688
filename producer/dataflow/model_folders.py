"""Model folders: what has to be known of a model before it is loaded."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, cast

from persqa.models import DEMO_MODEL


def downloaded(name: str, folder: str) -> str:
    """A model of the hub in a folder of the caller's; one that is a folder already stays where it is."""
    if Path(name).exists():
        return name
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

    return snapshot_download(name, local_dir=folder)


def context_of(model: str) -> int | None:
    """How many tokens a model in a folder can take; None where it is not in a folder, or does not say."""
    folder = resources.files("worker.engines") / "demo_model" if model == DEMO_MODEL else Path(model)
    try:
        config = cast("dict[str, Any]", json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError):
        return None
    found = config.get("text_config", config).get("max_position_embeddings")
    return found if isinstance(found, int) else None
