"""The time as it is stored, and durations as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def seconds_since(moment: datetime) -> float:
    """How long ago it was; 0 for what another machine's clock puts into the future."""
    return max(0.0, (now() - moment).total_seconds())


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as in `0:27`, `12:05` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
