"""A Redis of version 7 or newer that knows TLS: the one that is installed, or Debian's, fetched by apt."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.support.debian import unpacked

#: What a test that needs it says when it is skipped.
MISSING = "no Redis 7 with TLS is installed, and apt-get cannot fetch Debian's package `redis-server`"

#: The server, and the libraries that a machine without it seldom has.
_PACKAGES = ("redis-tools", "liblzf1", "libjemalloc2")
_OLDEST = 7


@cache
def debian_redis_binary() -> Path | None:
    """The server; None where there is none and none can be had."""
    installed = shutil.which("redis-server")
    return Path(installed) if installed is not None and _serves(Path(installed)) else _unpacked()


def _unpacked() -> Path | None:
    """Debian's, made of packages in a folder that goes with this process."""
    if (folder := unpacked(*_PACKAGES)) is None:
        return None
    try:
        (library,) = folder.glob("usr/lib/*/libjemalloc.so.2")
        (program,) = folder.glob("usr/bin/redis-check-rdb")
    except ValueError:
        return None
    # One program under several names; the package `redis-server` adds but the name.
    (folder / "redis-server").symlink_to(program)
    server = folder / "bin" / "redis-server"
    server.parent.mkdir()
    server.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library.parent} exec {folder}/redis-server "$@"\n')
    server.chmod(0o755)
    return server if _serves(server) else None


def _serves(server: Path) -> bool:
    """Whether it starts, is new enough and knows TLS."""
    told = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)", told)
    if found is None or int(found[1]) < _OLDEST:
        return False
    # One without TLS knows no such option, and ends; this one ends as well, since it has no certificate.
    asked = [str(server), "--port", "0", "--tls-port", "1", "--daemonize", "no"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    return "tls-cert-file" in said.stdout + said.stderr
