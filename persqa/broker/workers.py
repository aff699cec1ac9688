"""The workers of a broker: each tells every second what it is about, and anybody can read it."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from pydantic import TypeAdapter, ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import WORKER, WORKERS
from persqa.phases import Hindrance, Phase
from persqa.words import to_type

if TYPE_CHECKING:
    from collections.abc import Collection

#: How long a worker is listed of which nothing is heard: longer than anything in its process blocks all threads.
LISTED_SECONDS: Final = 10
#: Longest wait for an answer: who looks can look again.
_LIMIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInfo:
    """One GPU of a worker; `number` is that of nvidia-smi, with that of the MIG part behind it, such as 0:1."""

    number: str
    name: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One live worker, as it has told within the last seconds.

    Attributes:
        name: Celery's node name.
        in_flight: items it has taken and not committed yet.
        window: most items in flight.
        phase: what it is about; it takes items where this is `ready`.
        since: when the phase began.
        ledger: the identity of its database; None before that is open.
        gpus: the GPUs of its engine; empty without one, or before it is known.
        hindrances: what it waits out at present.
    """

    name: str
    model: str
    in_flight: int
    window: int
    phase: Phase
    since: datetime
    ledger: str | None = None
    gpus: tuple[GpuInfo, ...] = ()
    hindrances: tuple[Hindrance, ...] = ()


_INFO = TypeAdapter(WorkerInfo)


class Workers(BrokerClient):
    """What the workers of one broker have told."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=_LIMIT_SECONDS, retry=Retry(NoBackoff(), 0))

    def report(self, worker: WorkerInfo) -> None:
        """Tell of one worker; it is listed for some seconds."""
        with translated(self.url):
            steps = self._redis.pipeline()
            steps.zadd(WORKERS, {worker.name: 0})
            steps.set(_key(worker.name), _INFO.dump_json(worker), ex=LISTED_SECONDS)
            steps.execute()

    def remove(self, name: str) -> None:
        """List a worker no longer."""
        with translated(self.url):
            self._redis.zrem(WORKERS, name)
            self._redis.delete(_key(name))

    def tidy(self) -> None:
        """Forget the names of workers that have died; one of a live worker comes back with its next report."""
        with translated(self.url):
            names = self._names()
            if dead := [name for name, said in zip(names, self._said(names), strict=True) if said is None]:
                self._redis.zrem(WORKERS, *dead)

    def all(self) -> list[WorkerInfo]:
        """All live workers, by machine and GPU."""
        with translated(self.url):
            told = self._said(self._names())
        found: list[WorkerInfo] = []
        for text in told:
            # One of another version of PersQA may tell what this one does not know.
            with suppress(ValidationError):
                found += [] if text is None else [_INFO.validate_json(text)]
        return sorted(found, key=_order)

    def _names(self) -> list[str]:
        names = self._redis.zrange(WORKERS, 0, -1)
        return [name.decode() for name in cast("list[bytes]", names)]

    def _said(self, names: list[str]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._redis.mget([_key(name) for name in names])) if names else []


def live_workers(url: str) -> list[WorkerInfo]:
    """All workers of a broker; one that has died is listed for some seconds more.

    Raises:
        BrokerUnavailable: Redis does not answer.
    """
    with closing(Workers(url)) as workers:
        return workers.all()


def is_of(worker: WorkerInfo, ledger: str) -> bool:
    """Whether the worker serves this database, or may turn out to."""
    return worker.ledger in (None, ledger)


def unserved(model: str | None, workers: Collection[WorkerInfo], ledger: str) -> str | None:
    """A sentence if none of these workers serves the model, or loads it, for this database; None if one does.

    Args:
        model: the model that is wanted; any for None.
        workers: all workers of a broker.
        ledger: the identity of the database.
    """
    served = sorted({worker.model for worker in workers if is_of(worker, ledger)})
    if model in served or (model is None and served):
        return None
    if not served:
        there = "the workers here serve another database" if workers else "there is no worker"
        of_this = " of this database" if workers else ""
        return f"{there}; the items wait for one{of_this}: {start_of_worker(model)}"
    return f"no worker serves {model} (they serve {', '.join(served)}); what names it waits until one does"


def start_of_worker(model: str | None) -> str:
    """The command that starts a worker for runs of this model; any for None."""
    return to_type("persqa worker --image-roots DIR" + ("" if model is None else f" --model {model}"))


def _key(name: str) -> str:
    return f"{WORKER}:{name}"


def _order(worker: WorkerInfo) -> tuple[str, list[int], str]:
    """Sort key: by machine, then by GPU number."""
    numbers = [int(part) for gpu in worker.gpus for part in gpu.number.split(":")]
    return worker.name.partition("@")[2], numbers, worker.name
