"""RunNotebook: what a run is in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from persqa.errors import PersqaError
from persqa.items import ItemId
from producer.markup import element
from producer.run_changes import RunChanges
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.pairs import PairRow
    from producer.notebook import Seen

#: Items of a run, and rows of a table.
_MOST_SHOWN = 6
_MOST_ROWS = 20
_AT_ONCE = 1000
#: Rows that are read at once for these: a record may be large.
_LOOKED_AT = 24


@dataclass(frozen=True, slots=True)
class GalleryLink:
    """Where the gallery of a run is; a link in a notebook, and the address elsewhere."""

    address: str

    def __str__(self) -> str:
        return self.address

    def _repr_html_(self) -> str:
        return element("a", self.address, href=self.address, target="_blank", rel="noopener")


class Rows(Iterator["PairRow"]):
    """Rows of a run, one after the other; in a notebook the first of them are a table, and none is used up by that."""

    def __init__(self, read: Callable[[int], Iterator[PairRow]], seen: Callable[[list[PairRow]], list[Seen]]) -> None:
        """Read nothing yet.

        Args:
            read: reads all rows from the first one, so many at a time.
            seen: adds what shows their pictures.
        """
        self._read = read
        self._seen = seen
        self._rows = read(_AT_ONCE)

    def __iter__(self) -> Iterator[PairRow]:
        return self._rows

    def __next__(self) -> PairRow:
        return next(self._rows)

    def _repr_html_(self) -> str:
        from producer.notebook import rows_html

        try:
            found = list(islice(self._read(_LOOKED_AT), _MOST_ROWS + 1))
            return rows_html(self._seen(found[:_MOST_ROWS]), more=len(found) > _MOST_ROWS)
        except PersqaError as error:
            return element("p", shown(str(error)))


class RunNotebook(RunChanges):
    """A part of `RunHandle`."""

    def gallery(self) -> GalleryLink:
        """Serve the gallery beside this program, on this machine only, and say where this run is in it.

        It is the same one for all runs of a client, and ends with the client.

        Raises:
            SettingsError: its libraries are not installed, or this machine cannot listen.
        """
        return GalleryLink(f"{self._connections.gallery()}runs/{self.name}")

    def _repr_html_(self) -> str:
        from producer.notebook import run_html

        try:
            run = self._store.runs.reread(self.run)
            progress = self._store.queries.progress(run.id)
            # One a record, as all of a record have the same picture.
            rows = (row for row in self._store.queries.pairs(run, chunk=_LOOKED_AT) if row.slot == 0)
            return run_html(run, progress, self._seen(list(islice(rows, _MOST_SHOWN))))
        except PersqaError as error:
            # What goes wrong while somebody looks must not stop the notebook.
            return element("p", f"{self.name}: ", shown(str(error)))

    def _seen(self, rows: list[PairRow]) -> list[Seen]:
        """The rows with their first pictures."""
        from producer.notebook import Seen, Thumbnails

        thumbnails = Thumbnails(self._connections.settings, self.run)
        found = self._store.ledger.chosen([ItemId(row.item_id) for row in rows])
        images = {int(item.id): item.images for item in found}
        return [Seen(row=row, picture=thumbnails.of(images.get(row.item_id, ()))) for row in rows]
