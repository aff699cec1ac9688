"""The first program: puts work in and gets results out. `Client` is the door for Python, `persqa` for the shell."""

from __future__ import annotations

from producer.client import Client
from producer.run_handle import RunHandle

__all__ = ["Client", "RunHandle"]
