"""InProcessWorker: an engine in this process, and around it the same steps that an item takes through a worker."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING

from persqa.dataflow.asks import Answer, Ask, answer_of
from persqa.errors import EngineLost, PersqaError, Rejected
from persqa.images import ImageLimits, load_image
from persqa.messages import VERSION, ItemMessage
from persqa.reasons import Reason
from worker.answerer import Answerer
from worker.image_cache import ImageCache
from worker.intake import Admitted
from worker.loop_thread import LoopThread
from worker.supervisor import Supervisor
from worker.wiring import engine_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from PIL.Image import Image

    from persqa.results import Outcome
    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from worker.engine import Engine

logger = logging.getLogger(__name__)

#: Decoded images kept for the next questions about them.
_CACHED_BYTES = 128 * 2**20
#: Deaths of the engine with the same request in its hand, before the request is given up.
_MOST_DEATHS = 3

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
        self._engine = Supervisor(partial(_engine_apart, engine_maker(settings)), settings)
        self._answerer = Answerer(self._engine, worker="in-process")
        self._images = ImageCache(self._load, threads=settings.image_threads, most_bytes=_CACHED_BYTES)
        try:
            self._thread.submit(self._engine.start()).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the engine and all threads."""
        self._thread.submit(self._engine.stop()).result()
        self._thread.stop()
        self._images.close()

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
        for _ in range(_MOST_DEATHS):
            await self._engine.ready()
            try:
                images = [await self._images.get(message.base, reference) for reference in message.images]
                return await self._answerer.answer(Admitted(message=message, images=images, image_seconds=0.0))
            except Rejected as rejected:
                return self._answerer.refuse(message, rejected)
            except EngineLost as error:
                logger.warning("record %d: %s", message.item, error)
            except PersqaError:
                raise
            except Exception as error:
                # One record's defect is not its neighbours'.
                logger.exception("record %d: a defect of PersQA", message.item)
                return self._answerer.give_up(message, Reason.INTERNAL_ERROR, str(error) or repr(error))
        return self._answerer.give_up(message, Reason.KILLS_ENGINE, f"the engine died {_MOST_DEATHS} times with it")

    def _load(self, base: str, reference: str) -> Image:
        limits = ImageLimits(
            roots=tuple(self._settings.image_roots),
            max_pixels=self._settings.max_image_pixels,
            max_bytes=self._settings.max_image_bytes,
        )
        return load_image(reference, base=Path(base), limits=limits, resolution=self._engine.resolution)


def _message(ask: Ask, options: RunOptions) -> ItemMessage:
    """The message that would be sent for it."""
    return ItemMessage(
        v=VERSION,
        item=ask.position + 1,
        run=1,
        requeues=0,
        images=list(ask.images),
        base=str(Path.cwd()),
        tag=ask.tag,
        question=ask.question,
        system=options.system_prompt,
        policy=options.tag_policy,
        sampling=options.sampling.model_dump(mode="json", exclude_none=True),
        seed=options.seed,
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
