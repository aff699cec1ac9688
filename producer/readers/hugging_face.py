"""A Hugging Face data set on disk: a folder written by `save_to_disk`, with one data set or one for each split."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persqa.errors import InputError
from persqa.libraries import library
from persqa.words import listed, no_such, option
from producer.readers.arrow_rows import check_names, records
from producer.readers.base import Edition, Reading, Source, SourceReader, edition_of
from producer.readers.files import refusals
from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from persqa.records import RawRecord

#: The files of a data set without splits, and of one with splits.
_MARKS = (("state.json", "dataset_info.json"), ("dataset_dict.json",))
_END = b"\xff\xff\xff\xff\0\0\0\0"


def is_data_set(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any(all((folder / name).is_file() for name in names) for names in _MARKS)


class DatasetFolderReader(SourceReader):
    """Reads one Arrow file after another, batch by batch."""

    def __init__(self, source: Source, asked: Reading) -> None:
        super().__init__(source, asked)
        if asked.split is not None:
            self.name = f"{source.name}-{asked.split}"

    def fields(self) -> Sequence[str] | None:
        """The columns of the first file; the others have the same ones."""
        import pyarrow as pa

        with refusals(self._source):
            for file in self._files():
                with pa.OSFile(str(file), "rb") as stream, pa.ipc.open_stream(stream) as batches:
                    return batches.schema.names
        return None

    def edition(self) -> Edition:
        """Of the Arrow files."""
        return edition_of(self._files())

    def __iter__(self) -> Iterator[RawRecord]:
        with refusals(self._source):
            yield from records(self._batches(), self._asked.cells)

    def _files(self) -> list[Path]:
        """The Arrow files that the folder lists; the library itself would map all of them into memory."""
        datasets = library("datasets", "a Hugging Face data set")
        try:
            folder = self._folder(datasets.config)
            datasets.DatasetInfo.from_directory(str(folder))
            state: Any = json.loads((folder / datasets.config.DATASET_STATE_JSON_FILENAME).read_text())
            # Only the name: nothing outside the folder is read.
            return [folder / Path(file["filename"]).name for file in state["_data_files"]]
        except FileNotFoundError as error:
            raise InputError(f"{self._source.shown}: not a whole data set of Hugging Face: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{self._source.shown}: broken: {error!r}") from None

    def _folder(self, names: Any) -> Path:
        """The folder of the data set, or of the wanted split."""
        path = self._source.path
        if (path / names.DATASET_STATE_JSON_FILENAME).is_file() or not (
            path / names.DATASETDICT_JSON_FILENAME
        ).is_file():
            if self._asked.split is not None:
                raise InputError(f"{self._source.shown} has no splits: leave {option('split')} out")
            return path
        splits: Any = json.loads((path / names.DATASETDICT_JSON_FILENAME).read_text())["splits"]
        names_of_splits = [Path(split).name for split in splits]
        chosen = choose_split(names_of_splits, self._asked.split, self._source.shown)
        self.passed = other_splits(names_of_splits, chosen)
        return path / chosen

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for file in self._files():
            if not _ends_properly(file):
                raise InputError(f"{self._source.shown}: {file.name} is cut off")
            with pa.OSFile(str(file), "rb") as stream, pa.ipc.open_stream(stream) as batches:
                check_names(batches.schema, self._source)
                for batch in batches:
                    # Nothing else checks the offsets, and a wrong one would crash the process.
                    batch.validate(full=True)
                    yield batch


def _ends_properly(file: Path) -> bool:
    """Whether the file has the end mark of an Arrow stream, which one cut off between two batches lacks."""
    with file.open("rb") as stream:
        stream.seek(-len(_END), os.SEEK_END)
        return stream.read() == _END


def other_splits(splits: Iterable[str], chosen: str) -> Passed:
    """The splits that are not read."""
    passed = Passed()
    for split in splits:
        if split != chosen:
            passed.add("other split", split)
    return passed


def choose_split(splits: list[str], wanted: str | None, shown: str) -> str:
    """The wanted split, or the only one.

    Raises:
        InputError: there is no such split, or there are several and none is named.
    """
    if wanted in splits:
        return str(wanted)
    if wanted is None and len(splits) == 1:
        return splits[0]
    if wanted is None:
        raise InputError(f"{shown} has several splits: choose {listed(splits)} with {option('split')}")
    raise InputError(f"{shown}: {no_such('split', wanted, splits)}")
