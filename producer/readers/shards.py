"""Several files of one format as one input, in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from producer.readers.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord
    from producer.readers.base import Edition, Reader


class ShardsReader:
    """Reads one file after another, each given with its name; a record's place begins with that name."""

    def __init__(self, name: str, base: Path, shards: Sequence[tuple[str, Reader]], beside: Passed) -> None:
        """Keep the files with their names, and what the pattern found beside them."""
        self.name = name
        self.base = base
        self._shards = shards
        self._beside = beside

    @property
    def passed(self) -> Passed:
        """Of all files together, and the folders beside them."""
        of_each = (one for _, reader in self._shards for one in reader.passed)
        return Passed((*self._beside, *of_each))

    def fields(self) -> Sequence[str] | None:
        """Those of all files together."""
        of_each = [reader.fields() for _, reader in self._shards]
        known = [fields for fields in of_each if fields is not None]
        if len(known) < len(of_each):
            return None
        return list(dict.fromkeys(name for fields in known for name in fields))

    def edition(self) -> Edition:
        """Of all files."""
        return tuple(one for _, reader in self._shards for one in reader.edition())

    def __iter__(self) -> Iterator[RawRecord]:
        for file, reader in self._shards:
            for record in reader:
                record.place = f"{file}, {record.place}"
                yield record
