"""A cache of images whose files and decoders take as long as a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from persqa.flags import PictureLook
from tests.support.wait import give_way
from worker.images.budget import Budget, Share
from worker.images.cache import ImageCache
from worker.images.loader import NamedImage
from worker.pictures import Picture

#: Bytes that every image takes while it is read.
_READING = 4


def named(reference: str, *, recheck: bool = False) -> NamedImage:
    return NamedImage(base="/", reference=reference, recheck=recheck)


@dataclass
class Bench:
    """A cache whose loads go on when the test says so; a reference is `bytes:number`, and decoding takes twice that."""

    budget: Budget
    cache: ImageCache = field(init=False)
    #: What waits for a file or a decoder.
    steps: list[asyncio.Future[None]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    decoding: dict[str, int] = field(default_factory=dict)
    complaints: list[dict[str, Any]] = field(default_factory=list)
    items: dict[asyncio.Task[None], asyncio.Event] = field(default_factory=dict)
    holding: set[asyncio.Task[None]] = field(default_factory=set)
    cancelled: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cache = ImageCache(self.load, self.budget, kept_bytes=20)
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.complaints.append(context))

    async def load(self, image: NamedImage, share: Share) -> Picture:
        size = int(image.reference.partition(":")[0])
        self.loaded.append(image.reference)
        self.shares.append(share)
        await share.reserve(_READING)
        await self._step()
        share.keep(1)
        await share.reserve(2 * size, decodes=True)
        self.decoding[image.reference] = 2 * size
        try:
            await self._step()
        finally:
            del self.decoding[image.reference]
        share.keep(size)
        return Picture(image.reference, Image.new("RGB", (size, 1)), PictureLook((), 0))

    async def _step(self) -> None:
        step: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.steps.append(step)
        try:
            await step
        finally:
            self.steps.remove(step)

    def begin(self, *references: str) -> asyncio.Task[None]:
        """Begin with an item, which ends when its event is set."""
        answered = asyncio.Event()

        async def item() -> None:
            async with self.cache.hold([named(reference) for reference in references]) as images:
                assert [image.nbytes for image in images] == [4 * int(name.partition(":")[0]) for name in references]
                task = asyncio.current_task()
                assert task is not None
                self.holding.add(task)
                try:
                    await answered.wait()
                finally:
                    self.holding.discard(task)

        task = asyncio.create_task(item())
        self.items[task] = answered
        return task

    def unfinished(self) -> list[asyncio.Task[None]]:
        return [task for task in self.items if not task.done()]

    def check(self) -> None:
        assert self.complaints == []
        assert {task for task in self.items if task.cancelled()} <= self.cancelled
        assert self.budget.used == sum(share.size for share in self.shares)
        if len(self.decoding) > 1:
            assert self.budget.used <= self.budget.most_bytes

    async def settle(self) -> None:
        for _ in range(12):
            await give_way()

    async def finish(self) -> None:
        """Let all go on to their ends, the oldest item last of those that could end."""
        while self.unfinished() or self.steps:
            await self.settle()
            self.check()
            if self.steps:
                self.steps[-1].set_result(None)
                await self.settle()
            elif self.holding:
                self.items[[task for task in self.items if task in self.holding][-1]].set()
            else:
                assert not self.unfinished(), "items wait for each other"
