"""Output: writes the lines of all workers of a crew to one standard output, with the label of each worker."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from typing import IO, cast

from persqa.logs import wrapped

#: The longest line; longer ones are split.
_LINE_BYTES = 2**20
#: The most lines of the crew itself that wait while nobody reads; others are lost.
_WAITING_LINES = 1000
#: Time for the last lines of the crew itself to be written.
_LAST_LINES_SECONDS = 1.0


class Output:
    """Writes each line whole, even when several threads write at once."""

    def __init__(self, labels: list[str], *, as_json: bool, file: int = 1) -> None:
        """Prepare.

        Args:
            labels: all labels, to align the lines.
            as_json: whether to write each line as a JSON object with the label as a field.
            file: the descriptor to write to.
        """
        self._width = max(map(len, labels))
        self._as_json = as_json
        self._file = file
        self._lock = threading.Lock()

    def relay(self, label: str, source: IO[bytes]) -> threading.Thread:
        """Pass on all lines of a source in a daemon thread, which is returned."""
        thread = threading.Thread(target=self._run, args=(label, source), name=f"persqa-output-{label}", daemon=True)
        thread.start()
        return thread

    def say(self, label: str, line: str) -> None:
        """Write one line; waits until the earlier ones have been read."""
        text = _as_json(label, line) if self._as_json else wrapped(f"{label:{self._width}} | {line}", self._file)
        left = memoryview(text.encode(errors="replace") + b"\n")
        # Not through Python's buffers, because a thread that hangs in one keeps the process from ending. A full disk or
        # a closed terminal loses lines, and must not stop the workers.
        with self._lock, suppress(OSError):
            while left:
                left = left[os.write(self._file, left) :]

    def _run(self, label: str, source: IO[bytes]) -> None:
        with source:
            while line := source.readline(_LINE_BYTES):
                if text := line.decode(errors="replace").rstrip("\r\n"):
                    self.say(label, text)


class OwnLines(logging.Handler):
    """Logs the lines of the crew itself to the same output, without ever waiting for a reader."""

    def __init__(self, output: Output, label: str) -> None:
        super().__init__()
        self._output = output
        self._label = label
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._thread = threading.Thread(target=self._run, name=f"persqa-output-{label}", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a line to the thread that writes."""
        with suppress(queue.Full):
            self._lines.put_nowait(self.format(record))

    def close(self) -> None:
        """Wait a moment for the last lines to be written; there may be no reader."""
        end = time.monotonic() + _LAST_LINES_SECONDS
        with suppress(queue.Full):
            self._lines.put(None, timeout=_LAST_LINES_SECONDS)
        self._thread.join(max(0.0, end - time.monotonic()))
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            self._output.say(self._label, line)


def _as_json(label: str, line: str) -> str:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        fields = {"message": line}
    return json.dumps({"label": label, **cast("dict[str, object]", fields)}, ensure_ascii=False)
