"""Which workers there are, asked over Celery's remote control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from celery import Celery
from kombu.exceptions import OperationalError

from persqa.broker.connection import celery_url
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.errors import BrokerUnavailable
from persqa.settings import without_password


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One live worker.

    Attributes:
        name: Celery's node name.
        model: the model it serves.
        in_flight: items it has taken and not committed yet.
        window: how many it takes at once, at most.
    """

    name: str
    model: str
    in_flight: int
    window: int


def live_workers(url: str, *, timeout_seconds: float = 1.0) -> list[WorkerInfo]:
    """Ask all workers; those that do not answer in time are not listed.

    Raises:
        BrokerUnavailable: Redis does not answer.
    """
    app = Celery("persqa", broker=celery_url(url), set_as_current=False, fixups=[])
    app.conf.broker_transport_options = TRANSPORT_OPTIONS
    try:
        answers = app.control.inspect(timeout=timeout_seconds).stats() or {}
    except OperationalError as error:
        raise BrokerUnavailable(f"Redis at {without_password(url)} failed: {error}") from error
    finally:
        app.close()
    found = [_info(name, cast("dict[str, object]", stats.get("pool", {}))) for name, stats in answers.items()]
    return sorted(found, key=lambda worker: worker.name)


def _info(name: str, pool: dict[str, object]) -> WorkerInfo:
    return WorkerInfo(
        name=name,
        model=str(pool.get("model", "?")),
        in_flight=int(str(pool.get("in-flight", 0))),
        window=int(str(pool.get("max-concurrency", 0))),
    )
