"""How much a process grows while it reads an input twice; run as a program, so that nothing else is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tests.support.reading import opened

_WARM_UP_RECORDS = 2000
_PACKAGES = Path(__file__).parents[2]


def growth_mb(
    data: str | Path, *, rows: int, piped: Path | None = None, environment: Mapping[str, str] | None = None
) -> float:
    """The growth of another process that reads the input, in MB, once it has found so many records both times.

    Args:
        data: the input.
        rows: how many records it has.
        piped: a file of the same format that comes to it on standard input.
        environment: variables that it gets.
    """
    blobs = str(Path("blobs").resolve())
    command = [sys.executable, "-m", __name__, str(data), str(rows), blobs, *([] if piped is None else [str(piped)])]
    with Path(piped or os.devnull).open("rb") as source:
        done = subprocess.run(
            command,
            cwd=_PACKAGES,
            env={**os.environ, **(environment or {})},
            stdin=source,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def _main(data: str, rows: str, blobs: str, like: str = "") -> None:
    # All that a reader loads and keeps is there after the first records; a pipe has them only once.
    for _ in islice(opened(like or data, blobs=Path(blobs)), _WARM_UP_RECORDS):
        pass
    # What Arrow keeps for later use would hide as much growth.
    pa.default_memory_pool().release_unused()
    # From here on the peak counts anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mb("VmRSS")
    reader = opened(data, blobs=Path(blobs))
    for _ in range(2):
        found = sum(1 for raw in reader if raw.error is None)
        assert found == int(rows), f"{found} records"
    print(_status_mb("VmHWM") - before)


def _status_mb(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    _main(*sys.argv[1:])
