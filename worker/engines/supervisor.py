"""Supervisor: an engine that is started anew when it dies or stands still."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from persqa.errors import EngineDead, EngineLost, PersqaError
from worker import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from persqa.generations import Generation
    from persqa.images import Resolution
    from persqa.settings import Settings
    from worker.engines.engine import Engine, Request

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_KILL_SECONDS = 0.5
#: Between two starts that fail, doubled each time: what the last engine held may not be free yet.
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class Supervisor:
    """Owns the engine of a worker, one after another; used from one event loop."""

    def __init__(self, make_engine: Callable[[], Engine], settings: Settings) -> None:
        """Prepare.

        Args:
            make_engine: gives a new engine, not started.
            settings: how long an engine may stand still, and how often it may be started for nothing.
        """
        self._make_engine = make_engine
        self._engine = make_engine()
        self._hang_seconds = settings.hang_seconds
        self._load_seconds = settings.load_seconds
        self._most_failures = settings.engine_failures
        self._up = asyncio.Event()
        #: Since when there is no engine, by `time.monotonic()`; None while there is one.
        self.down_since: float | None = time.monotonic()
        self._given_up: EngineDead | None = None
        self._ending = False
        #: Deaths and failed starts since the last answer.
        self._failures = 0
        self._asked = 0
        #: Of those who are asking, what ends their wait.
        self._cuts: set[asyncio.Timeout] = set()
        #: Requests answered so far, by all engines.
        self.answered = 0
        #: Since when there has been something to do.
        self._busy_since = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._engine.model

    @property
    def resolution(self) -> Resolution | None:
        """How much of a picture the model looks at, once it is loaded."""
        return self._engine.resolution

    async def start(self) -> None:
        """Load the model for the first time.

        Raises:
            SettingsError: it cannot be loaded; no use in trying again.
        """
        await self._load()
        self._be_up()
        self._in_background(self._watch())

    @property
    def up(self) -> bool:
        """Whether there is an engine, and it is not being started anew."""
        return self._up.is_set()

    @property
    def asked(self) -> int:
        """Requests the engine has been asked and has not answered."""
        return self._asked

    @property
    def waiting(self) -> int:
        """Of those, the requests that the engine has not begun with."""
        return self._engine.waiting

    async def ready(self) -> None:
        """Wait while the engine is being started anew."""
        await self._up.wait()

    def let_die(self) -> None:
        """From now on no engine is started anew: this worker is about to end. From any thread."""
        self._ending = True
        threading.Thread(target=self._kill_while_loading, name="persqa-let-die", daemon=True).start()

    async def generate(self, request: Request) -> Generation:
        """Answer one request.

        Raises:
            Rejected: this request can never be served.
            EngineLost: the engine died under it, or before; another one is being started, ask again when it is ready.
            EngineDead: it died too often without an answer in between, or while this worker is about to end.
        """
        if not self._up.is_set():
            # Waiting here would be at the expense of the item's time.
            raise EngineLost("the engine is being started anew", asked=False)
        if self._given_up is not None:
            raise self._given_up
        engine = self._engine
        if self._asked == 0:
            self._busy_since = time.monotonic()
            metrics.BUSY.begin()
        self._asked += 1
        try:
            generation = await self._ask(engine, request)
        except EngineDead as error:
            # What is logged there is about the engine and not about the item that was the first to notice.
            Context().run(self._lose, engine, error)
            if self._ending:
                raise
            raise EngineLost(str(error), asked=True) from error
        finally:
            self._asked -= 1
            if self._asked == 0:
                metrics.BUSY.end()
        self._failures = 0
        self.answered += 1
        return generation

    async def stop(self) -> None:
        """Free everything."""
        for task in self._tasks:
            task.cancel()
        await self._engine.stop()

    async def _ask(self, engine: Engine, request: Request) -> Generation:
        cut = asyncio.timeout(None)
        try:
            async with cut:
                self._cuts.add(cut)
                try:
                    return await engine.generate(request)
                finally:
                    self._cuts.discard(cut)
        except TimeoutError as error:
            if cut.expired():
                raise EngineDead("the engine died, and said nothing to this request") from error
            raise

    def _lose(self, engine: Engine, error: EngineDead) -> None:
        """Only the first of those who were asking starts another one."""
        if engine is not self._engine or not self.up or self._given_up is not None:
            return
        # A dying engine does not tell all who are asking: vLLM 0.32 forgets those that come at that very moment.
        cuts, self._cuts = self._cuts, set()
        for cut in cuts:
            cut.reschedule(asyncio.get_running_loop().time())
        if self._ending:
            self._given_up = error
            return
        logger.error("%s; it is started anew, and what was in flight is asked again", error)
        metrics.RESTARTS.inc()
        # Those who were asking only notice once the next one is loaded, which blocks the loop.
        metrics.BUSY.end()
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
                self._given_up = EngineDead(f"the engine died {self._failures} times without an answer in between")
                break
            try:
                self._engine = self._make_engine()
                await self._load()
            except Exception as error:
                defect = not isinstance(error, PersqaError)
                logger.error("the engine cannot be started: %s; trying again in %.0f s", error, pause, exc_info=defect)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            logger.info("engine ready again after %.1f s", time.monotonic() - started)
            break
        self._busy_since = time.monotonic()
        self._be_up()

    def _be_up(self) -> None:
        self.down_since = None
        self._up.set()

    async def _load(self) -> None:
        """Start the engine, which blocks the loop; one that takes for ever is killed, and fails."""
        too_long = threading.Timer(self._load_seconds, self._engine.kill)
        too_long.name = "persqa-load"
        too_long.start()
        try:
            await self._engine.start()
        finally:
            too_long.cancel()

    def _kill_while_loading(self) -> None:
        # Again and again: at first there may be nothing to kill yet.
        while not self.up:
            self._engine.kill()
            time.sleep(_KILL_SECONDS)

    async def _watch(self) -> None:
        """An engine that hangs does not die by itself, and nobody would notice."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            still = time.monotonic() - max(self._busy_since, self._engine.heard_at)
            if self._up.is_set() and self._asked and still > self._hang_seconds:
                logger.error("not a word for %.0f s with %d requests in flight: the engine hangs", still, self._asked)
                self._engine.kill()
                self._lose(self._engine, EngineDead(f"the engine hung for {still:.0f} s"))

    def _in_background(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
