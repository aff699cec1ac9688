"""The lock that lets one program at a time look for items that the queue has lost."""

from __future__ import annotations

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import RECONCILED

#: How long the lock lasts for each second between two looks, in milliseconds: the next look finds it free.
_LASTS = 900


class ReconcilingLock(BrokerClient):
    """Nobody releases the lock; it expires, so that all programs together look once per interval."""

    def take(self, every_seconds: float, run_id: int = 0) -> bool:
        """Take the lock of one run, or the one of all runs; returns whether it was free."""
        with translated(self.url):
            return bool(self._redis.set(f"{RECONCILED}:{run_id}", "1", nx=True, px=int(every_seconds * _LASTS)))

    def keep(self, every_seconds: float) -> None:
        """Extend the lock of all runs during a long look; call it at least once per interval."""
        with translated(self.url):
            self._redis.set(f"{RECONCILED}:0", "1", px=int(every_seconds * _LASTS))
