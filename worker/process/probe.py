"""`python -m worker.process.probe healthz|readyz`: asks the worker of this machine, for health checks of containers.

Exit codes: 0 healthy, 1 not healthy or no worker answers, 2 wrong arguments or settings.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException

from persqa.errors import UserError
from persqa.settings import load_settings

_PAGES = ("healthz", "readyz")
_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main(arguments: list[str]) -> int:
    """Ask for one page and print it; returns the exit code."""
    try:
        settings = load_settings()
    except UserError as error:
        return _complain(str(error))
    if len(arguments) != 1 or arguments[0] not in _PAGES:
        return _complain("say what to ask: healthz or readyz")
    if settings.metrics_port is None:
        return _complain("no worker serves such a page: set PERSQA_METRICS_PORT")
    address = _EVERYWHERE.get(settings.metrics_address, settings.metrics_address)
    connection = HTTPConnection(address, settings.metrics_port, timeout=_SECONDS)
    try:
        connection.request("GET", f"/{arguments[0]}")
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode())
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"no worker answers on {address}, port {settings.metrics_port}: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


def _complain(words: str) -> int:
    sys.stderr.write(f"worker.process.probe: {words}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
