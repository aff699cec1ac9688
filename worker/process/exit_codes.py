"""Exit codes of the worker process, and of whoever starts several of them."""

from __future__ import annotations

from typing import Final

DEFECT: Final = 1
USER_ERROR: Final = 2
INFRASTRUCTURE: Final = 3
