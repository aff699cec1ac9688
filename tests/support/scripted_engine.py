"""ScriptedEngine: the suite's one fake; an engine driven by a function, in this process or in a worker's.

A worker process gets it by `PERSQA_ENGINE=tests.support.scripted_engine:ScriptedEngine` and is told which function by
`PERSQA_ENGINE_ARGS={"script": "tests.support.scripts:reads_colour"}`; with `"slots": 2` it answers so many at once,
with `"loads_until": "/a/file"` it is loading until the file is there, and with `"edge": 512` it says how much of an
image it looks at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

from persqa.errors import EngineDead
from persqa.generations import FinishReason, Generation
from persqa.images import Resolution
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from persqa.settings import Settings
    from worker.engines.engine import Request
    from worker.pictures import Prepares


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the script says to one request, after so many seconds, in which nothing is heard of a silent engine."""

    text: str
    seconds: float = 0.0
    silent: bool = False
    finish_reason: FinishReason = FinishReason.STOP


#: Answers a request, or raises what an engine may raise.
Script: TypeAlias = Callable[["Request"], Line]


class ScriptedEngine:
    """Says what its script says; a prefill is put in front, as every engine does."""

    #: Whether all that it was asked fails when it dies or is killed, as should be.
    tells_all: ClassVar[bool] = True

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        self.model = settings.model or "scripted"
        edge = settings.engine_args.get("edge")
        self.resolution = Resolution(edge=edge) if isinstance(edge, int) else None
        self.prepare: Prepares | None = None
        self._script = script or _named(str(settings.engine_args["script"]))
        self.in_flight = 0
        self.most_in_flight = 0
        self.waiting = 0
        self._slots = asyncio.Semaphore(cast("int", settings.engine_args.get("slots", 65_536)))
        self._loads_until = settings.engine_args.get("loads_until")
        self._killed = asyncio.Event()
        self._silent = False

    @property
    def heard_at(self) -> float:
        """Now, as long as it is not silent."""
        return 0.0 if self._silent else time.monotonic()

    async def start(self) -> None:
        """Nothing to load, but it can take its time; it blocks the loop meanwhile, as vLLM does."""
        if isinstance(self._loads_until, str):
            wait_until(Path(self._loads_until).exists, describe=f"{self._loads_until} is there", seconds=120)

    async def generate(self, request: Request) -> Generation:
        """Ask the script."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            line = await self._take_turn(request)
            if self._killed.is_set():
                raise EngineDead("the scripted engine was killed")
        finally:
            self.in_flight -= 1
        text = request.prefill + line.text
        return Generation(
            text=text,
            finish_reason=line.finish_reason,
            prompt_tokens=len(request.user.split()),
            output_tokens=len(line.text.split()),
        )

    async def _take_turn(self, request: Request) -> Line:
        self.waiting += 1
        async with self._slots:
            self.waiting -= 1
            line = self._say(request)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._killed.wait(), line.seconds)
        return line

    def _say(self, request: Request) -> Line:
        """One dies for all, as real engines do."""
        try:
            line = self._script(request)
        except EngineDead:
            self.kill()
            raise
        self._silent = self._silent or line.silent
        return line

    def kill(self) -> None:
        """Fail whatever is asked, now and later."""
        if self.tells_all:
            self._killed.set()

    async def stop(self) -> None:
        """Nothing to free."""


def _named(name: str) -> Script:
    module, _, function = name.partition(":")
    return cast("Script", getattr(import_module(module), function))
