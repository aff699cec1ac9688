"""Places: the environment variables that each worker of a crew gets, such as its GPUs and its share of the CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import SettingsError
from worker.process.gpus import VISIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.process.gpus import Gpu

#: The default of `PERSQA_IMAGE_THREADS`.
_IMAGE_THREADS = 4
_OMP_THREADS = "OMP_NUM_THREADS"
_IMAGE_THREADS_VARIABLE = "PERSQA_IMAGE_THREADS"
_METRICS_PORT = "PERSQA_METRICS_PORT"


@dataclass(frozen=True, slots=True)
class Place:
    """What one worker has for itself.

    Attributes:
        label: its name in the log, such as gpu0 or gpu0+1.
        environment: variables of its process, added to the crew's own.
    """

    label: str
    environment: Mapping[str, str]


def places(groups: Sequence[tuple[Gpu, ...]], *, cpus: int, environment: Mapping[str, str]) -> list[Place]:
    """One place for each group of GPUs.

    Args:
        groups: the GPUs of each worker.
        cpus: how many CPUs all workers share.
        environment: the crew's own; numbers of threads that it sets stay as they are.

    Raises:
        SettingsError: there are not enough ports.
    """
    shared = _threads(cpus, workers=len(groups), gpus=sum(map(len, groups)))
    shared = {name: value for name, value in shared.items() if name not in environment}
    return [
        Place(
            "gpu" + "+".join(gpu.number for gpu in group),
            {
                VISIBLE: ",".join(gpu.device for gpu in group),
                # By default CUDA numbers the fastest GPU first; nvidia-smi and vLLM do not.
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                **shared,
                **_port(environment, number),
            },
        )
        for number, group in enumerate(groups)
    ]


def _threads(cpus: int, *, workers: int, gpus: int) -> dict[str, str]:
    """Divide the CPUs among torch, which has one process for each GPU, and the decoding of images in each worker."""
    return {
        _OMP_THREADS: str(max(1, cpus // gpus)),
        _IMAGE_THREADS_VARIABLE: str(max(1, min(_IMAGE_THREADS, cpus // workers))),
    }


def _port(environment: Mapping[str, str], number: int) -> dict[str, str]:
    """A port for each worker, counted up from the one in the environment."""
    if not (first := environment.get(_METRICS_PORT)):
        return {}
    if not first.isdecimal() or int(first) + number > 65_535:
        raise SettingsError(f"{_METRICS_PORT}: {first!r} is no port with {number} more above it")
    return {_METRICS_PORT: str(int(first) + number)}
