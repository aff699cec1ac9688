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

    from producer.exporters.images import Cells


def write_data_set(records: Iterable[dict[str, JsonValue]], path: Path, cells: Cells | None) -> int:
    """Write one record a row; returns how many. Images of the blob store become `datasets.Image`, which decodes them.

    Raises:
        InputError: there is no record, or the library is missing.
    """
    datasets = library("datasets", "a Hugging Face data set")
    with (
        Spool(records, path.parent) as spool,
        tempfile.TemporaryDirectory(prefix=".persqa-", dir=path.parent) as folder,
    ):
        # The library opens whatever a cell without bytes names, be it a secret of this machine or a server.
        columns = Columns(spool, cells=cells, only_bytes=True)
        rows = Path(folder) / "rows.arrow"
        schema = _features(datasets, columns).arrow_schema
        with pa.OSFile(str(rows), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for table in columns.tables():
                writer.write_table(table.cast(schema))
        number = spool.records - columns.left_out
        if not number:
            raise InputError("there is no record to write, and a data set needs at least one")
        with _quiet(datasets):
            # The file is mapped and not read, so the copy takes no memory.
            datasets.Dataset.from_file(str(rows)).save_to_disk(str(path))
        return number


def _features(datasets: Any, columns: Columns) -> Any:
    features = datasets.Features.from_arrow_schema(columns.schema)
    for name, several in columns.images.items():
        features[name] = datasets.List(datasets.Image()) if several else datasets.Image()
    return features


@contextmanager
def _quiet(datasets: Any) -> Generator[None]:
    """Show no progress bars of the library."""
    already = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not already:
            datasets.enable_progress_bars()
