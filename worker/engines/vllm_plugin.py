"""What PersQA changes in vLLM's own processes; vLLM loads it there by the entry point `vllm.general_plugins`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from vllm.platforms import current_platform

if TYPE_CHECKING:
    from collections.abc import Callable


def register() -> None:
    """Called by vLLM in each of its processes, more than once in some."""
    if multiprocessing.parent_process() is None:
        return
    _leave_process_group()
    _die_with_parent()
    if current_platform.is_cpu():
        _keep_generators_during_chunked_prefill()


@cache
def _leave_process_group() -> None:
    """A signal to the whole group, as Ctrl-C sends it, tells the worker to finish: the engine is needed for that."""
    os.setpgrp()


@cache
def _die_with_parent() -> None:
    """End this process when the one that started it is gone: left to itself, it would keep the GPU's memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="persqa-parent", daemon=True).start()


@cache
def _keep_generators_during_chunked_prefill() -> None:
    """Mend seeded sampling on the CPU, where it would end the engine (vLLM 0.24 to 0.32).

    While a prompt is read in several steps, vLLM samples after each of them, throws the token away, and turns the
    request's random generator back. A generator on the CPU cannot be turned back: it raises, and the engine ends for
    everyone. So those generators are put aside for the step, and the step leaves them untouched.
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
