"""Columns: a run's items as numpy arrays, by their index in the run; some 60 bytes an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from persqa.items import MAX_ITEMS
from persqa.pairs import PENDING
from persqa.questions import TAG_FIELD
from producer.web.catalog.facet import (
    ACCEPTED,
    EDITED,
    FIXED,
    NONE,
    OPEN,
    REJECTED,
    SEVERAL,
    STARRED,
    Facet,
)
from producer.web.catalog.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from persqa.store.catalog_rows import CatalogRow

    Mask: TypeAlias = npt.NDArray[np.bool_]
    Indexes: TypeAlias = npt.NDArray[np.int64]

#: The bit of each value of the facets of which an item may have several.
BITS: Final = {facet: {word: 1 << place for place, word in enumerate(words)} for facet, words in SEVERAL.items()}
#: In the column of reviews, beside the bits of its values: that there is a review, whatever it says.
HAS_REVIEW: Final = 32
_REVIEW: Final = BITS[Facet.REVIEW]

_SMALL, _LARGE = np.dtype(np.uint8), np.dtype(np.uint16)
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    **{facet.value: _SMALL for facet in (*FIXED, *SEVERAL)},
    **{facet.value: _LARGE for facet in (*OPEN, Facet.FLAG)},
    Facet.KIND.value: np.dtype(np.uint32),
    "answer_length": np.dtype(np.int32),
    "answer_key": np.dtype(np.int64),
    "picture_key": np.dtype(np.int64),
    "image_seconds": np.dtype(np.float32),
    "engine_seconds": np.dtype(np.float32),
    "finished": np.dtype(np.float64),
}
#: What of a row is a text with a code.
_CODED: Final = {facet: facet.value for facet in (*FIXED, *OPEN) if facet is not Facet.FORCED}
#: The code of both values of a facet that has two.
_FORCED: Final = {None: 0, False: 2, True: 3}
_MOST_SMALL: Final = 250
_OF_REVIEWS: Final = ("decision", "edited", "starred", "reviewed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of items as arrays, to be put into columns.

    Attributes:
        indexes: of the items in their run, none twice.
        values: an array for each column.
    """

    indexes: Indexes
    values: dict[str, npt.NDArray[Any]]


class Columns:
    """The arrays, as long as the largest index; where no item is, every value is 0.

    Nothing here is locked: its owner lets one thread at a time write, and nobody read meanwhile. `batch` may be called
    beside readers.
    """

    def __init__(self, base: int, *, expected: int = 0) -> None:
        """Empty columns.

        Args:
            base: the id of the item with index 0.
            expected: how many items there will be, as far as is known.
        """
        self.base = base
        self.names = {facet: Names(FIXED[facet], most=_MOST_SMALL) for facet in FIXED}
        self.names |= {facet: Names() for facet in OPEN}
        self._length = 0
        self._arrays = {name: np.zeros(max(expected, 16), kind) for name, kind in _TYPES.items()}
        #: Goes up with every change.
        self.version = 0
        #: How many items there are, and how many have each flag, in the flags' order.
        self.items = 0
        self.flagged = np.zeros(len(BITS[Facet.FLAG]), np.int64)

    def __len__(self) -> int:
        """One more than the largest index that was put."""
        return self._length

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A column, up to the largest index; a view of it that changes with it."""
        return self._arrays[name][: self._length]

    @property
    def present(self) -> Mask:
        """Where there is an item."""
        return self[Facet.STATUS.value] != 0

    @property
    def bytes(self) -> int:
        """The memory of all columns."""
        return sum(array.nbytes for array in self._arrays.values())

    def batch(
        self, rows: Sequence[CatalogRow], kinds: Iterable[tuple[int, str]], flags: Iterable[tuple[int, str]] = ()
    ) -> Batch:
        """Make arrays of rows, and of the violation kinds and the flags of their items."""
        fields: dict[str, tuple[Any, ...]] = dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))
        indexes = np.array(fields["item_id"], np.int64) - self.base
        fields["status"] = tuple(status or PENDING for status in fields["status"])
        values: dict[str, npt.NDArray[Any]] = {
            name: np.array(self.names[facet].codes(fields[name]), _TYPES[name]) for facet, name in _CODED.items()
        }
        values["forced"] = np.array([_FORCED[forced] for forced in fields["forced"]], _SMALL)
        values["kind"] = _bits(Facet.KIND, indexes, kinds, self.base)
        values["flag"] = _bits(Facet.FLAG, indexes, flags, self.base)
        values["review"] = _review_bits(fields)
        values["answer_length"] = np.array([-1 if one is None else one for one in fields["answer_length"]], np.int32)
        values["answer_key"] = np.array(list(map(answer_key, fields["answer"], fields["tag"])), np.int64)
        values["picture_key"] = np.array(list(map(hash, fields["images"])), np.int64)
        for name in ("image_seconds", "engine_seconds", "finished"):
            # Python's None becomes NaN.
            values[name] = np.array(fields[name], _TYPES[name])
        return Batch(indexes=indexes, values=values)

    def put(self, batch: Batch) -> None:
        """Write rows where they belong, in place of what was there."""
        self._reach(int(batch.indexes.max()) + 1)
        self.items += int(np.count_nonzero(self["status"][batch.indexes] == 0))
        self.flagged = self.flagged_with(batch)
        for name, values in batch.values.items():
            self._arrays[name][batch.indexes] = values
        self.version += 1

    def flagged_with(self, batch: Batch) -> npt.NDArray[np.int64]:
        """How many items would have each flag if these rows were put."""
        known = batch.indexes[batch.indexes < self._length]
        return self.flagged + _numbers(batch.values[Facet.FLAG]) - _numbers(self[Facet.FLAG][known])

    def clear(self) -> None:
        """Forget all items."""
        self._length = self.items = 0
        self.flagged = np.zeros_like(self.flagged)
        self._arrays = {name: np.zeros(16, kind) for name, kind in _TYPES.items()}
        self.version += 1

    def _reach(self, length: int) -> None:
        if length > len(self._arrays["status"]):
            # By a quarter at a time, so that a run that grows is not copied again and again.
            size = length + length // 4
            for name, array in self._arrays.items():
                larger = np.zeros(size, array.dtype)
                larger[: self._length] = array[: self._length]
                self._arrays[name] = larger
        self._length = max(self._length, length)


def answer_key(answer: str | None, tag: str = "") -> int:
    """64 bits that are the same for answers that differ only in their tag, case and white space; 0 for none.

    They are good for as long as this program runs.
    """
    if answer is None:
        return 0
    said = answer.replace(tag, TAG_FIELD) if tag else answer
    return hash(" ".join(said.casefold().split())) or 1


def index_of(item_id: int) -> int:
    """The index of an item in its run."""
    return item_id % MAX_ITEMS


def _review_bits(fields: Mapping[str, Sequence[Any]]) -> npt.NDArray[np.uint8]:
    if not any(fields["reviewed"]):
        return np.full(len(fields["reviewed"]), _REVIEW[NONE], _SMALL)
    return np.array(list(map(_bits_of_review, *(fields[name] for name in _OF_REVIEWS))), _SMALL)


def _bits_of_review(decision: str | None, edited: bool, starred: bool | None, reviewed: bool) -> int:
    bits = (HAS_REVIEW if reviewed else 0) | (_REVIEW[EDITED] if edited else 0) | (_REVIEW[STARRED] if starred else 0)
    if decision in (ACCEPTED, REJECTED):
        return bits | _REVIEW[decision]
    return bits if edited else bits | _REVIEW[NONE]


def _numbers(flags: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.array([np.count_nonzero(flags & bit) for bit in BITS[Facet.FLAG].values()], np.int64)


def _bits(facet: Facet, indexes: Indexes, words: Iterable[tuple[int, str]], base: int) -> npt.NDArray[Any]:
    found, bits = np.zeros(len(indexes), _TYPES[facet]), BITS[facet]
    places = {int(index): place for place, index in enumerate(indexes)} if len(indexes) else {}
    for item_id, word in words:
        # A range of violations may have items that are not among the rows.
        place = places.get(item_id - base)
        if place is not None:
            found[place] |= bits.get(word, 0)
    return found
