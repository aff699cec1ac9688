"""EnginePool: translates between Celery's request cycle and the worker.

Celery hands every request to its pool. Its own services (inspect, events, revoke) work as long as the pool calls back.
This pool reports success once the item's result is committed, and Celery then acknowledges.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from celery import signals
from celery.concurrency.base import BasePool, apply_target

from persqa.errors import PersqaError, UserError
from persqa.messages import TASK_NAME
from persqa.required import require_roots
from worker.celery import app, introduce
from worker.deliveries import Delivery
from worker.parsing import DELIVERY_COUNT, DELIVERY_HISTORY
from worker.process import exit_codes
from worker.process.ending import take_over_signals
from worker.process.ready_pipe import report_failure
from worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery.app.task import Context
    from pydantic import JsonValue

    from worker.process.loop_thread import Job

logger = logging.getLogger(__name__)


class EnginePool(BasePool):
    """Hands requests to the worker, as many at once as Celery's concurrency allows."""

    body_can_be_buffer = True
    signal_safe = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._worker = Worker(app.settings, node=app.node)

    def on_start(self) -> None:
        """Load the engine; the first message is taken after this returns."""
        take_over_signals()
        introduce(app)
        # At the end Python would look for garbage among millions of objects, which all go anyway.
        atexit.register(gc.freeze)
        try:
            if not app.own_broker:
                require_roots(app.settings)
            self._worker.start()
        except PersqaError as error:
            logger.critical("%s", error)
            report_failure(error)
            code = exit_codes.USER_ERROR if isinstance(error, UserError) else exit_codes.INFRASTRUCTURE
            raise SystemExit(code) from error
        # Python's own, which `python -m worker` has raised: failed images must not wait in garbage for long.
        gc.set_threshold(700)
        signals.task_revoked.connect(self._bury_revoked)

    def on_apply(  # pyrefly: ignore[bad-override] - its stub says None, Celery wants a handle
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        callback: Callable[..., Any],
        accept_callback: Callable[..., Any],
        timeout_callback: Callable[..., Any],
        **_options: Any,
    ) -> Job | None:
        """Take one request from Celery."""
        task, task_id, request, *_body = args
        if task != TASK_NAME:
            self._worker.run_small_task(partial(apply_target, target, args, kwargs, callback, accept_callback))
            return None
        delivery = Delivery(
            tag=request["properties"]["delivery_tag"],
            task_id=task_id,
            arguments=request["args"],
            count=request.get(DELIVERY_COUNT, 1),
            history=request.get(DELIVERY_HISTORY, ()),
            seconds=self._time_limit(request),
            keeper=self._worker.keeper,
            on_success=callback,
            on_timeout=timeout_callback,
        )
        accept_callback(os.getpid(), delivery.accepted)
        return self._worker.begin(delivery)

    def on_stop(self) -> None:
        """Finish what is in flight, within the drain limit, and stop."""
        self._worker.drain()
        self._worker.stop()

    def on_terminate(self) -> None:
        """Stop at once; what is in flight goes back to the queue."""
        self._worker.stop()

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Do nothing, because the process that Celery wants killed is the whole worker."""

    def _time_limit(self, request: dict[str, Any]) -> float | None:
        """The time limit of one request, in seconds.

        The limit that Celery 5.7 passes to the pool is as old as the connection. The task has the one that `control
        time_limit` has set since. Items cannot react to a soft limit, so the smaller of both limits ends them.
        """
        task = self.app.tasks[TASK_NAME]
        hard, soft = request.get("timelimit") or (None, None)
        return min((limit for limit in (hard or task.time_limit, soft or task.soft_time_limit) if limit), default=None)

    def _bury_revoked(self, request: Context, *, expired: bool, **_signal: object) -> None:
        """End the item of a task that Celery drops, because it was revoked or has expired."""
        arguments = cast("Sequence[JsonValue]", request.args)
        self._worker.dead_letters.bury_revoked(arguments, task_id=str(request.id), expired=expired)

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), **self._worker.facts()}  # pyrefly: ignore[missing-attribute] - not in the stubs
