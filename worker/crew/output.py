"""Output: what all workers of a crew say, on one standard output, each line with the label of who says it."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from typing import IO, cast

#: In one line, at most; longer ones are cut into several.
_LINE_BYTES = 2**20
#: Of the crew's own lines, while nobody reads; more are lost.
_WAITING_LINES = 1000
#: At the end, for the crew's own last lines to be written.
_LAST_LINES_SECONDS = 1.0


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
        """Write one line; takes as long as it takes somebody to read what was written before."""
        text = _as_json(label, line) if self._as_json else f"{label:{self._width}} | {line}"
        left = memoryview(text.encode(errors="replace") + b"\n")
        # Below Python's buffers: a thread that stands still in one of those would be in the way at the end. What cannot
        # be written, for the reader or the terminal is gone or the disk is full, is lost; it must not stop the workers.
        with self._lock, suppress(OSError):
            while left:
                left = left[os.write(self._file, left) :]

    def _run(self, label: str, source: IO[bytes]) -> None:
        with source:
            while line := source.readline(_LINE_BYTES):
                if text := line.decode(errors="replace").rstrip("\r\n"):
                    self.say(label, text)


class OwnLines(logging.Handler):
    """What the crew itself logs, on an output as all the rest; who logs never waits for who reads."""

    def __init__(self, output: Output, label: str) -> None:
        """Begin.

        Args:
            output: where the lines go.
            label: who says them.
        """
        super().__init__()
        self._output = output
        self._label = label
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._thread = threading.Thread(target=self._run, name=f"persqa-output-{label}", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a line to the thread that writes them."""
        with suppress(queue.Full):
            self._lines.put_nowait(self.format(record))

    def close(self) -> None:
        """Give what is left a moment to be written; it may be that nobody reads."""
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
