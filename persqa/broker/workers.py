"""Which workers are alive, asked over Celery's remote control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from celery import Celery
from kombu.exceptions import OperationalError

from persqa.broker.connection import celery_url
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.errors import BrokerUnavailable
from persqa.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInfo:
    """One GPU of a worker; `number` is that of nvidia-smi, with that of the MIG part behind it, such as 0:1."""

    number: str
    name: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One live worker.

    Attributes:
        name: Celery's node name.
        in_flight: items it has taken and not committed yet.
        window: most items in flight.
        gpus: the GPUs of its engine; empty without one, or before it is known.
    """

    name: str
    model: str
    in_flight: int
    window: int
    gpus: list[GpuInfo]


def live_workers(url: str, *, timeout_seconds: float = 1.0, most: int | None = None) -> list[WorkerInfo]:
    """Ask all workers; one that does not answer in time is not listed.

    Args:
        url: the broker.
        timeout_seconds: how long answers are waited for; nobody knows how many will come.
        most: an end of the waiting, after so many answers.

    Raises:
        BrokerUnavailable: Redis does not answer.
    """
    app = Celery("persqa", broker=celery_url(url), set_as_current=False, fixups=[])
    app.conf.broker_transport_options = TRANSPORT_OPTIONS
    try:
        answers = app.control.inspect(timeout=timeout_seconds, limit=most).stats() or {}
    except OperationalError as error:
        raise BrokerUnavailable(f"Redis at {without_password(url)} failed: {error}") from error
    finally:
        app.close()
    found = [_info(name, cast("dict[str, object]", stats.get("pool", {}))) for name, stats in answers.items()]
    return sorted(found, key=_order)


def unserved(model: str | None, workers: Iterable[WorkerInfo]) -> str | None:
    """A sentence if none of these workers serves the model, which is any for None; None if one does."""
    served = sorted({worker.model for worker in workers})
    if model in served or (model is None and served):
        return None
    if not served:
        start = "persqa worker --image-roots DIR" + ("" if model is None else f" --model {model}")
        return f"no worker answers (one that loads its model does not yet); the items wait for one: {start}"
    return f"no worker that answers serves {model} (they serve {', '.join(served)}); what names it waits until one does"


def _info(name: str, pool: dict[str, object]) -> WorkerInfo:
    return WorkerInfo(
        name=name,
        model=str(pool.get("model", "?")),
        in_flight=int(str(pool.get("in-flight", 0))),
        window=int(str(pool.get("max-concurrency", 0))),
        gpus=[GpuInfo(**gpu) for gpu in cast("list[dict[str, str]]", pool.get("gpus", []))],
    )


def _order(worker: WorkerInfo) -> tuple[str, list[int], str]:
    """Sort key: by machine, then by GPU number."""
    numbers = [int(part) for gpu in worker.gpus for part in gpu.number.split(":")]
    return worker.name.partition("@")[2], numbers, worker.name
