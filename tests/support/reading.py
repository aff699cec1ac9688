"""Reading an input in tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.records import SEED_COLUMNS, Columns, RawRecord
from producer.readers import open_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

    from producer.readers.base import Reader


def opened(
    data: str | Path | Iterable[Mapping[str, object]],
    *,
    blobs: Path = Path("blobs"),
    input_format: str | None = None,
    split: str | None = None,
    columns: Columns = SEED_COLUMNS,
    limit: int | None = None,
) -> Reader:
    """Open an input, with a blob store in the working directory."""
    store = BlobStore(blobs)
    return open_input(data, blobs=store, input_format=input_format, split=split, columns=columns, limit=limit)


def values(reader: Iterable[RawRecord]) -> list[JsonValue]:
    """All records, none of which may be wrong."""
    found = list(reader)
    assert [raw.error for raw in found if raw.error is not None] == []
    return [raw.value for raw in found]


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def one_error(reader: Iterable[RawRecord]) -> RawRecord:
    """The only wrong record."""
    (wrong,) = [raw for raw in reader if raw.error is not None]
    return wrong
