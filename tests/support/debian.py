"""Programs of Debian's packages for tests, fetched by apt and unpacked beside what is installed."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

_FETCH_SECONDS = 120


def unpacked(*packages: str) -> Path | None:
    """The packages in a folder that goes with this process; None where they cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix=f"persqa-{packages[0]}-"))
    atexit.register(partial(shutil.rmtree, folder, ignore_errors=True))
    quietly = partial(subprocess.run, cwd=folder, timeout=_FETCH_SECONDS, check=True, capture_output=True)
    try:
        quietly(["apt-get", "download", *packages])
        for package in folder.glob("*.deb"):
            quietly(["dpkg", "-x", package.name, "."])
            package.unlink()
    except (subprocess.SubprocessError, OSError):
        return None
    return folder
