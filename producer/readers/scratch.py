"""A file of our own in the folder for temporary files, gone with whoever holds it."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path


class ScratchFile:
    """An empty file; it is removed when this object is, at the latest when the program ends."""

    def __init__(self, suffix: str = "") -> None:
        number, name = tempfile.mkstemp(prefix="persqa-", suffix=suffix)
        os.close(number)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
