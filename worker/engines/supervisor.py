"""Supervisor: keeps an engine running, and replaces it when it dies or hangs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from persqa.errors import EngineDead, EngineLost, PersqaError
from persqa.phases import Phase
from persqa.words import counted
from worker.engines.in_flight import InFlight
from worker.process import metrics
from worker.process.condition import CONDITION

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from persqa.generations import Generation
    from persqa.images import Resolution
    from persqa.settings import Settings
    from worker.engines.engine import Engine, Request
    from worker.pictures import Prepares

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_KILL_SECONDS = 0.5
#: Pauses between failed starts, doubled each time; the last engine's memory may not be free yet.
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class Supervisor:
    """Owns the engines of a worker, one after another; for one event loop."""

    def __init__(self, make_engine: Callable[[], Engine], settings: Settings) -> None:
        self._make_engine = make_engine
        self._engine = make_engine()
        self._hang_seconds = settings.hang_seconds
        self._load_seconds = settings.load_seconds
        self._most_failures = settings.engine_failures
        self._up = asyncio.Event()
        #: When the engine went down, by `time.monotonic()`; None while it is up.
        self.down_since: float | None = time.monotonic()
        self._given_up: EngineDead | None = None
        self._ending = False
        #: Deaths and failed starts since the last answer.
        self._failures = 0
        self._in_flight = InFlight()
        #: Requests answered so far, by all engines.
        self.answered = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._engine.model

    @property
    def resolution(self) -> Resolution | None:
        """How large the model sees an image, known after `start`."""
        return self._engine.resolution

    @property
    def prepare(self) -> Prepares | None:
        """What makes of an image what the engine takes in its place, known after `start`."""
        return self._engine.prepare

    async def start(self) -> None:
        """Load the model for the first time.

        Raises:
            SettingsError: it cannot be loaded.
        """
        await self._load()
        self._be_up()
        self._in_background(self._watch())

    @property
    def up(self) -> bool:
        """Whether the engine can be asked."""
        return self._up.is_set()

    @property
    def asked(self) -> int:
        """Requests that the engine has got and not answered."""
        return self._in_flight.count

    @property
    def waiting(self) -> int:
        """Requests that the engine has got and not begun."""
        return self._engine.waiting

    async def ready(self) -> None:
        """Wait until the engine is up."""
        await self._up.wait()

    def kill(self) -> None:
        """End the engine at once; may be called from any thread, also while it loads."""
        self._engine.kill()

    def let_die(self) -> None:
        """Replace no engine from now on, because this worker is about to end; may be called from any thread."""
        self._ending = True
        threading.Thread(target=self._kill_while_loading, name="persqa-let-die", daemon=True).start()

    async def generate(self, request: Request) -> Generation:
        """Answer one request.

        Raises:
            Rejected: this request can never be served.
            EngineLost: the engine died, and another one is being started; ask again when it is ready.
            EngineDead: engines died too often without an answer in between, or this worker is about to end.
        """
        if not self._up.is_set():
            # Waiting here would take the item's own time.
            raise EngineLost("the engine is being started anew", asked=False)
        if self._given_up is not None:
            raise self._given_up
        engine = self._engine
        try:
            generation = await self._in_flight.ask(engine, request)
        except EngineDead as error:
            # In an empty context, because the log is about the engine and not about the item that noticed first.
            Context().run(self._lose, engine, error)
            if self._ending:
                raise
            raise EngineLost(str(error), asked=True) from error
        self._failures = 0
        self.answered += 1
        return generation

    async def stop(self) -> None:
        """Free everything."""
        for task in self._tasks:
            task.cancel()
        await self._engine.stop()

    def _lose(self, engine: Engine, error: EngineDead) -> None:
        """Replace the engine; only the first request that notices the loss does so."""
        if engine is not self._engine or not self.up or self._given_up is not None:
            return
        self._in_flight.abandon()
        if self._ending:
            self._given_up = error
            return
        sentence = f"{error}; it is started anew, and what was in flight is asked again"
        logger.error("%s", sentence)
        CONDITION.begin(self, sentence)
        metrics.RESTARTS.inc()
        self._up.clear()
        self.down_since = time.monotonic()
        self._in_background(self._replace())

    async def _replace(self) -> None:
        started = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._failures += 1
            with suppress(Exception):
                await self._engine.stop()
            if self._ending:
                self._given_up = EngineDead("the engine was being started anew when this worker was told to end")
                break
            if self._failures > self._most_failures:
                often = f"the engine died {counted(self._failures, 'time')} without an answer in between"
                self._given_up = EngineDead(f"{often} (PERSQA_ENGINE_FAILURES)")
                break
            try:
                self._engine = self._make_engine()
                await self._load()
            except Exception as error:
                defect = not isinstance(error, PersqaError)
                sentence = f"the engine cannot be started: {error}; trying again in {pause:.0f} s"
                logger.error("%s", sentence, exc_info=defect)
                CONDITION.begin(self, sentence)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            logger.info("engine ready again after %.1f s", time.monotonic() - started)
            break
        self._in_flight.begin_anew()
        self._be_up()
        CONDITION.end(self)
        CONDITION.enter(Phase.READY)

    def _be_up(self) -> None:
        self.down_since = None
        self._up.set()

    async def _load(self) -> None:
        """Start the engine, which blocks the loop; kill an engine that loads for too long, so that its start fails."""
        CONDITION.enter(Phase.LOADING)
        too_long = threading.Timer(self._load_seconds, self._engine.kill)
        too_long.name = "persqa-load"
        too_long.start()
        try:
            await self._engine.start()
        finally:
            too_long.cancel()

    def _kill_while_loading(self) -> None:
        # Repeated, because there may be no process to kill yet.
        while not self.up:
            self._engine.kill()
            time.sleep(_KILL_SECONDS)

    async def _watch(self) -> None:
        """Kill an engine that hangs, because it does not die by itself and no request would notice."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            silence = self._in_flight.silence(self._engine)
            if self._up.is_set() and silence > self._hang_seconds:
                asked = counted(self.asked, "request")
                logger.error(
                    "no token for %.0f s (PERSQA_HANG_SECONDS) with %s in flight: the engine hangs", silence, asked
                )
                self._engine.kill()
                self._lose(self._engine, EngineDead(f"the engine hung for {silence:.0f} s"))

    def _in_background(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
