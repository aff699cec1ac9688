"""Provenance: what this worker answers with, as it is noted for each run that it stores results of."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import persqa
from persqa.models import DEMO_MODEL, engine_version
from persqa.provenance import Provenance, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from threading import Event

    from persqa.settings import Settings

_DEMO_FOLDER = Path(__file__).parent / "demo_model"
#: Of the hub's cache: MODEL/snapshots/COMMIT holds the files of one commit.
_SNAPSHOTS = "snapshots"
_LONGEST_NAME = 100


def finding(model: str, settings: Settings, threads: Executor, *, stop: Event) -> Callable[[], Provenance]:
    """Begin to find out what a worker answers with; gives what waits for it, and is to be called after loading.

    A folder of one's own is read while the model is loaded from it; what comes from the hub may not be here before.
    """
    find = partial(provenance_of, model, settings, stop=stop)
    return threads.submit(find).result if Path(model).is_dir() else find


def provenance_of(model: str, settings: Settings, *, stop: Event) -> Provenance:
    """What a worker with this model answers with; this reads all its files, unless they are in the hub's cache.

    Args:
        model: the name of the model.
        settings: those of the worker.
        stop: when set, nobody wants to know any more.
    """
    given = settings.engine_args.get("revision")
    folder = _folder(model, given if isinstance(given, str) else None)
    is_vllm = settings.engine.startswith("worker.engines.vllm_")
    return Provenance(
        model=model,
        files="" if folder is None else digest_of(folder, stop=stop.is_set),
        revision=folder.name[:64] if folder is not None and folder.parent.name == _SNAPSHOTS else "",
        engine=((is_vllm and engine_version()) or settings.engine)[:_LONGEST_NAME],
        version=persqa.__version__,
    )


def _folder(model: str, revision: str | None) -> Path | None:
    """Where the files of a model are, once it is loaded: a folder of one's own, or one of the hub's cache."""
    if model == DEMO_MODEL:
        return _DEMO_FOLDER
    if Path(model).is_dir():
        return Path(model)
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except (ImportError, ValueError):
        # Without the library there is no cache, and what is no name of the hub is in none.
        return None
    return Path(found).parent if isinstance(found, str) else None
