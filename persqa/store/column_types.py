"""Types of columns beside those of SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time in UTC; SQLite stores no zone, so one is added when reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give every value a zone."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Seed(TypeDecorator[int]):
    """The seed of a generation, from 0; a column that must not be null has -1 for none."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int:  # noqa: ARG002
        """None as -1."""
        return -1 if value is None else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """-1 as None."""
        return None if value == -1 else value
