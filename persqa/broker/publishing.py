"""Publishing: who enqueues a run's pending items tells so, and reconcilers leave the rest of the run to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.keys import PUBLISHING
from persqa.errors import BrokerFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.runs import RunId

#: How long nothing may be heard of a producer. If it is only slow, its items are enqueued twice and answered once.
_SECONDS = 15


class Publishing(BrokerClient):
    """The producers at work on the runs of one ledger; a killed one is forgotten after some seconds."""

    def __init__(self, url: str, *, ledger: str) -> None:
        super().__init__(url)
        self._ledger = ledger

    def goes_on(self, run_id: RunId) -> None:
        """Say that somebody enqueues, or is about to; call it again every few seconds."""
        # Where no message has room, this has none either.
        with suppress(BrokerFull), translated(self.url):
            self._redis.set(self._key(run_id), "1", ex=_SECONDS)

    def ends(self, run_id: RunId) -> None:
        """Say that everything is enqueued, or that nobody goes on."""
        with translated(self.url):
            self._redis.delete(self._key(run_id))

    def under_way(self, run_ids: Sequence[RunId]) -> set[RunId]:
        """The runs among these that somebody enqueues."""
        if not run_ids:
            return set()
        with translated(self.url):
            found = cast("list[bytes | None]", self._redis.mget([self._key(run_id) for run_id in run_ids]))
        return {run_id for run_id, sign in zip(run_ids, found, strict=True) if sign is not None}

    def _key(self, run_id: RunId) -> str:
        return f"{PUBLISHING}:{self._ledger}:{run_id}"
