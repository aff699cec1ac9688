"""FleetWatch: what the fleet does, asked once for all browsers that want to know it at the same time."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from producer.status import fleet_status, statuses

if TYPE_CHECKING:
    from producer.client import Client
    from producer.status import FleetStatus

#: How long an answer is good for.
_FRESH_SECONDS = 1.0
#: Most runs whose queues are looked at, the newest ones.
_MOST_RUNS = 200


class FleetWatch:
    """Asks the broker of a client, or what works on this machine where none is named."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = Lock()
        self._last: FleetStatus | None = None
        self._asked_at = 0.0

    @property
    def broker_url(self) -> str | None:
        """The broker that is known: the one that is named, or that of the fleet which the client has started."""
        fleet = self._client.fleet
        return fleet.settings.broker_url if fleet else self._client.settings.broker_url

    def now(self) -> FleetStatus:
        """What is known, at most some seconds old; a broker that is away keeps only the first who asks waiting.

        Raises:
            NoDatabase: there is none yet.
            StoreUnavailable: the database does not answer.
        """
        # Who comes while somebody asks gets the last answer, if there is one.
        if not self._lock.acquire(blocking=self._last is None) and self._last is not None:
            return self._last
        try:
            if self._last is None or time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                store = self._client.store
                runs = statuses(store, store.runs.under_way(_MOST_RUNS))
                self._last = fleet_status(store, self.broker_url, runs)
                self._asked_at = time.monotonic()
            return self._last
        finally:
            self._lock.release()
