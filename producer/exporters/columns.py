"""Columns: records as typed Arrow tables; a column whose values have no common type holds JSON text."""

# The stubs of pyarrow type arrays by element, which is known here only at run time.
# pyrefly: ignore-errors[implicit-any-type-argument, no-any-return-implicit, unknown-argument-type, unknown-attribute-access, unknown-variable-type]

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persqa.store.text import storable
from producer.exporters.images import Cells, ImageCell
from producer.exporters.left import LeftOut, nobody
from producer.exporters.spool import Spool, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import JsonValue

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
#: Images held in memory at once, in one table.
_TABLE_BYTES = 32 * 2**20


@dataclass(slots=True)
class _Found:
    """What the values of a column have in common so far."""

    name: str
    cells: Cells | None
    common: pa.DataType | None = None
    #: No type holds all values.
    mixed: bool = False
    #: An image is among them.
    image: bool = False
    #: All of them can be images.
    images: bool = True
    #: A list is among them.
    listed: bool = False
    #: All of them are references to images, or lists of these.
    references: bool = True

    def see(self, values: Sequence[JsonValue]) -> None:
        """Take a chunk of the column into account."""
        if self.cells is not None:
            self.image = self.image or any(self.cells.makes_images(self.name, value) for value in values)
            self.images = self.images and all(self.cells.takes(self.name, value) for value in values)
        self.references = self.references and all(_lists(self.cells, self.name, value) for value in values)
        self.listed = self.listed or any(isinstance(value, list) for value in values)
        if self.mixed:
            return
        try:
            self.common = _common(self.common or pa.null(), pa.array(values).type)  # pyrefly: ignore[no-matching-overload]
        except (pa.ArrowException, UnicodeError, OverflowError):
            self.mixed = True

    def type(self) -> pa.DataType:
        """The type of the column."""
        if self.image and self.images:
            return pa.list_(_IMAGE) if self.listed else _IMAGE
        if self.references and self.listed:
            # Records with one image beside such with several.
            return pa.list_(pa.string())
        return pa.string() if self.mixed or self.common is None else file_type(self.common)


class Columns:
    """The columns of spooled records."""

    def __init__(self, spool: Spool, *, cells: Cells | None, only_bytes: bool = False) -> None:
        """Read all records once for their types.

        Args:
            spool: the records.
            cells: makes the images; without it they stay references.
            only_bytes: an image whose bytes are not there is null.
        """
        self._spool = spool
        self._cells = cells
        self._only_bytes = only_bytes
        self._on_left = nobody if cells is None else cells.on_left
        found = {name: _Found(name, cells) for name in spool.columns}
        for chunk in spool.chunks():
            for name, column in found.items():
                column.see([record.get(name) for record in chunk])
        self.schema = pa.schema([pa.field(name, column.type()) for name, column in found.items()])
        #: Records without a row: dialogues that lack an image.
        self.left_out = 0
        #: The columns of images, and whether a cell holds several.
        self.images: dict[str, bool] = {
            field.name: field.type != _IMAGE for field in self.schema if field.type in (_IMAGE, pa.list_(_IMAGE))
        }

        #: The columns of lists of references.
        self.lists = {column.name for column in found.values() if column.references and column.listed} - {*self.images}

    def tables(self) -> Iterator[pa.Table]:
        """The records in their order, as tables of bounded size."""
        for chunk in self._spool.chunks():
            for part in self._parts(chunk):
                arrays = [_array(part[field.name], field.type) for field in self.schema]
                yield pa.Table.from_arrays(arrays, schema=self.schema)

    def _parts(self, chunk: Iterable[dict[str, JsonValue]]) -> Iterator[dict[str, list[Any]]]:
        part: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        size = 0
        for record in chunk:
            try:
                images = {name: self._image(name, record.get(name)) for name in self.images}
            except LeftOut as out:
                self.left_out += 1
                self._on_left(out.left)
                continue
            size += sum(map(_size, images.values()))
            for name, column in part.items():
                value = record.get(name)
                column.append(images[name] if name in images else _texts(value) if name in self.lists else value)
            if size >= _TABLE_BYTES:
                yield part
                part, size = {name: [] for name in part}, 0
        yield part

    def _image(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if not self.images[name]:
            return self._cell(value)
        return [self._cell(part) for part in (value if isinstance(value, list) else [value])]

    def _cell(self, value: JsonValue) -> ImageCell | None:
        cell = None if self._cells is None else self._cells.cell(value)
        return None if cell is not None and self._only_bytes and cell["bytes"] is None else cell


def file_type(kind: pa.DataType) -> pa.DataType:
    """The type as files have it: text replaces what was always null, and objects without fields."""
    return pa.string() if _has_empty_struct(kind) else _without_null(kind)


def text_array(values: list[Any]) -> pa.Array:
    """The values as text; what is no text becomes JSON."""
    texts = [as_text(value) for value in values]
    return pa.array([text if text is None else storable(text) for text in texts], pa.string())


def _has_empty_struct(kind: pa.DataType) -> bool:
    """Whether it holds an object without fields, which files cannot hold."""
    if isinstance(kind, pa.StructType):
        return not kind.num_fields or any(_has_empty_struct(field.type) for field in kind)
    return isinstance(kind, pa.ListType) and _has_empty_struct(kind.value_type)


def _without_null(kind: pa.DataType) -> pa.DataType:
    """The type with text for what was always null."""
    if isinstance(kind, pa.StructType):
        return pa.struct([(field.name, _without_null(field.type)) for field in kind])
    if isinstance(kind, pa.ListType):
        return pa.list_(_without_null(kind.value_type))
    return pa.string() if kind == pa.null() else kind


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    schemas = [pa.schema([pa.field("column", kind)]) for kind in (one, other)]
    return pa.unify_schemas(schemas, promote_options="default").field("column").type


def _lists(cells: Cells | None, name: str, value: JsonValue) -> bool:
    return cells is not None and cells.lists(name, value)


def _texts(value: JsonValue) -> list[str | None] | None:
    """References as a list, in text that files can hold."""
    parts = value if isinstance(value, list) else [value]
    return None if value is None else [storable(part) if isinstance(part, str) else None for part in parts]


def _array(values: list[Any], column_type: pa.DataType) -> pa.Array:
    return text_array(values) if column_type == pa.string() else pa.array(values, column_type)


def _size(cell: Any) -> int:
    cells = cell if isinstance(cell, list) else [cell]
    return sum(len(part["bytes"] or b"") for part in cells if part is not None)
