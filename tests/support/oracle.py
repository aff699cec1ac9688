"""The oracle: what must hold after every fault, whatever it was."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, cast

from persqa.audit import audit
from persqa.broker.connection import connect
from persqa.broker.depth import Inspector
from persqa.broker.keys import (
    BROKER,
    COUNTS,
    HELD,
    LEASES,
    MEMORY,
    PUBLISHING,
    QUEUE,
    RECONCILED,
    WORKER,
    WORKERS,
    base_of,
    queues_for,
)
from persqa.errors import NoDatabase
from persqa.store import Store
from tests.support.builders import colour_of
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from persqa.settings import Settings
    from producer import Client, RunHandle


def check_audits(settings: Settings) -> None:
    """The sum holds for every run."""
    with (
        closing(Store.open(settings.database_url)) as store,
        closing(Inspector(settings.broker_url or "")) as inspector,
    ):
        for run in store.runs.all():
            found = audit(store, run, inspector)
            assert found.holds, found.problems


def check_keys(broker: str) -> None:
    """Only the queues may be left in Redis, what killed workers told, and what kombu keeps of its exchanges."""
    client = connect(broker)
    keys = {key.decode() for key in cast("Iterable[bytes]", client.scan_iter())}
    client.close()
    ours = {key for key in keys if not key.startswith("_kombu.binding")}
    known = (BROKER, MEMORY, PUBLISHING, RECONCILED, WORKER, WORKERS, *queues_for(""))
    queues = {key: base_of(key).removesuffix(":runs") for key in ours}
    unknown = {key for key, queue in queues.items() if queue not in queues_for(None) and not key.startswith(known)}
    assert not unknown, f"keys left in Redis: {unknown}"


def check_empty(settings: Settings) -> None:
    """Nothing waits, nothing is held, and nothing is known of what was."""
    redis = connect(settings.broker_url or "")
    wait_until(lambda: redis.llen(QUEUE) + redis.hlen(HELD) == 0, describe="queue and leases are empty")
    assert redis.zcard(LEASES) + redis.hlen(COUNTS) == 0
    redis.close()


def runs_of(client: Client) -> list[RunHandle]:
    """The runs in the client's database; none where there is no database yet."""
    with suppress(NoDatabase):
        return client.runs()
    return []


def check_rows(run: RunHandle, items: int) -> None:
    """One row each, and each answer is that of its own image; for scripts that answer with its colour."""
    rows = list(run.results())
    assert len(rows) == items
    for row in rows:
        index = row.record["id"]
        assert isinstance(index, int)
        red, green, blue = colour_of(index)
        assert row.answer == f"<mam> is {red}-{green}-{blue}", (row.item_id, row.status, row.reason, row.detail)
