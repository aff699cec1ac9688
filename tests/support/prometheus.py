"""A real Prometheus for tests: the one that is installed, or Debian's package, fetched by apt and unpacked beside."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from tests.support.debian import unpacked

#: What a test that needs it says when it is skipped.
MISSING = "no Prometheus is installed, and apt-get cannot fetch Debian's package `prometheus`"


def prometheus_binary() -> Path | None:
    """The server; None where there is none and none can be had."""
    return _binary("prometheus")


def promtool_binary() -> Path | None:
    """What checks configuration and rules, and tests rules; None where there is none and none can be had."""
    return _binary("promtool")


def _binary(name: str) -> Path | None:
    if (installed := shutil.which(name)) is not None:
        return Path(installed)
    folder = _package()
    return folder / "usr" / "bin" / name if folder else None


@cache
def _package() -> Path | None:
    return unpacked("prometheus")
