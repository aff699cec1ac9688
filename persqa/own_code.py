"""Own code: processes that we start take no module from the folder they stand in, for there is somebody's data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def own_code_only(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process whose Python, and that of all it starts, takes no module from the working directory.

    What is left of `PYTHONPATH` are its absolute entries. An empty or relative one means whatever folder one stands in.
    """
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    named = os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": named}
