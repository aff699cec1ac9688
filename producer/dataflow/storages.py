"""DataFlowStorage and FileStorage: an operator reads its records there, and writes them for the next operator."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeGuard, cast

from producer.dataflow.files import FORMATS, read_frame, read_rows, write_frame, write_rows
from producer.dataflow.original import register

if TYPE_CHECKING:
    from producer.dataflow.cells import Rows

_CacheType = Literal["json", "jsonl", "csv", "parquet", "pickle"]


class DataFlowStorage(ABC):
    """What operators ask of a storage."""

    @abstractmethod
    def get_keys_from_dataframe(self) -> list[str]:
        """The names of the columns."""

    @abstractmethod
    def read(self, output_type: Literal["dataframe", "dict"] = "dataframe") -> Any:
        """All records, as a pandas DataFrame or as a list of dictionaries."""

    @abstractmethod
    def write(self, data: Any) -> Any:
        """Store a DataFrame or a list of dictionaries for the next operator."""


class FileStorage(DataFlowStorage):
    """Files in one folder, one for each step: the next operator reads what the last one wrote.

    Dictionaries hold exactly what the file says. A DataFrame holds what pandas makes of the file, as operators of
    others expect it; only JSON is taken literally there too, and dates stay text.
    """

    def __init__(
        self,
        first_entry_file_name: str,
        cache_path: str = "./cache",
        file_name_prefix: str = "dataflow_cache_step",
        cache_type: _CacheType = "jsonl",
        *,
        allow_pickle: bool = False,
    ) -> None:
        """Keep the names; nothing is read yet.

        Args:
            first_entry_file_name: the input of the first operator: a file, or `hf:name[:config]:split` for a data set
                of the Hugging Face hub; empty for no records.
            cache_path: the folder for everything written.
            file_name_prefix: the files are named `<prefix>_step<number>.<type>`.
            cache_type: their format.
            allow_pickle: whether pickle files are read; reading one runs whatever code it carries.

        Raises:
            ValueError: there is no such type.
        """
        if cache_type not in FORMATS:
            raise ValueError(f"cache_type {cache_type!r} is none of {', '.join(FORMATS)}")
        self.first_entry_file_name = first_entry_file_name
        self.cache_path = cache_path
        self.file_name_prefix = file_name_prefix
        self.cache_type = cache_type
        self.allow_pickle = allow_pickle
        self.operator_step = -1
        register(DataFlowStorage, ["DataFlowStorage"])

    def step(self) -> Self:
        """Go on to the next operator; the returned storage stays at its step."""
        self.operator_step += 1
        return copy.copy(self)

    def reset(self) -> Self:
        """Return to the state before the first operator."""
        self.operator_step = -1
        return self

    def get_keys_from_dataframe(self) -> list[str]:
        """The names of the columns."""
        rows = self.read("dict")
        return list(dict.fromkeys(name for row in rows for name in row))

    def read(self, output_type: Literal["dataframe", "dict"] = "dataframe") -> Any:
        """What this step reads.

        Raises:
            ValueError: `step` was never called, the format is unknown, or the file is not in it.
            FileNotFoundError: there is no such file.
        """
        if output_type not in ("dataframe", "dict"):
            raise ValueError(f"output_type {output_type!r} is neither 'dataframe' nor 'dict'")
        source = str(self._file(0)) if self.operator_step else self.first_entry_file_name
        load = read_frame if output_type == "dataframe" else read_rows
        return load(source, allow_pickle=self.allow_pickle)

    def write(self, data: Any) -> str:
        """Store what the next step reads, whole or not at all; returns the file's name.

        Args:
            data: a DataFrame or a list of dictionaries.

        Raises:
            ValueError: `step` was never called, the data is neither a DataFrame nor a list of dictionaries, or the file
                would be the input itself.
            OSError: the file cannot be written.
        """
        target = self._file(1)
        first = Path(self.first_entry_file_name)
        if target.exists() and first.exists() and target.samefile(first):
            raise ValueError(f"{target} is the input itself: choose another cache_path or file_name_prefix")
        target.parent.mkdir(parents=True, exist_ok=True)
        if hasattr(data, "to_parquet"):
            write_frame(data, target)
        elif _is_rows(data):
            write_rows(data, target)
        else:
            raise ValueError(f"cannot write {type(data).__name__}: expected a DataFrame or a list of dictionaries")
        return str(target)

    def _file(self, further: int) -> Path:
        """The file of a later step."""
        if self.operator_step < 0:
            raise ValueError("call step() before reading or writing: once for each operator")
        return Path(self.cache_path) / f"{self.file_name_prefix}_step{self.operator_step + further}.{self.cache_type}"


def _is_rows(data: object) -> TypeGuard[Rows]:
    return isinstance(data, list) and all(isinstance(row, dict) for row in cast("list[object]", data))
