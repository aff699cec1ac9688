"""A scripted engine that starts Python the ways vLLM does: by `-m`, by `-c`, and by multiprocessing."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

from tests.support.scripted_engine import ScriptedEngine


class StartingEngine(ScriptedEngine):
    """Loads only if all of these end well."""

    async def start(self) -> None:
        """Start them, one after the other."""
        for command in (["-m", "psutil"], ["-c", "import psutil"]):
            # The package cannot be executed, but is imported; a module of this name would be executed.
            said = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)
            assert said.returncode == 0 or "'psutil' is a package and cannot be directly executed" in said.stderr, said
        child = multiprocessing.get_context("spawn").Process(target=int)
        child.start()
        child.join()
        assert child.exitcode == 0
        await super().start()
