"""The producer puts work in and gets results out: `Client` in Python, `persqa` in the shell."""

from __future__ import annotations

from producer.client import Client
from producer.run_handle import RunHandle

__all__ = ["Client", "RunHandle"]
