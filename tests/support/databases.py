"""SQLite databases that have their tables already: copies of one, as making them takes ten times as long."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from persqa.store import Store


def with_tables(file: Path) -> str:
    """Make a database that is like a new one; gives its URL."""
    file.write_bytes(_tables())
    return f"sqlite:///{file}"


@cache
def _tables() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "persqa.db"
        Store.open(f"sqlite:///{file}").close()
        return file.read_bytes()
