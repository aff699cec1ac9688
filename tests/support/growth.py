"""How much a process grows while it reads an input twice; run as a program, so that nothing else is measured.

The program loads what all readers need once, and forks for each input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.reading import opened

_WARM_UP_RECORDS = 2000
_PACKAGES = Path(__file__).parents[2]
#: Stands for records that a program makes.
GENERATED = "generated"


#: Loaded before the program forks, and used by readers.
_LOADED = (pq,)


class Meter:
    """Measures one input after the other, each in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def growth_mb(
        self, data: str | Path, *, rows: int, piped: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> float:
        """The growth of the process that reads the input, in MB, once it has found so many records both times.

        Args:
            data: the input; `GENERATED` stands for records that are made meanwhile.
            rows: how many records it has.
            piped: a file of the same format that comes to it on standard input.
            environment: variables that it gets.
        """
        job = {
            "data": str(data),
            "rows": rows,
            "blobs": str(Path("blobs").resolve()),
            "piped": str(piped or os.devnull),
            "environment": dict(environment or {}),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        assert isinstance(found, float), found
        return found


@contextmanager
def meter() -> Generator[Meter]:
    """Start the program, and end it."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, cwd=_PACKAGES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Meter(process)
        assert process.stdin is not None
        process.stdin.close()


def _generated(rows: int) -> Iterator[dict[str, object]]:
    return ({"image": f"{index:08}.png", "words": f"{index:08}" * 250} for index in islice(count(), rows))


def _opened(data: str, rows: int, blobs: Path) -> Iterable[object]:
    return opened(_generated(rows) if data == GENERATED else data, blobs=blobs)


def _measured(data: str, rows: int, blobs: Path, piped: str) -> float:
    # All that a reader loads and keeps is there after the first records; a pipe has them only once.
    for _ in islice(_opened(piped if data == "-" else data, _WARM_UP_RECORDS, blobs), _WARM_UP_RECORDS):
        pass
    # What Arrow keeps for later use would hide as much growth.
    pa.default_memory_pool().release_unused()
    # From here on the peak counts anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mb("VmRSS")
    reader = opened(_generated(rows) if data == GENERATED else data, blobs=blobs)
    for _ in range(2):
        found = sum(1 for raw in reader if raw.error is None)
        assert found == rows, f"{found} records"
    return _status_mb("VmHWM") - before


def _status_mb(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1000


def _serve(jobs: IO[str]) -> None:
    for line in jobs:
        job = json.loads(line)
        result, said = os.pipe()
        if (child := os.fork()) == 0:
            os.write(said, json.dumps(_answer(job)).encode())
            os._exit(0)
        os.close(said)
        with os.fdopen(result) as answer:
            text = answer.read() or json.dumps("the process that measures has died")
        os.waitpid(child, 0)
        print(text, flush=True)


def _answer(job: dict[str, Any]) -> float | str:
    os.environ.update(job["environment"])
    with Path(job["piped"]).open("rb") as source:
        os.dup2(source.fileno(), 0)
    try:
        return _measured(job["data"], job["rows"], Path(job["blobs"]), job["piped"])
    except BaseException:  # noqa: BLE001 - it is said by whoever asked
        return traceback.format_exc()


if __name__ == "__main__":
    # Standard input is that of the input in the end.
    _serve(os.fdopen(os.dup(0)))
