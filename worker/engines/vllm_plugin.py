"""Changes to vLLM's own processes, which load this through the entry point `vllm.general_plugins`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from vllm.platforms import current_platform

from persqa.phases import Phase
from worker.engines.loading_steps import tell_step

if TYPE_CHECKING:
    from collections.abc import Callable


def register() -> None:
    """Apply the changes; vLLM calls this in each of its processes, in some more than once."""
    if multiprocessing.parent_process() is None:
        return
    _leave_process_group()
    _die_with_parent()
    _tell_steps()
    if current_platform.is_cpu():
        _keep_generators_during_chunked_prefill()


@cache
def _leave_process_group() -> None:
    """Leave the process group, because Ctrl-C signals all of it and the worker needs the engine to finish."""
    os.setpgrp()


@cache
def _die_with_parent() -> None:
    """End this process, which holds the GPU's memory, when its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="persqa-parent", daemon=True).start()


@cache
def _tell_steps() -> None:
    """Tell the worker that the weights are read now, and later that they are."""
    tell_step(Phase.WEIGHTS)
    # In the process that has it. Where another vLLM has another name for it, people only know less.
    core: Any = getattr(sys.modules.get("vllm.v1.engine.core"), "EngineCore", None)
    original: Callable[..., Any] | None = getattr(core, "_initialize_kv_caches", None)
    if original is None:
        return

    @wraps(original)
    def initialize(*arguments: Any, **options: Any) -> Any:
        tell_step(Phase.PROFILING)
        return original(*arguments, **options)

    core._initialize_kv_caches = initialize  # noqa: SLF001


@cache
def _keep_generators_during_chunked_prefill() -> None:
    """Repair seeded sampling on the CPU, which would end the engine (vLLM 0.24 to 0.32).

    vLLM reads a long prompt in several steps (chunked prefill). After each step it samples a token, discards it, and
    sets the request's random generator back. On the CPU this raises, and the engine ends. So these generators are put
    aside during the step.
    """
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    original: Callable[..., Any] = GPUModelRunner.sample_tokens

    @wraps(original)
    def sample_tokens(runner: Any, *arguments: Any) -> Any:
        batch = runner.input_batch
        unread = runner.discard_request_mask.np[: batch.num_reqs].nonzero()[0].tolist()
        aside = {row: batch.generators.pop(row) for row in unread if row in batch.generators}
        try:
            return original(runner, *arguments)
        finally:
            batch.generators.update(aside)

    GPUModelRunner.sample_tokens = sample_tokens  # pyright: ignore[reportAttributeAccessIssue] - meant
