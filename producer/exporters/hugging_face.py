# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The library of data sets types little of what is used here.
"""A Hugging Face data set: a folder that `datasets.load_from_disk` reads.

The library's own `save_to_disk` gathers a thousand rows in one array at times, and an array holds no more than 2 GiB.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persqa.errors import InputError
from persqa.libraries import library
from producer.exporters.columns import Columns
from producer.exporters.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from producer.exporters.images import Cells

#: Size of a file from which the next one is begun; the library's own.
_FILE_BYTES = 500 * 10**6


def write_data_set(records: Iterable[dict[str, JsonValue]], path: Path, cells: Cells | None) -> int:
    """Write one record a row; returns how many. Images of the blob store become `datasets.Image`, which decodes them.

    Raises:
        InputError: there is no record, or the library is missing.
    """
    datasets = library("datasets", "a Hugging Face data set")
    with Spool(records, path.parent) as spool:
        # The library opens whatever a cell without bytes names, be it a secret of this machine or a server.
        columns = Columns(spool, cells=cells, only_bytes=True)
        features = _features(datasets, columns)
        files = _write_tables(columns, features.arrow_schema, path)
        if spool.records == columns.left_out:
            raise InputError("there is no record to write, and a data set needs at least one")
    datasets.DatasetInfo(features=features).write_to_directory(str(path))
    state = {
        "_data_files": [{"filename": name} for name in files],
        # What the library makes of it later is kept under this name, so no two data sets share one.
        "_fingerprint": secrets.token_hex(8),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (path / "state.json").write_text(json.dumps(state, indent=2), "utf-8")
    return spool.records - columns.left_out


def _write_tables(columns: Columns, schema: pa.Schema, folder: Path) -> list[str]:
    """Write all rows into files of the usual size; returns their names."""
    tables = columns.tables()
    drafts: list[Path] = []
    table = next(tables, None)
    while table is not None:
        drafts.append(folder / f"{len(drafts)}.part")
        with pa.OSFile(str(drafts[-1]), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            while table is not None and file.tell() < _FILE_BYTES:
                writer.write_table(table.cast(schema))
                table = next(tables, None)
    names = [f"data-{number:05d}-of-{len(drafts):05d}.arrow" for number in range(len(drafts))]
    for draft, name in zip(drafts, names, strict=True):
        draft.rename(folder / name)
    return names


def _features(datasets: Any, columns: Columns) -> Any:
    features = datasets.Features.from_arrow_schema(columns.schema)
    for name, several in columns.images.items():
        features[name] = datasets.List(datasets.Image()) if several else datasets.Image()
    return features
