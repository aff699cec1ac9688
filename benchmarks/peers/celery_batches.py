"""The library `celery-batches` on an ordinary Celery worker: tasks are collected, and answered together in one call.

It needs an older Celery than ours: it runs with a folder of its own libraries before the others, `install` makes it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.serving import serve
from persqa.broker.connection import celery_url
from persqa.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIBRARIES = Path(sys.prefix) / "celery-batches"
_QUEUE = "celery-batches"
_TASK = "celery_batches.answer"
_TOGETHER = 32
_SECONDS = 0.1


def install() -> None:
    """Put the library and a Celery that fits it into their folder.

    Raises:
        subprocess.CalledProcessError: they cannot be had.
    """
    if not _LIBRARIES.exists():
        wanted = ["celery-batches==0.11", "celery[redis]<5.7"]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", _LIBRARIES, *wanted], check=True)


def application() -> Any:
    """The Celery program; its only task takes what was collected."""
    from celery import Celery
    from celery_batches import Batches  # pyrefly: ignore[missing-import] - installed for this alone

    url = celery_url(load_settings().broker_url or "memory://")
    app = Celery("celery_batches_peer", broker=url, backend=url)
    app.conf.update(task_default_queue=_QUEUE, task_acks_late=True, worker_prefetch_multiplier=4 * _TOGETHER)
    engines: list[Any] = []

    @app.task(base=Batches, flush_every=_TOGETHER, flush_interval=_SECONDS, name=_TASK)
    def answer(requests: Sequence[Any]) -> None:
        from benchmarks.peers.offline import answers, load

        if not engines:
            engines.append(load())
        texts = answers(engines[0], [request.args[0] for request in requests])
        for request, text in zip(requests, texts, strict=True):
            app.backend.mark_as_done(request.id, text, request=request)

    return app


def main() -> None:
    """Start a worker, and send it what is asked."""
    from celery import group

    answer = application().tasks[_TASK]
    worker = subprocess.Popen([sys.executable, "-m", __spec__.name, "worker"], stdout=sys.stderr)  # pyrefly: ignore[unknown-attribute-access]
    try:
        serve(lambda items: group(answer.s(item) for item in items).apply_async().get(timeout=1800))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    # Before anything imports Celery; the worker's own libraries come from the same folder.
    install()
    sys.path.insert(0, str(_LIBRARIES))
    if sys.argv[1] == "worker":
        application().worker_main(["worker", "-P", "solo", "-l", "ERROR"])
    else:
        main()
