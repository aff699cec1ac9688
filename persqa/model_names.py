"""One name for one model, because queues are named after models."""

from __future__ import annotations

from pathlib import PurePosixPath


def model_name(given: str | None) -> str | None:
    """The name of a model as it is compared: a folder without needless slashes; None for no name.

    `/models/x`, `/models/x/` and `/models//x` are the same folder. Names of the hub stay as they are.
    """
    if not given:
        return None
    return given.rstrip("/") if "://" in given else str(PurePosixPath(given))
