# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The library of data sets types little of what is used here.
"""A Hugging Face data set: a folder that `datasets.load_from_disk` reads."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persqa.errors import InputError
from persqa.libraries import library
from producer.exporters.columns import Columns
from producer.exporters.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Blobs


class HuggingFaceExporter:
    """One record a row; a column with images of the blob store is one of `datasets.Image`, which decodes them."""

    def __init__(self, path: Path, *, blobs: Blobs | None = None) -> None:
        self._path = path
        self._blobs = blobs

    def write(self, records: Iterable[dict[str, JsonValue]]) -> int:
        """Write all records; returns how many.

        Raises:
            InputError: there are none, or the library is missing.
        """
        datasets = library("datasets", "a Hugging Face data set")
        with Spool(records, self._path.parent) as spool, _scratch(self._path.parent) as folder:
            if not spool.records:
                raise InputError("there is no record to write, and a data set needs at least one")
            columns = Columns(spool, blobs=self._blobs)
            rows = Path(folder) / "rows.arrow"
            features = _features(datasets, columns)
            schema = features.arrow_schema
            with pa.OSFile(str(rows), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
                for table in columns.tables():
                    writer.write_table(table.cast(schema))
            with _quiet(datasets):
                # Mapped and not read, so the copy takes no memory.
                datasets.Dataset.from_file(str(rows)).save_to_disk(str(self._path))
            return spool.records


def _scratch(folder: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=".persqa-", dir=folder)


def _features(datasets: Any, columns: Columns) -> Any:
    features = datasets.Features.from_arrow_schema(columns.schema)
    for name, several in columns.images.items():
        features[name] = datasets.List(datasets.Image()) if several else datasets.Image()
    return features


@contextmanager
def _quiet(datasets: Any) -> Generator[None]:
    """Without bars; the caller has its own way to show how far it is."""
    already = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not already:
            datasets.enable_progress_bars()
