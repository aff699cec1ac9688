"""EnginePool: Celery's request cycle on one side, the pipeline on the other.

Celery hands every request to its pool and keeps all its own services (inspect, events, revoke) as long as the pool
calls back. This pool calls back with success when the item's result is committed, and Celery then acknowledges.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
from celery import signals
from celery.concurrency.base import BasePool, apply_target
from celery.worker import state

from persqa.errors import Infrastructure, PersqaError, UserError
from persqa.messages import TASK_NAME
from persqa.settings import load_settings
from worker import metrics
from worker.dead_letters import bury_revoked, dead_letters
from worker.deliveries import Delivery
from worker.engines.orphans import mark_children, sweep_orphans
from worker.leases.transport import DELIVERY_COUNT, DELIVERY_HISTORY, lease_keeper
from worker.process import exit_codes
from worker.process.gpus import Gpu, gpus_in_use
from worker.process.health import Health
from worker.process.identity import worker_name
from worker.process.loop_thread import Job, LoopThread
from worker.process.parent import tell_ready
from worker.process.reconciling import Reconciling
from worker.process.watchdog import Watchdog, told_to_stop
from worker.wiring import Worker, ready_worker

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
#: For an engine whose loading was broken off to notice.
_BEYOND_LOADING_SECONDS = 30.0


class EnginePool(BasePool):
    """Feeds one engine with as many items at once as the worker's concurrency allows."""

    body_can_be_buffer = True
    signal_safe = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settings = load_settings()
        self._loop = LoopThread("persqa-pipeline")
        self._keeper = lease_keeper()
        self._reconciling = Reconciling(self._settings)
        self._watchdog = Watchdog(
            ticks=lambda: self._loop.ticks,
            silence=self._silence,
            drain_seconds=self._settings.drain_seconds,
            last=self._keeper.close,
        )
        self._health = Health(self._settings, self._watchdog, engine=self._engine_state)
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._context: AbstractAsyncContextManager[Worker] | None = None
        self._worker: Worker | None = None
        # Celery's own small tasks, such as backend clean-up, and one question to the driver.
        self._others = ThreadPoolExecutor(max_workers=2, thread_name_prefix="persqa-others")
        self._gpus: Future[list[Gpu]] = Future()

    def on_start(self) -> None:
        """Load the engine; the first message is taken after this returns."""
        self._loop.start()
        self._watchdog.start()
        self._measure()
        try:
            self._health.start()
        except UserError as error:
            logger.critical("%s", error)
            raise SystemExit(exit_codes.USER_ERROR) from error
        sweep_orphans()
        mark_children()
        self._gpus = self._others.submit(gpus_in_use, self._settings.engine_args)
        logger.info("loading the engine; messages are taken once it is ready")
        self._context = ready_worker(self._settings, name=worker_name(), stop=self._stopping)
        entering = self._loop.submit(self._context.__aenter__())
        try:
            self._worker = worker = _wait_for_engine(entering)
        except PersqaError as error:
            logger.critical("%s", error)
            raise SystemExit(
                exit_codes.USER_ERROR if isinstance(error, UserError) else exit_codes.INFRASTRUCTURE
            ) from error
        signals.task_revoked.connect(bury_revoked)
        self._reconciling.start()
        logger.info("engine ready after %.1f s: model %s", time.monotonic() - self._started, worker.engine.model)
        tell_ready()

    def on_apply(  # pyright: ignore[reportIncompatibleMethodOverride] - its stub says None, Celery wants a handle
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        timeout_callback: Callable[..., Any] | None = None,
        **_options: Any,
    ) -> Job | None:
        """Take one request from Celery."""
        assert callback is not None
        assert accept_callback is not None
        assert timeout_callback is not None
        task, task_id, request, *_body = args
        if task != TASK_NAME:
            self._others.submit(apply_target, target, args, kwargs, callback, accept_callback)
            return None
        delivery = Delivery(
            tag=request["properties"]["delivery_tag"],
            task_id=task_id,
            arguments=request["args"],
            count=request.get(DELIVERY_COUNT, 1),
            history=request.get(DELIVERY_HISTORY, ()),
            seconds=self._time_limit(request),
            keeper=self._keeper,
            on_success=callback,
            on_timeout=timeout_callback,
        )
        self._keeper.begin(delivery.tag)
        accept_callback(os.getpid(), delivery.accepted)
        assert self._worker is not None
        return self._loop.begin(self._worker.pipeline.process(delivery), partial(self._notice_end, delivery))

    def _time_limit(self, request: dict[str, Any]) -> float | None:
        """The time limit of one request, in seconds.

        Celery 5.7 hands the pool what held when it connected; what holds now, after `control time_limit`, is with the
        task. Nothing in an item could catch a soft limit and tidy up, so whichever comes first ends it.
        """
        task = self.app.tasks[TASK_NAME]
        hard, soft = request.get("timelimit") or (None, None)
        return min((limit for limit in (hard or task.time_limit, soft or task.soft_time_limit) if limit), default=None)

    def _notice_end(self, delivery: Delivery, error: BaseException | None) -> None:
        if isinstance(error, Infrastructure):
            # Nothing in flight can be finished here. The worker ends, and what it holds goes back to the queue.
            if not told_to_stop():
                logger.critical("%s; this worker ends, its items go back to the queue", error)
                state.should_stop = exit_codes.INFRASTRUCTURE
        elif error is not None:
            # To go on would keep a place in the window taken for ever. Should this item be why, it is found out.
            delivery.suspect()
            logger.critical("a defect of PersQA; this worker ends, its items go back to the queue", exc_info=error)
            state.should_stop = exit_codes.DEFECT

    def on_stop(self) -> None:
        """Finish what is in flight, within the drain limit; then take everything apart."""
        self._watchdog.stopping()
        if self._worker is not None:
            self._worker.engine.let_die()
        if self._loop.jobs:
            logger.info("finishing %d items in flight", len(self._loop.jobs))
            if left := self._loop.wait(self._settings.drain_seconds):
                logger.warning("%d items are not finished after the drain limit and go back to the queue", left)
        self._end()

    def on_terminate(self) -> None:
        """Take everything apart at once; what is in flight goes back to the queue."""
        self._end()

    def _measure(self) -> None:
        metrics.WINDOW.set(self._settings.window)
        metrics.IN_FLIGHT.set_function(lambda: len(self._loop.jobs))
        metrics.HELD.set_function(lambda: self._keeper.held)

    def _engine_state(self) -> str:
        """`ok`, or for how long what has been going on."""
        if self._worker is None:
            return f"loading for {time.monotonic() - self._started:.0f} s, {self._settings.load_seconds:g} s allowed"
        down_since = self._worker.engine.down_since
        return "ok" if down_since is None else f"being started anew for {time.monotonic() - down_since:.0f} s"

    def _silence(self) -> float:
        """How many seconds the loop may stand still: loading blocks it, and is itself limited."""
        loaded = self._worker is not None and self._worker.engine.up
        return self._settings.hang_seconds if loaded else self._settings.load_seconds + _BEYOND_LOADING_SECONDS

    def _end(self) -> None:
        self._watchdog.stopping()
        self._stopping.set()
        self._loop.cancel()
        # First what others wait for: taking an engine apart can take half a minute.
        self._keeper.close()
        dead_letters().close()
        self._reconciling.stop()
        if self._context is not None:
            context, self._context = self._context, None
            if self._worker is not None:
                self._loop.submit(context.__aexit__(None, None, None)).result()
            self._loop.stop()
        self._others.shutdown(wait=False, cancel_futures=True)

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Nothing: Celery names a process to kill here, and that process is the whole worker."""

    def _get_info(self) -> dict[str, Any]:
        return {
            **super()._get_info(),  # pyright: ignore - not in the stubs
            "model": self._worker.engine.model if self._worker else None,
            "in-flight": len(self._loop.jobs),
            "gpus": [asdict(gpu) for gpu in self._gpus.result()] if self._gpus.done() else [],
            "threads": [thread.name for thread in threading.enumerate()],
        }


def _wait_for_engine(entering: Future[Worker]) -> Worker:
    """Wait until the engine is loaded, or give the loading up when this worker is told to stop.

    Raises:
        SystemExit: a signal said stop; nothing of the engine is left running.
    """
    try:
        while not wait([entering], timeout=_POLL_SECONDS).done:
            # A signal is only noted; this raises when there was one.
            state.maybe_shutdown()
    except SystemExit:
        # Loading cannot be interrupted, and nothing is in flight yet. Without its processes it fails, and cleans up.
        loading = True
        while loading:
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            loading = not wait([entering], timeout=_POLL_SECONDS).done
        raise
    return entering.result()
