"""Share: a worker takes few messages at first, so that others get theirs of a queue that is short."""

from __future__ import annotations

#: As many as this are taken at once by a worker with empty hands: enough to begin with.
FIRST = 32
#: As long as an idle worker may need to notice that there is something to take.
NOTICE_SECONDS = 0.25


class Share:
    """How many messages a worker may have in hand: doubled while there are more, and few again once there were none.

    A long queue fills a window of 256 within a second. Of a short one nobody takes all before the others have looked.
    Times are those of the caller's clock, in seconds.
    """

    def __init__(self) -> None:
        self._most = FIRST
        #: Since when there has been more to take than was taken.
        self._more_since: float | None = None

    def free(self, *, room: int, held: int, now: float) -> int:
        """How many may be taken now.

        Args:
            room: how many the worker wants in hand, at most.
            held: how many it has.
            now: the time.
        """
        if self._more_since is not None and now - self._more_since >= NOTICE_SECONDS:
            self._most = min(2 * self._most, room)
            self._more_since = now
        return max(0, min(room, self._most) - held)

    def note(self, *, more: bool, held: int, now: float) -> None:
        """Learn from a claim.

        Args:
            more: whether all were there that were asked for.
            held: how many are in hand with them.
            now: the time.
        """
        if more:
            self._more_since = now if self._more_since is None else self._more_since
        else:
            self._most, self._more_since = max(FIRST, held), None
