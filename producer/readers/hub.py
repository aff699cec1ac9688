"""A Hugging Face data set by name, streamed from the hub: `hf://org/name`, `hf://org/name@revision:subset`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persqa.errors import InputError
from persqa.libraries import library
from producer.readers.arrow_rows import open_parquet, parquet_batches, records
from producer.readers.hugging_face import choose_split, other_splits
from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    import pyarrow as pa

    from persqa.records import RawRecord
    from producer.readers.base import Edition, Reading

SCHEME = "hf://"
_NAME = re.compile(r"(?:datasets/)?(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?(?::(?P<subset>[\w.-]+))?")


class HubReader:
    """Reads row by row over the network; all readings use the commit of the first."""

    def __init__(self, reference: str, asked: Reading) -> None:
        """Keep the name, without a request to the hub.

        Raises:
            InputError: it is no name of a data set.
        """
        found = _NAME.fullmatch(reference.removeprefix(SCHEME))
        if found is None:
            raise InputError(f"{reference}: expected hf://org/name, hf://org/name@revision or hf://org/name:subset")
        self._shown = reference
        self._data_set: str = found["name"]
        self._revision: str | None = found["revision"]
        self._subset: str | None = found["subset"]
        self._commit: str | None = None
        self._asked = asked
        parts = (self._data_set.rpartition("/")[2], self._subset, asked.split)
        self.name = "-".join(part for part in parts if part)
        self.base = Path.cwd()
        self.passed = Passed()

    def fields(self) -> Sequence[str] | None:
        """The columns of the first Parquet file, if there is one."""
        with self._refusals():
            batches = self._batches(self._builder())
            first = None if batches is None else next(batches, None)
            return None if first is None else first.schema.names

    def edition(self) -> Edition:
        """As in `Reader`: a commit does not change."""
        return ()

    def __iter__(self) -> Iterator[RawRecord]:
        with self._refusals():
            builder = self._builder()
            batches = self._batches(builder)
            if batches is not None:
                yield from records(batches, self._asked.cells)
                return
            for number, row in enumerate(self._rows(builder), 1):
                yield self._asked.cells.record(f"row {number}", row)

    def _builder(self) -> Any:
        datasets = library("datasets", "a Hugging Face data set")
        if self._commit is None:
            hub = library("huggingface_hub", "a Hugging Face data set")
            self._commit = hub.HfApi().dataset_info(self._data_set, revision=self._revision).sha
        return datasets.load_dataset_builder(self._data_set, self._subset, revision=self._commit)

    def _batches(self, builder: Any) -> Iterator[pa.RecordBatch] | None:
        """The rows of Parquet files on the hub; None where it has others.

        The library itself would read ahead and keep all of it in memory.
        """
        parquet = library("datasets.packaged_modules.parquet.parquet", "a Hugging Face data set").Parquet
        return self._parquet(builder.config.data_files) if isinstance(builder, parquet) else None

    def _parquet(self, files: Any) -> Iterator[pa.RecordBatch]:
        store = library("huggingface_hub", "a Hugging Face data set").HfFileSystem()
        by_split = {str(split): names for split, names in files.items()}
        for name in by_split[self._chosen(by_split)]:
            with store.open(name) as opened, open_parquet(opened) as file:
                yield from parquet_batches(file)

    def _rows(self, builder: Any) -> Any:
        found: Any = builder.as_streaming_dataset()
        rows: Any = found[self._chosen(found)]
        # Images stay bytes or paths.
        return rows if rows.features is None else rows.decode(False)

    def _chosen(self, splits: Iterable[str]) -> str:
        """The split that is read."""
        names = list(splits)
        chosen = choose_split(names, self._asked.split, self._shown)
        self.passed = other_splits(names, chosen)
        return chosen

    @contextmanager
    def _refusals(self) -> Generator[None]:
        """Errors of the libraries become errors about this input."""
        errors = library("huggingface_hub.errors", "a Hugging Face data set")
        datasets = library("datasets.exceptions", "a Hugging Face data set")
        # The network library differs by version; its errors have this base.
        network: tuple[type[Exception], ...] = errors.HfHubHTTPError.__bases__
        try:
            yield
        except errors.OfflineModeIsEnabled:
            raise InputError(
                f"{self._shown}: HF_HUB_OFFLINE is set; unset it, or fetch the data set elsewhere with save_to_disk"
            ) from None
        except (*network, datasets.DatasetsError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise InputError(f"{self._shown}: the data set cannot be read from the hub: {error}") from error
