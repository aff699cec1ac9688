"""Worker: the one place that builds, starts, drains and stops all parts of a worker process."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

from persqa.broker.leases import Leases
from persqa.clock import duration, seconds_since
from persqa.errors import Infrastructure, OutOfMemory, StoreUnavailable
from persqa.own_code import own_code_only
from persqa.phases import Phase
from persqa.store import Store
from persqa.words import counted
from worker.answerer import Answerer
from worker.committer import Committer
from worker.dead_letters import DeadLetters
from worker.engines.engine import engine_maker
from worker.engines.orphans import sweep_orphans
from worker.engines.provenance import finding
from worker.engines.supervisor import Supervisor
from worker.intake import Intake
from worker.leases.keeper import LeaseKeeper
from worker.leases.transport import Hands, Transport
from worker.pipeline import Pipeline
from worker.process import exit_codes, metrics
from worker.process.awaiting import await_broker, await_database
from worker.process.condition import CONDITION
from worker.process.ending import end_worker, leave_if_told_to_stop, told_to_hurry, told_to_stop
from worker.process.gpus import Gpu, gpus_in_use
from worker.process.health import Health
from worker.process.identity import worker_name
from worker.process.loop_thread import Job, LoopThread
from worker.process.minutes import Doing, Minutes, count_queued
from worker.process.ready_pipe import report_ready
from worker.process.reconciling import Reconciling
from worker.process.reporting import Reporting
from worker.process.watchdog import Watchdog
from worker.spot_checks import SpotChecker
from worker.trials.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.provenance import Provenance
    from persqa.settings import Settings
    from worker.deliveries import Delivery

logger = logging.getLogger(__name__)

#: Connections to the database, one for each thread that needs one: commits, looking up items and images, dead letters,
#: spot checks, the reconciler, and the health check.
DATABASE_CONNECTIONS: Final = 7
_POLL_SECONDS = 0.2
#: Time for an engine to notice that its loading was broken off, beyond the limit of loading.
_BEYOND_LOADING_SECONDS = 30.0


class Worker:
    """Owns every part of one worker process; nothing is started, connected or opened before `start`."""

    #: Set by `start`, before messages are taken.
    dead_letters: DeadLetters
    _find_provenance: Callable[[], Provenance]

    def __init__(self, settings: Settings, *, node: str) -> None:
        """Prepare; `node` is Celery's name for this worker."""
        self._settings = settings
        self._name = worker_name()
        self._reporting = Reporting(settings, node=node, facts=self.facts)
        leases = Leases(str(settings.broker_url), worker=self._name, seconds=settings.lease_seconds)
        self.keeper = LeaseKeeper(leases, lease_seconds=settings.lease_seconds)
        self._loop = LoopThread("persqa-pipeline")
        self._watchdog = Watchdog(
            ticks=lambda: self._loop.ticks,
            silence=self._allowed_silence,
            drain_seconds=settings.drain_seconds,
            last=self.keeper.close,
        )
        self._health = Health(settings, self._watchdog, engine=self._engine_state, database=self._ping_database)
        #: For Celery's own small tasks, and for one call of nvidia-smi.
        self._small_tasks = ThreadPoolExecutor(max_workers=2, thread_name_prefix="persqa-others")
        self._gpus: Future[list[Gpu]] = Future()
        self._created = time.monotonic()
        #: Set when nobody should wait any longer for a database or blob store that does not answer.
        self._stopping = threading.Event()
        #: Stops the parts that were started, the last one first.
        self._started = ExitStack()
        self._store: Store | None = None
        self._engine: Supervisor | None = None
        self._pipeline: Pipeline | None = None

    def start(self) -> None:
        """Open the database and load the engine; the worker can take messages when this returns.

        Raises:
            SettingsError: the port, the broker, the database, the model or the engine arguments cannot be used.
            StoreUnavailable: the database does not answer.
            SystemExit: this worker was told to stop during the start.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def begin(self, delivery: Delivery) -> Job:
        """Begin with one delivery; the job is its handle."""
        assert self._pipeline is not None
        self.keeper.begin(delivery.tag)
        return self._loop.begin(self._pipeline.process(delivery), partial(self._notice_end, delivery))

    def run_small_task(self, task: Callable[[], object]) -> None:
        """Run a short task that is no item."""
        self._small_tasks.submit(task)

    def drain(self) -> None:
        """Finish what is in flight, within the drain limit."""
        CONDITION.enter(Phase.STOPPING)
        self._watchdog.stopping()
        if self._engine is not None:
            self._engine.let_die()
        if not self._loop.jobs:
            return
        limit = self._settings.drain_seconds
        most = f"for {limit:g} s at most; Ctrl-C again or SIGQUIT gives back what has begun"
        logger.info("finishing %s in flight, %s", counted(len(self._loop.jobs), "item"), most)
        began, left = time.monotonic(), len(self._loop.jobs)
        while left and not told_to_hurry() and (passed := time.monotonic() - began) < limit:
            left = self._loop.wait(min(_POLL_SECONDS, limit - passed))
        if left:
            said = counted(left, "item is not finished", "items are not finished")
            why = "told again" if told_to_hurry() else f"after {limit:g} s (PERSQA_DRAIN_SECONDS)"
            logger.warning("%s: %s, what is left goes back to the queue", why, said)

    def stop(self) -> None:
        """Stop all parts; items in flight go back to the queue. Safe to call twice."""
        CONDITION.enter(Phase.STOPPING)
        self._watchdog.stopping()
        first, held = not self._stopping.is_set(), self.keeper.held
        self._stopping.set()
        self._loop.cancel()
        self._started.close()
        if first:
            ended = counted(sum(metrics.ended().values()), "item")
            given = counted(held, "item is", "items are") + " given back to the queue"
            logger.info("stopped: %s ended here, %s", ended, given if held else "none is left in hand")

    def facts(self) -> dict[str, object]:
        """What `celery inspect stats` shows of this worker, and `persqa status` most of it."""
        return {
            "model": None if self._engine is None else self._engine.model,
            "in-flight": self._in_flight(),
            "gpus": [asdict(gpu) for gpu in self._gpus.result()] if self._gpus.done() else [],
            "threads": [thread.name for thread in threading.enumerate()],
        }

    def _start(self) -> None:
        started, url = self._started, self._settings.broker_url
        assert url is not None
        self._start_telling()
        # Before the model is loaded, which takes long and would be in vain without them.
        await_broker(url)
        self._store = store = await_database(self._settings.database_url, connections=DATABASE_CONNECTIONS)
        started.callback(store.close)
        self._reporting.ledger = store.ledger.id
        engine = self._load_engine()
        store.results.provenances.answer_with(self._find_provenance())
        stop, in_flight = self._stopping, self._in_flight
        committer = Committer(store.results, self._settings, stop=stop, in_flight=in_flight)
        started.callback(self._close_in_loop, committer)
        intake = Intake(
            store, self._settings, resolution=engine.resolution, prepare=engine.prepare, stop=stop, in_flight=in_flight
        )
        started.callback(self._close_in_loop, intake)
        self._keep_up(Reconciling(store, self._settings))
        self.dead_letters = dead_letters = DeadLetters(store, worker=self._name)
        started.callback(dead_letters.close)
        resolver = Resolver(intake, Answerer(engine, worker=self._name), engine)
        spot_checks = SpotChecker(intake, engine, store, stop=stop)
        started.callback(spot_checks.close)
        self._pipeline = Pipeline(resolver, committer, dead_letters, spot_checks)
        Transport.hands = Hands(store.ledger.id, self.keeper, dead_letters, self._settings)
        self._keep_up(Minutes(self._doing, queued=partial(count_queued, url, engine.model)))
        # Stopped first, because other workers wait for what it holds, and an engine may take half a minute to stop.
        started.callback(self.keeper.close)
        logger.info("engine ready after %.1f s: model %s", time.monotonic() - self._created, engine.model)
        CONDITION.enter(Phase.READY)
        report_ready()

    def _start_telling(self) -> None:
        """Start the loop, and all that tells how this worker is."""
        self._started.callback(self._small_tasks.shutdown, wait=False, cancel_futures=True)
        self._keep_up(self._loop)
        self._watchdog.start()
        self._measure()
        self._health.start()
        self._keep_up(self._reporting)

    def _keep_up(self, part: LoopThread | Minutes | Reconciling | Reporting) -> None:
        part.start()
        self._started.callback(part.stop)

    def _load_engine(self) -> Supervisor:
        leave_if_told_to_stop()
        # Also vLLM starts `python -m` of its own.
        os.environ.update(own_code_only(os.environ))
        sweep_orphans()
        self._gpus = self._small_tasks.submit(gpus_in_use, self._settings.engine_args)
        logger.info("loading the engine; messages are taken once it is ready")
        self._started.callback(self._stop_engine)
        CONDITION.enter(Phase.IMPORTING)
        loading = self._loop.submit(self._start_engine())
        try:
            while not wait([loading], timeout=_POLL_SECONDS).done:
                # Celery's loop, which acts on signals, does not run yet.
                leave_if_told_to_stop()
        except SystemExit:
            # Loading cannot be interrupted, but fails without its processes.
            while not wait([loading], timeout=_POLL_SECONDS).done:
                if self._engine is not None:
                    self._engine.kill()
            raise
        return loading.result()

    async def _start_engine(self) -> Supervisor:
        self._engine = engine = Supervisor(engine_maker(self._settings), self._settings)
        self._find_provenance = finding(engine.model, self._settings, self._small_tasks, stop=self._stopping)
        metrics.name_model(engine.model)
        metrics.ENGINE_UP.set_function(lambda: float(engine.up))
        metrics.ASKED.set_function(lambda: engine.asked)
        metrics.WAITING.set_function(lambda: engine.waiting)
        await engine.start()
        return engine

    def _stop_engine(self) -> None:
        if self._engine is not None:
            self._loop.submit(self._engine.stop()).result()

    def _close_in_loop(self, part: Committer | Intake) -> None:
        """Close a part in the loop, after the jobs that were cancelled there."""

        async def close() -> None:
            part.close()

        self._loop.submit(close()).result()

    def _notice_end(self, delivery: Delivery, error: BaseException | None) -> None:
        if isinstance(error, OutOfMemory):
            # If it is the item that takes so much, its trials will show it.
            delivery.suspect()
        if isinstance(error, Infrastructure):
            # This worker can finish nothing that is in flight.
            if not told_to_stop():
                logger.critical("%s; this worker ends, its items go back to the queue", error)
                end_worker(exit_codes.INFRASTRUCTURE)
        elif error is not None:
            # Going on would block a place in the window for ever. If the item is to blame, its trials will show it.
            delivery.suspect()
            logger.critical("a defect of PersQA; this worker ends, its items go back to the queue", exc_info=error)
            end_worker(exit_codes.DEFECT)

    def _measure(self) -> None:
        metrics.WINDOW.set(self._settings.window)
        metrics.IN_FLIGHT.set_function(self._in_flight)
        metrics.HELD.set_function(lambda: self.keeper.held)

    def _in_flight(self) -> int:
        return len(self._loop.jobs)

    def _doing(self) -> Doing:
        trouble = [f"{one.sentence} ({duration(seconds_since(one.since))})" for one in CONDITION.hindrances]
        return Doing(in_flight=self._in_flight(), trouble=trouble)

    def _engine_state(self) -> str:
        """`ok`, or what the engine does instead, and for how long."""
        if self._engine is None or self._pipeline is None:
            return f"loading for {time.monotonic() - self._created:.0f} s, {self._settings.load_seconds:g} s allowed"
        down_since = self._engine.down_since
        return "ok" if down_since is None else f"being started anew for {time.monotonic() - down_since:.0f} s"

    def _allowed_silence(self) -> float:
        """How many seconds the loop may stand still; loading blocks it, and has a limit of its own."""
        up = self._pipeline is not None and self._engine is not None and self._engine.up
        return self._settings.hang_seconds if up else self._settings.load_seconds + _BEYOND_LOADING_SECONDS

    def _ping_database(self) -> None:
        if self._store is None:
            raise StoreUnavailable("the database is being opened")
        self._store.ping()
