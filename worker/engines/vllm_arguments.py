"""vLLM's environment variables, set when this is imported, and its engine arguments."""

from __future__ import annotations

import os
import secrets
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

# vLLM reads these when it is imported, in its engine process too. That process has to be spawned, because a fork of a
# process with threads can hang. The other variables stop usage reports, and pages of log at every start: what it warns
# of there is the hardware and libraries as they are, and VLLM_LOGGING_LEVEL=INFO shows all of it.
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_DO_NOT_TRACK", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
# For its processes, and for Python's helper that tidies up after those that were killed.
os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning,ignore:resource_tracker:UserWarning")

from vllm import AsyncEngineArgs
from vllm.platforms import current_platform

from persqa.errors import SettingsError
from persqa.models import DEMO_MODEL, default_model
from persqa.words import nearest
from worker.engines.vllm_sizes import fitting

if TYPE_CHECKING:
    from persqa.settings import Settings

_DEMO_FOLDER = Path(__file__).with_name("demo_model")


def _refusal(name: str, known: set[str]) -> str:
    if name == "model":
        return "engine argument 'model': the model has an option of its own (--model, PERSQA_MODEL)"
    near = nearest(name, known)
    return f"vLLM has no engine argument {name!r}" + ("" if near is None else f"; did you mean {near}?")


def engine_arguments(settings: Settings) -> dict[str, Any]:
    """The engine arguments: our defaults, and what fits the model, overridden by those in the settings.

    Raises:
        SettingsError: vLLM does not know an argument.
        Exception: the model's configuration cannot be read; vLLM, transformers and the hub have any kind of error.
    """
    model = settings.model or default_model()
    known = {field.name for field in fields(AsyncEngineArgs)}
    if unknown := sorted(settings.engine_args.keys() - (known - {"model"})):
        raise SettingsError("; ".join(_refusal(name, known - {"model"}) for name in unknown))
    defaults: dict[str, Any] = {
        "model": model,
        "limit_mm_per_prompt": {"image": settings.max_images, "video": 0},
        # Statistics cost a little, and only the metrics page shows them.
        "disable_log_stats": settings.metrics_port is None,
        "use_tqdm_on_load": False,
        # For requests without a seed of their own. A new one each time: no two workers draw the same, and an item that
        # is asked again after a restart is not given the same answer again.
        "seed": secrets.randbits(31),
        # This cache exists in both processes. A request that is cancelled or refused between them lets the caches
        # drift apart, and later requests with the same image fail. VllmEngine has its own.
        "mm_processor_cache_gb": 0,
        # The engine process may get the same SIGTERM as the worker, and has to finish its requests.
        "shutdown_timeout": int(settings.drain_seconds),
    }
    if current_platform.is_cpu():
        defaults["enforce_eager"] = True
        # Prompts share whole blocks only, and 128 tokens, the default, are longer than an image and its frame.
        defaults["block_size"] = 32
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    if model == DEMO_MODEL:
        defaults["model"] = str(_DEMO_FOLDER)
        # Processors without AVX-512 emulate bfloat16, which is five times as slow as float32.
        if current_platform.is_cpu():
            defaults["dtype"] = "float32"
    # An older vLLM may lack some of the defaults.
    given = {name: value for name, value in defaults.items() if name in known} | settings.engine_args
    return given | fitting(given, settings)
