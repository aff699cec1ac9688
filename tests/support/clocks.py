"""Leases on a server whose clock can be set: its scripts look at a key instead of the real time."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.broker.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis
    from redis.commands.core import Script

_TIME = "test:time"
#: Seconds between two sweeps, as in the keeper.
SWEEP = 2


class Clocks:
    """The clock of the server, which can be set, and that of the workers, which cannot."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self.own = 0
        self._server = 1_700_000_000
        self.set(0)

    def spend(self, seconds: int) -> None:
        """Let time pass for all."""
        self.own += seconds
        self.set(seconds)

    def set(self, change: int) -> None:
        """Set the server's clock."""
        self._server += change
        self.redis.set(_TIME, self._server)

    @property
    def server(self) -> int:
        """The server's time."""
        return self._server


def clocked_script(client: redis.Redis, name: str) -> Script:
    """A script that looks at the clock that can be set."""
    text = resources.files("persqa.broker").joinpath("lua", f"{name}.lua").read_text("utf-8")
    return client.register_script(text.replace("redis.call('TIME')", f"{{redis.call('GET', '{_TIME}'), '0'}}"))


class Peer:
    """A worker as the keeper makes it: it renews four times a lease, and sweeps every two seconds."""

    def __init__(self, url: str, clocks: Clocks, name: str, seconds: int) -> None:
        self.seconds = seconds
        self.leases = Leases(url, worker=name, seconds=seconds)
        self.hand: set[str] = set()
        self._clocks = clocks
        self._renewed_at = -seconds
        self.turn()

    def turn(self) -> bool:
        """Do what is due; returns whether the leases were renewed."""
        due = self._clocks.own - self._renewed_at >= self.seconds / 4
        if due:
            self.leases.renew(sorted(self.hand))
            self._renewed_at = self._clocks.own
        self.leases.expire()
        return due

    def claim(self, number: int) -> set[str]:
        """Take some, and say which."""
        claimed = {one.tag for one in self.leases.claim([QUEUE], number)}
        self.hand |= claimed
        return claimed


def publish(client: redis.Redis, tags: Iterable[str]) -> None:
    """Put messages of these tags into the queue."""
    client.lpush(QUEUE, *(json.dumps({"properties": {"delivery_tag": tag}}) for tag in tags))


def waiting(client: redis.Redis) -> list[str]:
    """The tags of the messages in the queue."""
    return [
        json.loads(entry)["properties"]["delivery_tag"] for entry in cast("list[bytes]", client.lrange(QUEUE, 0, -1))
    ]


def pass_time(clocks: Clocks, seconds: int, *peers: Peer) -> None:
    """Let time pass while these work."""
    for _ in range(0, seconds, SWEEP):
        clocks.spend(SWEEP)
        for peer in peers:
            peer.turn()
