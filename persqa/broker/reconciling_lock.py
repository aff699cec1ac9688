"""The lock that lets one program at a time look for what the queue has lost."""

from __future__ import annotations

from persqa.broker.connection import connect, translated
from persqa.broker.keys import RECONCILED

#: Milliseconds that the lock lasts for each second between two looks: the next look finds it free.
_LASTS = 900


class ReconcilingLock:
    """Nobody releases it: it runs out, so that all programs together look once in a while."""

    def __init__(self, url: str) -> None:
        """Prepare, without connecting."""
        self._url = url
        self._redis = connect(url)

    def take(self, every_seconds: float, run_id: int = 0) -> bool:
        """Take the lock, that of one run or the one of all; returns whether it was free.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            return bool(self._redis.set(f"{RECONCILED}:{run_id}", "1", nx=True, px=int(every_seconds * _LASTS)))

    def keep(self, every_seconds: float) -> None:
        """Keep the lock of all during a long look; to be called more often than every so many seconds.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with translated(self._url):
            self._redis.set(f"{RECONCILED}:0", "1", px=int(every_seconds * _LASTS))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
