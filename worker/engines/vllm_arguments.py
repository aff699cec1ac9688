"""What vLLM is started with: variables of its environment, set when this is imported, and the engine arguments."""

# vLLM ships inline types with holes in them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

# vLLM reads these when it is imported, in its engine process too. That process has to be spawned, because a fork of a
# process with threads can hang. The other variables stop reports to vLLM's makers, and pages of log on every start.
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_DO_NOT_TRACK", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from vllm import AsyncEngineArgs
from vllm.platforms import current_platform

from persqa.errors import SettingsError
from persqa.models import DEMO_MODEL, default_model

if TYPE_CHECKING:
    from persqa.settings import Settings

_DEMO_FOLDER = Path(__file__).with_name("demo_model")


def engine_arguments(settings: Settings) -> dict[str, Any]:
    """What vLLM is started with: our defaults, and over them what the user says.

    Raises:
        SettingsError: the user names an argument that vLLM does not know.
    """
    model = settings.model or default_model()
    known = {field.name for field in fields(AsyncEngineArgs)}
    if unknown := sorted(settings.engine_args.keys() - (known - {"model"})):
        raise SettingsError(
            f"PERSQA_ENGINE_ARGS: {', '.join(unknown)}: vLLM has no such engine argument, or it is set by PERSQA_MODEL"
        )
    defaults: dict[str, Any] = {
        "model": model,
        "limit_mm_per_prompt": {"image": settings.max_images, "video": 0},
        # Statistics cost a little, and only the metrics page shows them: our log level hides vLLM's lines of them.
        "disable_log_stats": settings.metrics_port is None,
        "use_tqdm_on_load": False,
        "seed": 0,
        # This cache exists twice, here and in the engine process. A request that is cancelled or refused between the
        # two lets them drift apart, and then later requests with the same image fail. The engine has one of its own.
        "mm_processor_cache_gb": 0,
        # The engine process may get the same SIGTERM as the worker, and is to finish what is in flight.
        "shutdown_timeout": int(settings.drain_seconds),
    }
    if current_platform.is_cpu():
        defaults["enforce_eager"] = True
        # Prompts share whole blocks only, and a block of 128 tokens is longer than an image and its frame.
        defaults["block_size"] = 32
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    if model == DEMO_MODEL:
        defaults["model"] = str(_DEMO_FOLDER)
        # Processors without AVX-512 emulate bfloat16, which is five times as slow as float32.
        if current_platform.is_cpu():
            defaults["dtype"] = "float32"
    # An older vLLM may lack some of the defaults.
    return {name: value for name, value in defaults.items() if name in known} | settings.engine_args
