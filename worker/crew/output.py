"""Output: what all workers of a crew say, on one standard output, each line with the label of who says it."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import IO, cast

#: In one line, at most; longer ones are cut into several.
_LINE_BYTES = 2**20


class Output:
    """Lines are written whole, whoever writes at the same time."""

    def __init__(self, labels: list[str], *, as_json: bool, file: int = 1) -> None:
        """Prepare.

        Args:
            labels: all there are, to align what they say.
            as_json: every line has to be a JSON object: the label becomes a field, and what is none becomes one.
            file: the descriptor to write to.
        """
        self._width = max(map(len, labels))
        self._as_json = as_json
        self._file = file
        self._lock = threading.Lock()

    def relay(self, label: str, source: IO[bytes]) -> threading.Thread:
        """Pass on what comes, until it ends; in a thread of its own, which does not keep the process from ending."""
        thread = threading.Thread(target=self._run, args=(label, source), name=f"persqa-output-{label}", daemon=True)
        thread.start()
        return thread

    def say(self, label: str, line: str) -> None:
        """Write one line."""
        text = _as_json(label, line) if self._as_json else f"{label:{self._width}} | {line}"
        left = memoryview(text.encode(errors="replace") + b"\n")
        # Below Python's buffers: a thread that stands still in one of those would be in the way at the end. If nobody
        # reads any more, what the workers say is lost; it must not stop them.
        with self._lock, suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._file, left) :]

    def _run(self, label: str, source: IO[bytes]) -> None:
        with source:
            while line := source.readline(_LINE_BYTES):
                if text := line.decode(errors="replace").rstrip("\r\n"):
                    self.say(label, text)


def _as_json(label: str, line: str) -> str:
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        fields = {"message": line}
    return json.dumps({"label": label, **cast("dict[str, object]", fields)}, ensure_ascii=False)
