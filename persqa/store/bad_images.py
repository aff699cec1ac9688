"""Remembering images that no decoder took, by the digest of their content."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.bad_images import BadImage
from persqa.reasons import Reason
from persqa.store.database import Database
from persqa.store.schema import bad_images
from persqa.store.text import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOKUP_CHUNK = 5000


class BadImages:
    """The table of bad images; rows are written with the results they belong to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, digests: Iterable[str]) -> dict[str, BadImage]:
        """The known bad images among these digests, by digest."""
        found: dict[str, BadImage] = {}
        remaining = iter(sorted(set(digests)))
        with self._database.reading() as connection:
            while chunk := list(islice(remaining, _LOOKUP_CHUNK)):
                for row in connection.execute(sa.select(bad_images).where(bad_images.c.digest.in_(chunk))):
                    found[row.digest] = BadImage(
                        digest=row.digest, reason=Reason(row.reason), detail=row.detail, first_seen=row.first_seen
                    )
        return found

    def forget(self, digests: Iterable[str]) -> None:
        """Forget these; they are remembered anew when they are found bad again."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(bad_images).where(bad_images.c.digest.in_(sorted(set(digests)))))


def remember(database: Database, connection: sa.Connection, found: Iterable[BadImage]) -> None:
    """Store bad images inside a transaction; known ones stay as they are."""
    # In key order, against deadlocks.
    unique = {image.digest: image for image in found}
    if rows := [row_of(unique[digest]) for digest in sorted(unique)]:
        connection.execute(database.insert(bad_images).on_conflict_do_nothing(), rows)
