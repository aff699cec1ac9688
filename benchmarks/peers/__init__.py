"""Peers: the other ways to do the same work, one small file each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persqa.settings import Settings

_ROOT = Path(__file__).parents[2]


class Peer:
    """A peer in a process of its own, warm; it answers one line of JSON with one line of JSON."""

    def __init__(self, name: str, settings: Settings, log: Path, **arguments: object) -> None:
        """Prepare.

        Args:
            name: its module in this package.
            settings: those of the worker it is held against; its environment.
            log: where its output goes.
            arguments: what it is told beside them.
        """
        self._command = [sys.executable, "-m", f"benchmarks.peers.{name}", json.dumps(arguments)]
        self._environment = {**os.environ, **settings.environment()}
        self._log = log

    def __enter__(self) -> Self:
        """Start it; returns when it has loaded what it needs."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answer()
        return self

    def ask(self, question: Mapping[str, object]) -> dict[str, object]:
        """Let it do some work; returns what it says of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Libraries print, too.
            if line.startswith("{"):
                return cast("dict[str, object]", json.loads(line))
        raise RuntimeError(f"the peer ended, see {self._log}:\n{self._log.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
