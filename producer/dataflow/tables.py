"""Table: the records of any storage, and the columns that an operator adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from producer.dataflow.cells import KeepBytes, image_references, json_cell, plain
from producer.dataflow.storages import FileStorage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from producer.dataflow.cells import Rows


class Table:
    """All records of a storage, read once."""

    def __init__(self, storage: Any) -> None:
        """Read a `FileStorage`, whose records are taken exactly as they are, or any object with `read`."""
        # Other storages promise only a DataFrame.
        self._frame = None if isinstance(storage, FileStorage) else storage.read("dataframe")
        rows = storage.read("dict") if self._frame is None else self._frame.to_dict(orient="records")
        self._rows: Rows = [{str(name): value for name, value in row.items()} for row in rows]

    def __len__(self) -> int:
        """The number of records."""
        return len(self._rows)

    def column(self, name: str) -> list[object]:
        """The cells of one column; None where a record has none."""
        return [row.get(name) for row in self._rows]

    def records(self, *, image_key: str, keep: KeepBytes | None) -> list[dict[str, JsonValue]]:
        """Each record as JSON, its images as references under `image`; cells that JSON cannot hold are left out.

        Args:
            image_key: the column of images.
            keep: stores image bytes and returns their digest.
        """
        return [_record(row, image_key, keep) for row in self._rows]

    def with_columns(self, columns: Mapping[str, Sequence[object]]) -> Any:
        """Everything that was read, with these columns added or replaced."""
        if self._frame is None:
            return [
                {**row, **{name: values[index] for name, values in columns.items()}}
                for index, row in enumerate(self._rows)
            ]
        frame = self._frame.copy(deep=False)
        for name, values in columns.items():
            frame[name] = values
        return frame


def _record(row: Mapping[str, object], image_key: str, keep: KeepBytes | None) -> dict[str, JsonValue]:
    """The fields keep their order: the drawn question depends on it."""
    record: dict[str, JsonValue] = {}
    for name, cell in row.items():
        if name == "image" != image_key:
            continue
        field = "image" if name == image_key else name
        try:
            value = image_references(cell, keep) if field == "image" else _field(field, cell)
        except TypeError:
            continue
        if value is not None or cell is None:
            record[field] = value
    return record


def _field(name: str, cell: object) -> JsonValue:
    return json_cell(cell) if name in ("conversation", "tag") else plain(cell)
