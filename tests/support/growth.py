"""How much a process grows while it reads an input twice; run as a program, so that nothing else is measured."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

from tests.support.reading import opened

_WARM_UP_RECORDS = 2000
_PACKAGES = Path(__file__).parents[2]


def growth_mb(data: str | Path, *, rows: int) -> float:
    """The growth of another process that reads the input, in MB, once it has found so many records both times."""
    command = [sys.executable, "-m", __name__, str(data), str(rows), str(Path("blobs").resolve())]
    source = subprocess.DEVNULL
    return float(subprocess.run(command, cwd=_PACKAGES, stdin=source, capture_output=True, check=True).stdout)


def _main(data: str, rows: str, blobs: str) -> None:
    # All that a reader loads and keeps is there after the first records.
    for _ in islice(opened(data, blobs=Path(blobs)), _WARM_UP_RECORDS):
        pass
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
