"""BrokenGpuEngine: the scripted engine on a machine whose GPU 2 is broken, as vLLM would find it."""

from __future__ import annotations

import os

from persqa.errors import SettingsError
from tests.support.scripted_engine import ScriptedEngine


class BrokenGpuEngine(ScriptedEngine):
    """Cannot be loaded on GPU 2."""

    async def start(self) -> None:
        """Fail there."""
        if os.environ["CUDA_VISIBLE_DEVICES"] == "2":
            raise SettingsError("vLLM cannot load the model: CUDA error: unspecified launch failure, as scripted")
        await super().start()
