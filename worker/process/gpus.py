"""GPUs: lists, names and groups the GPUs of this machine by means of `nvidia-smi`; CUDA is not loaded."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import SettingsError
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import JsonValue

logger = logging.getLogger(__name__)

#: Variable that names the GPUs which CUDA shows to a process; CUDA numbers those from 0.
VISIBLE = "CUDA_VISIBLE_DEVICES"
#: Stands for all visible GPUs.
ALL = "all"

#: Longest wait for nvidia-smi; without persistence mode the driver first wakes up each GPU.
_ANSWER_SECONDS = 60.0
#: Time for a killed nvidia-smi to end; one that hangs in the driver never ends.
_KILL_SECONDS = 1.0

_PROGRAM = "nvidia-smi"
_GPU_LINE = re.compile(r"GPU (\d+): (.+) \(UUID: (GPU-[^)\s]+)\)\s*")
_MIG_LINE = re.compile(r"\s+(MIG \S.*?)\s+Device\s+(\d+): \(UUID: (MIG-[^)\s]+)\)\s*")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device that an engine can have for itself.

    Attributes:
        number: its number for nvidia-smi, from 0; for a MIG device the number of its GPU and its own, as in 0:1.
        name: the product name.
        uuid: stays the same when the machine restarts.
    """

    number: str
    name: str
    uuid: str

    @property
    def is_part(self) -> bool:
        """Whether it is a MIG device, a part of a GPU."""
        return ":" in self.number

    @property
    def device(self) -> str:
        """Its name in `CUDA_VISIBLE_DEVICES`.

        CUDA takes UUIDs for all devices. vLLM before 0.32 takes only numbers, which parts of a GPU do not have.
        """
        return self.uuid if self.is_part else self.number


def installed_gpus(*, seconds: float = _ANSWER_SECONDS) -> list[Gpu]:
    """Ask the driver; a GPU that is divided into MIG devices is replaced by those.

    Raises:
        SettingsError: no GPU answers.
    """
    text = _ask(seconds)
    gpus, others = parse(text)
    if not gpus:
        raise SettingsError(f"no NVIDIA GPU answers: nvidia-smi -L says: {_one_line(others) or 'nothing'}")
    if others:
        # A GPU that fell off the bus must not keep the others from working.
        logger.warning("nvidia-smi -L also says: %s", _one_line(others))
    return gpus


def parse(text: str) -> tuple[list[Gpu], list[str]]:
    """Parse the output of `nvidia-smi -L`; returns the devices, and the lines that name no device."""
    gpus: list[Gpu] = []
    others: list[str] = []
    for line in text.splitlines():
        if found := _GPU_LINE.fullmatch(line):
            whole = Gpu(*found.groups())
            gpus.append(whole)
        elif gpus and (found := _MIG_LINE.fullmatch(line)):
            name, number, uuid = found.groups()
            if gpus[-1] is whole:  # pyrefly: ignore[unbound-name] - bound with the first GPU
                gpus.pop()
            gpus.append(Gpu(f"{whole.number}:{number}", f"{whole.name} {name}", uuid))
        elif line.strip():
            others.append(line.strip())
    return gpus, others


def visible_gpus(gpus: Sequence[Gpu], restriction: str | None) -> dict[str, Gpu]:
    """The GPUs that CUDA would show, by the names that it would give them.

    Args:
        gpus: all GPUs of the machine.
        restriction: the value of `CUDA_VISIBLE_DEVICES`, with the numbers of nvidia-smi.

    Raises:
        SettingsError: the restriction names a missing GPU, or one GPU twice, which CUDA would not report.
    """
    by_number = {gpu.number: gpu for gpu in gpus}
    if restriction is None:
        return by_number
    return {str(number): gpu for number, gpu in enumerate(_named(restriction, by_number, VISIBLE))}


def chosen_gpus(wish: str, visible: Mapping[str, Gpu]) -> list[Gpu]:
    """The visible GPUs that `--gpus` names, in its order: `all`, or numbers and beginnings of UUIDs, with commas.

    Raises:
        SettingsError: it names a missing GPU, one GPU twice, or none.
    """
    chosen = list(visible.values()) if wish.strip() == ALL else _named(wish, visible, "--gpus")
    if not chosen:
        raise SettingsError(f"--gpus {wish}: no GPU is left to use; {VISIBLE} hides all there are")
    return chosen


def grouped(gpus: Sequence[Gpu], size: int) -> list[tuple[Gpu, ...]]:
    """Groups of neighbours, one group for each engine.

    Raises:
        SettingsError: the GPUs do not divide evenly, or MIG devices would have to work together.
    """
    if len(gpus) % size:
        number = counted(len(gpus), "GPU does", "GPUs do")
        raise SettingsError(f"{number} not divide into groups of {size}: name as many with --gpus as are to be used")
    if size > 1 and any(gpu.is_part for gpu in gpus):
        raise SettingsError("MIG devices cannot share one model: leave --tensor-parallel-size out")
    return [tuple(gpus[start : start + size]) for start in range(0, len(gpus), size)]


def gpus_of_engine(engine_args: Mapping[str, JsonValue]) -> int:
    """How many GPUs one engine takes with these arguments.

    Raises:
        SettingsError: an argument is no positive integer.
    """
    count = 1
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        size = engine_args.get(name, 1)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise SettingsError(f"engine argument {name!r}: {size!r} is no whole number from 1 on")
        count *= size
    return count


def gpus_in_use(engine_args: Mapping[str, JsonValue]) -> list[Gpu]:
    """The GPUs that an engine of this process takes, which are the first visible ones; empty if unknown."""
    if shutil.which(_PROGRAM) is None:
        return []
    try:
        visible = list(visible_gpus(installed_gpus(), os.environ.get(VISIBLE)).values())
        used = visible[: gpus_of_engine(engine_args)]
    except SettingsError as error:
        logger.warning("which GPU this worker uses is not known: %s", error)
        return []
    if len(used) < len(visible):
        hint = "this worker uses %d of %d GPUs; `persqa worker --gpus all` starts one worker for each"
        logger.info(hint, len(used), len(visible))
    return used


def _named(text: str, there: Mapping[str, Gpu], source: str) -> list[Gpu]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = [_find(name, there, source) for name in names]
    if len(set(found)) < len(found):
        raise SettingsError(f"{source} {text}: names a GPU twice")
    return found


def _find(name: str, there: Mapping[str, Gpu], source: str) -> Gpu:
    if name in there:
        return there[name]
    begins = [gpu for gpu in there.values() if name.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(name)]
    if len(begins) == 1:
        return begins[0]
    what = "is the beginning of several" if begins else "is not there"
    listed = "\n  ".join(f"{number}  {gpu.name}  {gpu.uuid}" for number, gpu in there.items()) or "none"
    raise SettingsError(f"{source}: {name} {what}; there are:\n  {listed}")


def _ask(seconds: float) -> str:
    try:
        # `subprocess.run` would wait for the killed program, which never ends in a hanging driver.
        program = subprocess.Popen(
            [_PROGRAM, "-L"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SettingsError(
            f"no NVIDIA GPU answers: nvidia-smi cannot be started ({error.strerror}). Is the driver installed, and is "
            "this container given the GPUs?"
        ) from error
    try:
        return program.communicate(timeout=seconds)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        program.kill()
        with suppress(subprocess.TimeoutExpired):
            program.communicate(timeout=_KILL_SECONDS)
        raise SettingsError(
            f"no NVIDIA GPU answers: nvidia-smi -L has said nothing for {seconds:g} s. A driver or a GPU hangs; dmesg "
            "may say which"
        ) from None


def _one_line(lines: Iterable[str]) -> str:
    return "; ".join(lines)[:500]
