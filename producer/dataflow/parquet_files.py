# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportArgumentType=false
# The stubs of pyarrow type arrays by element, which is known here only at run time.
"""Parquet files as dictionaries: bytes and times stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from producer.dataflow.cells import plain
from producer.exporters.columns import file_type, text_array

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """The records."""
    return pq.read_table(path).to_pylist()


def write_parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the records; a column whose values have no common type holds JSON text.

    Raises:
        ValueError: such a column holds bytes, which have no place in JSON.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _array(name, [row.get(name) for row in rows]) for name in names}
    pq.write_table(pa.table(columns), path, compression="zstd")


def _array(name: str, values: list[Any]) -> pa.Array:
    try:
        found = pa.array(values)
        kind = file_type(found.type)
        return found if kind == found.type else pa.array(values, kind)
    except (pa.ArrowException, UnicodeError, OverflowError):
        try:
            return text_array([plain(cast("object", value)) for value in values])
        except TypeError as error:
            raise ValueError(f"the column {name!r} mixes bytes with other values: {error}") from None
