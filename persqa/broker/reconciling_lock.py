"""The lock that lets one program at a time look for items that the queue has lost."""

from __future__ import annotations

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import MEMORY, RECONCILED

#: How long the lock lasts for each second between two looks, in milliseconds: the next look finds it free.
_LASTS = 900


class ReconcilingLock(BrokerClient):
    """Nobody releases the lock; it expires, so that all programs of one ledger together look once per interval."""

    def __init__(self, url: str, *, ledger: str) -> None:
        super().__init__(url)
        self._key = f"{RECONCILED}:{ledger}"
        self._memory = f"{MEMORY}:{ledger}"

    def take(self, every_seconds: float, model: str | None = None) -> bool:
        """Take the lock of all looks, or that of the looks into one model's queues; returns whether it was free."""
        key = self._key if model is None else f"{self._key}:{model}"
        with translated(self.url):
            return bool(self._redis.set(key, "1", nx=True, px=int(every_seconds * _LASTS)))

    def keep(self, every_seconds: float) -> None:
        """Extend the lock of all looks during a long one; call it at least once per interval."""
        with translated(self.url):
            self._redis.set(self._key, "1", px=int(every_seconds * _LASTS))

    def broker_forgot(self) -> bool:
        """Whether the broker has lost everything since this was last asked, or is asked for the first time."""
        with translated(self.url):
            return bool(self._redis.set(self._memory, "1", nx=True))
