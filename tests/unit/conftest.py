"""What several modules of unit tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pictures import quarters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    quarters().save(folder / "good.png")
    quarters().save(tmp_path / "secret.png")
    return folder
