"""Files of records, read and written whole: as dictionaries exactly, as DataFrames by pandas."""

# The stubs of pyarrow type arrays by element, which is known here only at run time.
# pyrefly: ignore-errors[implicit-any-type-argument, unknown-argument-type, unknown-attribute-access, unknown-variable-type]

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from persqa.libraries import library
from producer.dataflow.cells import Rows, plain, plain_rows
from producer.exporters import FORMATS as EXPORTERS
from producer.exporters.columns import file_type, text_array
from producer.exporters.drafts import draft_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

#: What a storage reads and writes.
FORMATS = ("json", "jsonl", "csv", "parquet", "pickle")

_HUB = "hf:"


def read_rows(source: str, *, allow_pickle: bool) -> Rows:
    """The records exactly as the file has them: cells of a CSV file stay text.

    Raises:
        ValueError: the format is unknown, or the file is not in it.
        FileNotFoundError: there is no such file.
    """
    if not source:
        return []
    if source.startswith(_HUB):
        return _from_hub(source).to_dict(orient="records")  # pyrefly: ignore[bad-return] - names of columns are text
    kind = _kind(source)
    if kind == "pickle":
        return _unpickled(source, allow_pickle=allow_pickle).to_dict(orient="records")  # pyrefly: ignore[bad-return] - names of columns are text
    readers: dict[str, Callable[[Path], Rows]] = {
        "json": _read_json,
        "jsonl": _read_json_lines,
        "csv": _read_csv,
        "parquet": _read_parquet,
    }
    return _read(source, readers[kind])


def read_frame(source: str, *, allow_pickle: bool) -> pd.DataFrame:
    """The records as a DataFrame.

    Raises:
        ValueError: the format is unknown, or the file is not in it.
        FileNotFoundError: there is no such file.
    """
    import pandas as pd

    if not source:
        return pd.DataFrame()
    if source.startswith(_HUB):
        return _from_hub(source)
    match _kind(source):
        case "csv":
            return _read(source, pd.read_csv)
        case "parquet":
            return _read(source, pd.read_parquet)
        case "pickle":
            return _unpickled(source, allow_pickle=allow_pickle)
        case _:
            # pandas' own reader takes `007` for a number and a column named `date` for dates.
            return pd.DataFrame(read_rows(source, allow_pickle=allow_pickle))


def write_rows(rows: Rows, target: Path) -> None:
    """Write the records; the file appears when it is whole.

    Raises:
        ValueError: the format cannot hold a value, as JSON cannot hold bytes.
    """
    kind = _kind(str(target))
    with draft_file(target) as draft:
        match kind:
            case "pickle":
                import pandas as pd

                draft.write_bytes(pickle.dumps(pd.DataFrame(rows)))
            case "parquet":
                _write_parquet(rows, draft)
            case _:
                EXPORTERS[kind](plain_rows(rows), draft, None)


def write_frame(frame: pd.DataFrame, target: Path) -> None:
    """Let pandas write the frame; the file appears when it is whole."""
    with draft_file(target) as draft:
        match _kind(str(target)):
            case "json":
                frame.to_json(draft, orient="records", force_ascii=False, indent=2)
            case "jsonl":
                frame.to_json(draft, orient="records", lines=True, force_ascii=False)
            case "csv":
                frame.to_csv(draft, index=False)
            case "parquet":
                frame.to_parquet(draft)
            case _:
                frame.to_pickle(draft)


def _kind(name: str) -> str:
    kind = name.rsplit(".", 1)[-1].lower()
    kind = {"ndjson": "jsonl", "pkl": "pickle"}.get(kind, kind)
    if kind not in FORMATS:
        raise ValueError(f"{name}: the format is chosen by suffix, use one of .{', .'.join(FORMATS)}")
    return kind


def _read(source: str, read: Callable[[Path], Any]) -> Any:
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    try:
        return read(path)
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise ValueError(f"{source} cannot be read: {error}") from error


def _read_json(path: Path) -> Rows:
    found = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError("expected a JSON array of objects")
    return cast("Rows", found)


def _read_json_lines(path: Path) -> Rows:
    rows: Rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} is not valid JSON: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not an object")
            rows.append(cast("dict[str, Any]", row))
    return rows


def _read_csv(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _unpickled(source: str, *, allow_pickle: bool) -> pd.DataFrame:
    if not allow_pickle:
        raise ValueError(f"{source}: reading a pickle file runs the code in it; say allow_pickle=True if you trust it")
    import pandas as pd

    return _read(source, pd.read_pickle)


def _from_hub(source: str) -> pd.DataFrame:
    """`hf:name[:config]:split`."""
    datasets = library("datasets", "a data set of the hub")
    name, *parts = source.removeprefix(_HUB).split(":")
    config, split = ([None, "train"] if not parts else [None, *parts])[-2:]
    return cast("pd.DataFrame", datasets.load_dataset(name, config, split=split).to_pandas())


def _read_parquet(path: Path) -> Rows:
    """Bytes and times keep their types."""
    return pq.read_table(path).to_pylist()


def _write_parquet(rows: Rows, path: Path) -> None:
    """A column whose values have no common type holds JSON text.

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
