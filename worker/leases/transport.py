"""Transport: kombu's Redis transport, with messages under leases.

Stock kombu takes a message and notes in a second step who has it. It gives back all unacknowledged messages when its
connection drops, and ends the worker when Redis restarts. Here a `LeaseKeeper` claims, renews and settles on a
connection of its own. Remote control and Celery's consumer still use kombu.

Only workers consume through it; producers, `celery inspect` and Flower use stock `redis://`. It depends on inner parts
of kombu 5.7 (`Channel._brpop_start`, `QoS.append`, `ack` and `reject`, `Transport._deliver`), which tests watch.
"""

# kombu is not typed, and its seams are private.
# ruff: noqa: SLF001

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from kombu.transport import redis, virtual

from persqa.broker.keys import aside, base_of
from persqa.reasons import Reason
from worker.leases.claiming import Consumer
from worker.leases.keeper import LeaseKeeper
from worker.parsing import DeadMessage, parse_envelope, parse_ledger, parse_task_id

if TYPE_CHECKING:
    from persqa.broker.leases import Claimed
    from persqa.settings import Settings
    from worker.dead_letters import DeadLetters


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hands:
    """What the transport needs of its worker.

    Attributes:
        ledger: the identity of the worker's database.
        settings: they give the window and the longest message.
        strangers: other ledgers whose messages were found.
    """

    ledger: str
    keeper: LeaseKeeper
    dead_letters: DeadLetters
    settings: Settings
    strangers: set[str] = field(default_factory=set[str])


class Message(virtual.Message):
    """A message whose content was parsed when it was claimed."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **options: Any) -> None:
        super().__init__(payload, channel, **options)
        # Messages of remote control have no such content.
        self._decoded_cache = payload.get("content")


class QoS(redis.QoS):
    """The messages that Celery has not acknowledged; only the keeper tells Redis of them."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note the message here only, because the claim has put it under a lease."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Settle the message, even when the connection that brought it is gone."""
        Transport.hands.keeper.settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give the message back, or settle it."""
        if requeue:
            Transport.hands.keeper.give_back(delivery_tag)
        else:
            Transport.hands.keeper.settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_arguments: Any, **_options: Any) -> None:
        """Do nothing, because the keeper puts back what dead workers held."""


class Channel(redis.Channel):
    """Delivers the messages that the keeper claims."""

    Message = Message
    QoS = QoS
    #: A dropped connection gives nothing back, because work goes on and the keeper renews the leases.
    do_restore = False

    _claiming = False

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        """Claim from this queue as well."""
        answer = super().basic_consume(queue, *arguments, **options)
        self._follow_queues()
        return answer

    def _basic_cancel(self, consumer_tag: str) -> Any:
        answer = super()._basic_cancel(consumer_tag)  # pyrefly: ignore[missing-attribute]
        self._follow_queues()
        return answer

    def _follow_queues(self) -> None:
        # The channel of remote control has fanout queues only, which the keeper does not serve.
        queues = tuple(self.active_queues)
        if queues:
            self._claiming = True
            # Other ledgers' workers set aside here what they have found of ours.
            ledger = Transport.hands.ledger
            queues += tuple(aside(queue, ledger) for queue in queues)
            Transport.hands.keeper.attach(Consumer(queues, self._room, self._deliver_soon, ledger))
        elif self._claiming:
            self._claiming = False
            Transport.hands.keeper.detach()

    def _room(self) -> int:
        return self.qos.prefetch_count or Transport.hands.settings.window

    def _deliver_soon(self, claimed: list[Claimed]) -> None:
        """Deliver in Celery's own thread; the keeper's thread calls this."""
        # A closed channel has given its messages back.
        if (transport := self.connection) is not None:
            transport.hub.call_soon(self._deliver, claimed)  # pyrefly: ignore[missing-attribute]

    def _deliver(self, claimed: list[Claimed]) -> None:
        if self.connection is None:
            return
        for message in claimed:
            if not Transport.hands.keeper.awaits(message.tag):
                # The keeper has given it back meanwhile.
                continue
            queue = base_of(message.queue).removesuffix(aside("", Transport.hands.ledger))
            if queue not in self.connection._callbacks:  # pyrefly: ignore[not-iterable]
                Transport.hands.keeper.give_back(message.tag)
                continue
            try:
                most = Transport.hands.settings.max_message_bytes
                envelope = parse_envelope(message, max_characters=most)
                ledger = parse_ledger(envelope)
                if ledger is not None and ledger != Transport.hands.ledger:
                    self._set_aside(message, ledger)
                    continue
                self.connection._deliver(envelope, queue)
            except DeadMessage as dead:
                self._bury(message, dead)
            except Exception as error:  # noqa: BLE001 - it would end the worker
                self._bury(message, DeadMessage(Reason.UNREADABLE_MESSAGE, f"Celery cannot take it: {error!r}"))

    def _set_aside(self, claimed: Claimed, ledger: str) -> None:
        if ledger not in Transport.hands.strangers:
            Transport.hands.strangers.add(ledger)
            logger.warning(
                "%s has messages of another database (ledger %s), which are set aside for its own workers; give each "
                "database a Redis of its own, or a number of its own: redis://host:6379/1",
                claimed.queue,
                ledger,
            )
        Transport.hands.keeper.set_aside(claimed.tag, ledger)

    def _bury(self, claimed: Claimed, dead: DeadMessage) -> None:
        Transport.hands.dead_letters.bury(
            dead,
            text=claimed.text,
            queue=claimed.queue,
            task_id=parse_task_id(claimed),
            then=partial(Transport.hands.keeper.settle, claimed.tag),
        )

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Claim nothing here; kombu still watches the connection, so its loss is noticed."""


class Transport(redis.Transport):
    """The transport that `worker.celery` names to kombu."""

    Channel = Channel

    #: The worker sets this before anything is consumed. No parameter, because kombu makes transports and channels.
    hands: ClassVar[Hands]

    hub: Any = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Keep Celery's loop, in whose thread messages are delivered."""
        super().register_with_event_loop(connection, loop)
        self.hub = loop
