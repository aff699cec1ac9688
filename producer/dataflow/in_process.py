"""InProcessWorker: an engine in this process, and around it the same steps that an item takes through a worker."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING

from worker.wiring import engine_maker

from persqa.errors import EngineLost, PersqaError, Rejected
from persqa.items import item_id
from persqa.messages import VERSION, ItemMessage
from persqa.reasons import Reason
from persqa.runs import RunId
from producer.dataflow.asks import Answer, Ask, answer_of
from producer.dataflow.pictures import Pictures
from worker.answerer import Answerer
from worker.engines.supervisor import Supervisor
from worker.intake import Admitted
from worker.process.loop_thread import LoopThread
from worker.trials.lanes import Lanes
from worker.trials.suspicion import Suspicion

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from persqa.results import Outcome
    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from worker.engines.engine import Engine

logger = logging.getLogger(__name__)

#: Items and their seeds are those of a first run.
_RUN = RunId(1)

_Finished = SimpleQueue[tuple[int, Answer] | None]


class InProcessWorker:
    """One engine on an event loop in a thread of its own; made ready by the constructor, ended by `close`."""

    def __init__(self, settings: Settings) -> None:
        """Load the engine.

        Raises:
            SettingsError: the model or the engine arguments cannot be used.
        """
        self._settings = settings
        self._thread = LoopThread("persqa-engine")
        self._thread.start()
        with _library_path_kept():
            self._engine = Supervisor(partial(_engine_apart, engine_maker(settings)), settings)
            self._answerer = Answerer(self._engine, worker="in-process")
            self._pictures = Pictures(settings)
            self._lanes = Lanes()
            try:
                self._thread.submit(self._engine.start()).result()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """End the engine and all threads."""
        self._thread.submit(self._engine.stop()).result()
        self._thread.stop()
        self._pictures.close()

    def answer(self, asks: Sequence[Ask], options: RunOptions) -> Iterator[tuple[int, Answer]]:
        """Answer all, some at a time; gives positions and answers as they come.

        Raises:
            EngineDead: the engine cannot be started any more.
            Infrastructure: this process or machine is short of something.
        """
        finished: _Finished = SimpleQueue()
        running = self._thread.submit(self._answer_all(asks, options, finished))
        running.add_done_callback(lambda _: finished.put(None))
        try:
            while (found := finished.get()) is not None:
                yield found
            running.result()
        finally:
            running.cancel()

    async def _answer_all(self, asks: Iterable[Ask], options: RunOptions, finished: _Finished) -> None:
        room = asyncio.Semaphore(self._settings.window)

        async def answer(ask: Ask) -> None:
            try:
                finished.put((ask.position, answer_of((await self._outcome(_message(ask, options))).result)))
            finally:
                room.release()

        try:
            async with asyncio.TaskGroup() as group:
                for ask in asks:
                    await room.acquire()
                    group.create_task(answer(ask))
        except* PersqaError as several:
            # One is as good as the other: it is the engine, or the machine.
            raise several.exceptions[0] from None

    async def _outcome(self, message: ItemMessage) -> Outcome:
        """What becomes of one record, however often the engine dies under it; see `worker/pipeline.py`."""
        suspicion = Suspicion(deliveries=1)
        while True:
            alone = False
            try:
                async with self._lanes.lane(suspicion.company, rank=suspicion.rank) as alone:
                    await self._engine.ready()
                    return await self._try(message)
            except EngineLost as error:
                if error.asked:
                    suspicion.engine_died(str(error), answered=self._engine.answered, alone=alone)
            if suspicion.proven:
                return self._answerer.give_up(message, Reason.KILLS_ENGINE, suspicion.story)

    async def _try(self, message: ItemMessage) -> Outcome:
        seconds = self._settings.item_seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._answerer.answer(await self._admit(message))
        except Rejected as rejected:
            return self._answerer.refuse(message, rejected)
        except PersqaError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return self._answerer.give_up(message, Reason.TIME_LIMIT, f"not answered within {seconds:g} s")
            # One record's defect is not its neighbours'.
            logger.exception("record %d: a defect of PersQA", message.item)
            return self._answerer.give_up(message, Reason.INTERNAL_ERROR, str(error) or repr(error))

    async def _admit(self, message: ItemMessage) -> Admitted:
        started = time.monotonic()
        load = partial(self._pictures.load, base=message.base, resolution=self._engine.resolution)
        images = [await load(reference) for reference in message.images]
        return Admitted(message=message, images=images, image_seconds=time.monotonic() - started)


@contextmanager
def _library_path_kept() -> Generator[None]:
    """OpenCV, which vLLM imports, puts its own folder before the caller's; it does so anew in every process."""
    name = "LD_LIBRARY_PATH"
    before = os.environ.get(name)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _message(ask: Ask, options: RunOptions) -> ItemMessage:
    """The message that would be sent for it."""
    return ItemMessage(
        v=VERSION,
        item=item_id(_RUN, ask.position),
        run=_RUN,
        requeues=0,
        images=list(ask.images),
        base=str(Path.cwd()),
        tag=ask.tag,
        question=ask.question,
        system=options.system_prompt,
        policy=options.tag_policy,
        sampling=options.sampling.model_dump(mode="json", exclude_none=True),
        seed=options.seed,
        recheck=False,
    )


def _engine_apart(make: Callable[[], Engine]) -> Engine:
    """An engine whose processes do not run the caller's program again.

    A spawned process begins by importing the program that spawned it, which is right for a module with a guard around
    its `main` and endless for a plain script; the engine's processes need nothing of it.
    """
    engine = make()
    start = engine.start

    async def start_apart() -> None:
        with _no_main_module():
            await start()

    engine.start = start_apart
    return engine


@contextmanager
def _no_main_module() -> Generator[None]:
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
