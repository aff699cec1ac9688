"""A stock Celery worker that does nothing: `celery -A benchmarks.peers.stock_celery worker -P threads`.

The same settings as ours where Celery has them: late acknowledgement, as many at once, task events, nothing kept of
results. What it does in a second is the most that anything on Celery's ordinary way can do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from celery import Celery

from persqa.broker.connection import celery_url, connect
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

QUEUE = "stock"
#: Where kombu's own transport notes what workers have in hand.
_UNACKED = "unacked"

app = Celery("stock", broker=os.environ.get("STOCK_BROKER_URL", "memory://"))
app.conf.update(
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="stock.nothing")
def nothing(_item: object) -> None:
    """Do nothing."""


@contextmanager
def stock_worker(broker_url: str, *, window: int) -> Generator[None]:
    """A stock worker, ready."""
    environment = {**os.environ, "STOCK_BROKER_URL": celery_url(broker_url)}
    command = ["celery", "-A", "benchmarks.peers.stock_celery", "worker", "-P", "threads", "-c", str(window)]
    quiet = ["-l", "WARNING", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *quiet],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        send(broker_url, 1)
        client = connection(broker_url)
        wait_until(lambda: left(client) == 0, describe="the stock worker works", seconds=60)
        yield
    finally:
        process.terminate()
        process.wait()


def send(broker_url: str, items: int) -> float:
    """Send as many tasks in the ordinary way; returns the seconds it took."""
    sender = Celery("stock", broker=celery_url(broker_url), set_as_current=False)
    sender.conf.task_default_queue = QUEUE
    message = {"v": 1, "item": 1, "images": ["small.jpg"], "question": "What is <mam> wearing? " * 3, "seed": 1}
    started = time.monotonic()
    with sender.producer_pool.acquire(block=True) as producer:
        for _ in range(items):
            sender.send_task("stock.nothing", (message,), producer=producer)
    seconds = time.monotonic() - started
    sender.close()
    return seconds


def connection(broker_url: str) -> redis.Redis:
    """A connection to look with."""
    return connect(broker_url)


def left(client: redis.Redis) -> int:
    """How many tasks are not acknowledged yet."""
    return client.llen(QUEUE) + client.hlen(_UNACKED)
