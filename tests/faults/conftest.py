"""Faults come in two sizes: few and short in every test run, many and long with `--chaos`.

What is random is seeded: the first lines of a test run say with what, and `--randomly-seed=...` repeats it.
The site's fixture is the oracle after each test: the audit holds, nothing is left in Redis and no process is left over.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which scripts note what they begin."""
    file = tmp_path / "begun"
    monkeypatch.setenv("SCRIPT_NOTES", str(file))
    return file
