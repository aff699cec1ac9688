"""Pushes: who waits for messages hears when some are pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import PUSHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.client import PubSub


class Pushes(BrokerClient):
    """What is pushed into some queues, or into those of the runs beside them; nobody is told twice, or later."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=5, retry=Retry(NoBackoff(), 0))
        self._heard: PubSub | None = None

    def listen(self, queues: Sequence[str]) -> None:
        """Begin to listen, instead of to what was listened to before."""
        self.close()
        with translated(self.url):
            self._heard = self._redis.pubsub()
            self._heard.subscribe(*(f"{PUSHED}:{queue}" for queue in queues))

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; returns whether something was pushed, or listening has just begun.

        All that was pushed by then is one.
        """
        if self._heard is None:
            return False
        with translated(self.url):
            found = self._heard.get_message(timeout=seconds) is not None
            while found and self._heard.get_message(timeout=0) is not None:
                pass
        return found

    def close(self) -> None:
        """Listen no longer."""
        if self._heard is not None:
            self._heard.close()
            self._heard = None
        super().close()
