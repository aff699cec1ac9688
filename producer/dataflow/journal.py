"""Journal: answers written down as they come, so that a run that is broken off goes on where it was."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from persqa.records import record_key
from producer.dataflow.asks import Answer, Ask

if TYPE_CHECKING:
    from collections.abc import Sequence


class Journal:
    """A file of JSON lines beside the file to come; dropped once that is written."""

    def __init__(self, path: Path | None, *, identity: str) -> None:
        """Prepare.

        Args:
            path: the file; None where the answers are kept elsewhere, and then nothing is written.
            identity: what decides the answers beside the records; a journal of another one is of no use.
        """
        self._path = path
        self._identity = identity
        self._file: IO[str] | None = None

    def known(self, asks: Sequence[Ask]) -> dict[int, Answer]:
        """The answers that an earlier start has written down, by position; what failed then is asked again."""
        if self._path is None:
            return {}
        keys = {ask.position: _key(ask) for ask in asks}
        found: dict[int, Answer] = {}
        # Without a first line it is none of ours, and a last one without an end was cut off by a crash.
        with (
            suppress(OSError, ValueError, KeyError, TypeError, StopIteration),
            self._path.open(encoding="utf-8") as file,
        ):
            if json.loads(next(file)) != {"identity": self._identity}:
                return {}
            for line in file:
                entry = cast("dict[str, str]", json.loads(line))
                position = int(entry["position"])
                if keys.get(position) == entry["key"] and entry["text"] is not None:
                    found[position] = Answer(text=entry["text"], reason=entry["reason"])
        return found

    def begin(self, asks: Sequence[Ask], known: dict[int, Answer]) -> None:
        """Start anew with what is known."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.part")
        self._file = draft.open("w", encoding="utf-8")
        self._write({"identity": self._identity})
        for ask in asks:
            if ask.position in known:
                self.add(ask, known[ask.position])
        draft.replace(self._path)

    def add(self, ask: Ask, answer: Answer) -> None:
        """Write one answer down."""
        self._write({"position": ask.position, "key": _key(ask), "text": answer.text, "reason": answer.reason})

    def close(self) -> None:
        """Keep the file."""
        if self._file is not None:
            self._file.close()

    def drop(self) -> None:
        """Everything is stored elsewhere."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self, entry: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry) + "\n")
            # To the operating system, so that the end of this process loses nothing.
            self._file.flush()


def _key(ask: Ask) -> str:
    return record_key(f"{ask.record}\n{ask.prompt}")
