"""What `submit` costs: time beside stock `send_task`, and memory at any size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, cast

import psutil

from benchmarks.measuring import Pair, in_turn
from benchmarks.peers.stock_celery import QUEUE as STOCK_QUEUE
from benchmarks.peers.stock_celery import connection, send
from benchmarks.site import Site, one_small_image
from persqa.broker.keys import QUEUE
from tests.support.wait import spend

if TYPE_CHECKING:
    import redis

#: The stock way is slow, and its rate is the same for fewer.
_STOCK_SHARE = 5
_POPPED_AT_ONCE = 500


def against_send_task(*, items: int, pairs: int) -> list[Pair]:
    """Items a second into ledger and Redis, and tasks a second of stock `send_task`."""
    with Site(queue_bound=10 * items * pairs) as site:
        load = one_small_image(site.folder, items)
        client = connection(site.broker.url)
        # A program loads Celery with its first submit.
        site.submit(one_small_image(site.folder, 1))
        client.delete(QUEUE)

        def ours() -> float:
            started = time.monotonic()
            run = site.submit(load)
            seconds = time.monotonic() - started
            assert client.llen(QUEUE) == run.progress().pending == items
            client.delete(QUEUE)
            return items / seconds

        def theirs() -> float:
            sent = items // _STOCK_SHARE
            seconds = send(site.broker.url, sent)
            assert client.llen(STOCK_QUEUE) == sent
            client.delete(STOCK_QUEUE)
            return sent / seconds

        return in_turn(ours, theirs, pairs=pairs)


def memory(*, items: int) -> tuple[float, float]:
    """The most memory of the producer and of Redis, in MB, while the command submits as many JSON Lines.

    Messages are taken out as fast as the queue is found full; each is seen once.
    """
    with Site() as site:
        load = one_small_image(site.folder, items)
        drain = _Drain(connection(site.broker.url), bound=site.settings.queue_bound, items=items)
        process = subprocess.Popen(
            [sys.executable, "-m", "producer.cli", "submit", str(load.records), "--run", "large"],
            env={**os.environ, **site.settings.environment()},
            stdout=subprocess.DEVNULL,
        )
        drain.start()
        most = 0
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                most = max(most, seen.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            spend(0.05)
        assert process.wait() == 0
        drain.join()
        return most / 1e6, drain.most_memory / 1e6


class _Drain(threading.Thread):
    """Takes messages once the queue is full, as a fleet would that only just keeps up."""

    def __init__(self, client: redis.Redis, *, bound: int, items: int) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._bound = bound
        self._items = items
        self.most_memory = 0

    def run(self) -> None:
        """Until every item was seen."""
        seen: set[str] = set()
        while len(seen) < self._items:
            info = cast("dict[str, int]", self._client.info("memory"))
            self.most_memory = max(self.most_memory, info["used_memory"])
            waiting = self._client.llen(QUEUE)
            nearly_all = len(seen) + waiting >= self._items
            if waiting < self._bound - 2 * _POPPED_AT_ONCE and not nearly_all:
                spend(0.05)
                continue
            popped = cast("list[bytes]", self._client.rpop(QUEUE, 10 * _POPPED_AT_ONCE))
            ids = {json.loads(entry)["headers"]["id"] for entry in popped}
            assert not ids & seen
            assert len(ids) == len(popped)
            seen |= ids
