"""Exit codes of a worker and of a crew."""

from __future__ import annotations

from typing import Final

DEFECT: Final = 1
USER_ERROR: Final = 2
INFRASTRUCTURE: Final = 3
#: Told twice to stop, or by SIGQUIT: what it had begun is given back.
INTERRUPTED: Final = 130
