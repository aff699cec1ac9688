"""Changes to vLLM's own processes, which load this through the entry point `vllm.general_plugins`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import cache

from vllm.platforms import current_platform

from persqa.phases import Phase
from worker.engines import vllm_inner
from worker.engines.loading_steps import tell_step


def register() -> None:
    """Apply the changes; vLLM calls this in each of its processes, in some more than once."""
    vllm_inner.count_whole_images()
    if multiprocessing.parent_process() is None:
        return
    _leave_process_group()
    _die_with_parent()
    _tell_steps()
    if current_platform.is_cpu():
        vllm_inner.keep_generators_during_chunked_prefill()


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
    vllm_inner.before_caches(lambda: tell_step(Phase.PROFILING))
