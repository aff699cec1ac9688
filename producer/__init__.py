"""The producer puts work in and gets results out: `Client` in Python, `persqa` in the shell."""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

# As in `worker`: as a program it takes no module from the working directory. As a library it leaves the path alone.
if (sys.argv[:1] == ["-m"] and "producer.cli" in sys.orig_argv) or "".join(sys.argv[:1]).endswith("/persqa"):
    try:
        _here = os.getcwd()  # noqa: PTH109 - not loaded yet
    except OSError:
        # The folder is gone, or belongs to another root than that of this process.
        _here = ""
    if _here not in (os.path.dirname(__path__[0]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)):  # noqa: PTH120
        sys.path[:] = [entry for entry in sys.path if entry not in ("", _here)]

if TYPE_CHECKING:
    from producer.async_client import AsyncClient
    from producer.client import Client
    from producer.open_run import OpenRun
    from producer.run_handle import RunHandle

__all__ = ["AsyncClient", "Client", "OpenRun", "RunHandle"]

_HOMES = {
    "AsyncClient": "producer.async_client",
    "Client": "producer.client",
    "OpenRun": "producer.open_run",
    "RunHandle": "producer.run_handle",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, since the database's library takes longer to load than many a command to run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
