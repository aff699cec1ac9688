"""RunningEngine: vLLM in this process, in a loop thread of its own, as in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from persqa.errors import Rejected
from worker.process.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from persqa.generations import Generation
    from persqa.settings import Settings
    from worker.engines.engine import Request
    from worker.engines.vllm_engine import VllmEngine

Answer = TypeVar("Answer")


class RunningEngine:
    """An engine that is asked from outside its loop."""

    def __init__(self, settings: Settings) -> None:
        from worker.engines.vllm_engine import VllmEngine

        self.engine: VllmEngine = VllmEngine(settings)
        self._thread = LoopThread("test-engine")
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return self._thread.submit(coroutine).result(timeout=400)

    def begin(self, request: Request) -> Future[Generation]:
        return self._thread.submit(self.engine.generate(request))

    def answer(self, request: Request) -> Generation:
        return self.run(self.engine.generate(request))

    def reject(self, request: Request) -> Rejected:
        with pytest.raises(Rejected) as caught:
            self.answer(request)
        return caught.value

    def close(self) -> None:
        self.run(self.engine.stop())
        self.run(self.engine.stop())
        self._thread.stop()
