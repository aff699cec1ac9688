"""Engines that stand in for a model where the model is not what is measured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from persqa.generations import FinishReason, Generation
from tests.support.wait import give_way

if TYPE_CHECKING:
    from persqa.images import Resolution
    from persqa.settings import Settings
    from worker.engines.engine import Request
    from worker.pictures import Prepares

_SLOTS = 25


class InstantEngine:
    """Answers at once, and keeps the tag rule."""

    def __init__(self, settings: Settings) -> None:
        self.model = "instant"
        self.resolution: Resolution | None = None
        self.prepare: Prepares | None = None
        self._settings = settings
        self.heard_at = 0.0
        self.waiting = 0

    async def start(self) -> None:
        """Nothing to load."""

    async def generate(self, request: Request) -> Generation:
        """Say whose answer it is, so that a mixed-up one is found."""
        number = request.request_id.split("-", 1)[0]
        return Generation(
            text=f"<mam> has number {number}.", finish_reason=FinishReason.STOP, prompt_tokens=100, output_tokens=8
        )

    def kill(self) -> None:
        """Nothing to kill."""

    async def stop(self) -> None:
        """Nothing to free."""


class PacedEngine(InstantEngine):
    """Gives `{"rate": 50}` answers a second, some at a time, as an engine does that batches without end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seconds = _SLOTS / cast("float", settings.engine_args["rate"])
        self._slots = asyncio.Semaphore(_SLOTS)

    async def generate(self, request: Request) -> Generation:
        """Take as long as the pace says."""
        self.waiting += 1
        async with self._slots:
            self.waiting -= 1
            await give_way(self._seconds)
        return await super().generate(request)
