"""Publishing in bulk, into a queue that is not allowed to grow without end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from persqa.broker.connection import connect, translated
from persqa.broker.envelope import EnvelopeBuilder
from persqa.messages import item_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.items import Item
    from persqa.runs import Run

_POLL_SECONDS = 0.2


class Publisher:
    """Puts items into a queue, many per round trip."""

    def __init__(self, url: str, *, queue_bound: int) -> None:
        """Prepare, without connecting.

        Args:
            url: the broker.
            queue_bound: how many messages may wait in the queue; `publish` waits for room.
        """
        self._url = url
        self._redis = connect(url)
        self._bound = queue_bound
        self._envelopes = EnvelopeBuilder()

    def publish(
        self,
        batch: Sequence[Item],
        run: Run,
        *,
        queue: Callable[[], str],
        on_full: Callable[[], None] = lambda: None,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Enqueue the items, all or none of them.

        Args:
            batch: the items.
            run: the run they belong to.
            queue: says where to; asked again and again while there is no room, and may raise to give up.
            on_full: called again and again while there is no room; may raise to give up.
            on_room: called once there is room, right before they are enqueued.

        Raises:
            BrokerUnavailable: none of them was enqueued, as far as is known.
        """
        messages = list(item_messages(batch, run))
        with translated(self._url):
            while self._redis.llen(chosen := queue()) + len(messages) > max(self._bound, len(messages)):
                on_full()
                time.sleep(_POLL_SECONDS)
            named = zip(batch, messages, strict=True)
            entries = [self._envelopes.build(str(item.id), message, queue=chosen) for item, message in named]
            on_room()
            self._redis.lpush(chosen, *entries)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
