"""vLLM behind an ordinary Celery task: one offline `LLM.chat` for each message, one message after the other.

With many items in a message the engine runs in lockstep: it waits for the longest answer, then for the next message.
With one item in a message it never batches at all.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from celery import Celery, group

from benchmarks.peers.offline import answers
from benchmarks.peers.serving import given, serve
from persqa.broker.connection import celery_url
from persqa.settings import load_settings

if TYPE_CHECKING:
    from vllm import LLM

_QUEUE = "celery-calls"
_SECONDS = 1800

_URL = celery_url(load_settings().broker_url or "memory://")

app = Celery("celery_calls", broker=_URL, backend=_URL)
app.conf.update(task_default_queue=_QUEUE, task_acks_late=True, worker_prefetch_multiplier=1)


@cache
def engine() -> LLM:
    """The engine of this process."""
    from benchmarks.peers.offline import load

    return load()


@app.task(name="celery_calls.answer")
def answer(items: list[dict[str, Any]]) -> list[str]:
    """Answer some items."""
    return answers(engine(), items)


def main() -> None:
    """Start a worker, and send it what is asked."""
    size = cast("int", given()["batch"])
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_calls", "worker", "-P", "solo", "-l", "ERROR"],
        stdout=sys.stderr,
    )

    def ask(items: list[dict[str, Any]]) -> list[str]:
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        done = group(answer.s(batch) for batch in batches).apply_async().get(timeout=_SECONDS)
        return [text for batch in done for text in batch]

    try:
        answer.delay([]).get(timeout=_SECONDS)
        serve(ask)
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
