"""A real Prometheus for tests: the one that is installed, or Debian's package, fetched by apt and unpacked beside."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path

#: What a test that needs it says when it is skipped.
MISSING = "no Prometheus is installed, and apt-get cannot fetch Debian's package `prometheus`"

_FETCH_SECONDS = 120


def prometheus_binary() -> Path | None:
    """The server; None where there is none and none can be had."""
    return _binary("prometheus")


def promtool_binary() -> Path | None:
    """What checks configuration and rules, and tests rules; None where there is none and none can be had."""
    return _binary("promtool")


def _binary(name: str) -> Path | None:
    if (installed := shutil.which(name)) is not None:
        return Path(installed)
    unpacked = _unpacked()
    return unpacked / "usr" / "bin" / name if unpacked else None


@cache
def _unpacked() -> Path | None:
    """Debian's package in a folder that goes with this process."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="persqa-prometheus-"))
    atexit.register(partial(shutil.rmtree, folder, ignore_errors=True))
    quietly = partial(subprocess.run, cwd=folder, timeout=_FETCH_SECONDS, check=True, capture_output=True)
    try:
        quietly(["apt-get", "download", "prometheus"])
        (package,) = folder.glob("prometheus_*.deb")
        quietly(["dpkg", "-x", package.name, "."])
    except (subprocess.SubprocessError, OSError, ValueError):
        return None
    package.unlink()
    return folder
