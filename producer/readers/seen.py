"""Names that were seen, any number of them in bounded memory."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

from persqa.errors import InputError


class SeenNames:
    """A set on disk."""

    def __enter__(self) -> Self:
        # Without a name, the database is a temporary file, which nobody else sees and which goes with it.
        self._database = sqlite3.connect("")
        self._database.execute("create table names (name blob primary key) without rowid")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, name: str) -> bool:
        """Put a name in; returns whether it is new.

        Raises:
            InputError: there is no room for it on the disk.
        """
        row = (name.encode(errors="surrogatepass"),)
        try:
            return self._database.execute("insert or ignore into names values (?)", row).rowcount == 1
        except sqlite3.Error as error:
            raise InputError(f"names cannot be put aside in the folder for temporary files: {error}") from error
