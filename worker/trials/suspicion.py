"""Suspicion: whether one item is what workers or engines die of, without blaming the good items beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.broker.leases import SUSPECT_DELIVERIES
from worker.trials.lanes import Company

if TYPE_CHECKING:
    from collections.abc import Sequence

#: An item that was delivered more often is given up: no worker that had it lived to say how it ended.
_MOST_DELIVERIES = 5
#: An item goes on trial after this many deaths of the engine while others were asked too.
_DEATHS_AMONG_OTHERS = 2
#: An item is given up after this many deaths while it alone was asked, if others were answered in between.
_DEATHS_ALONE = 2
#: An item is given up after this many such deaths if others were answered before: there may be none left.
_DEATHS_ALONE_AT_LAST = 3


class Suspicion:
    """What speaks against one item."""

    def __init__(self, deliveries: int, history: Sequence[str] = ()) -> None:
        """Begin with what its deliveries say.

        Args:
            deliveries: which delivery of it this is, of those that count.
            history: the workers that had it before, a few words each.
        """
        self._deliveries = deliveries
        self._history = history
        self._deaths: list[str] = []
        self._died_in_trial = False
        self._deaths_alone = 0
        self._answered = 0
        self._answered_between = 0

    @property
    def delivered_too_often(self) -> bool:
        """Whether it is to be given up without being tried."""
        return self._deliveries > _MOST_DELIVERIES

    @property
    def of_killing_workers(self) -> bool:
        """Whether its deliveries alone are reason enough for a trial."""
        return self._deliveries >= SUSPECT_DELIVERIES

    @property
    def company(self) -> Company:
        """Who may be on their way beside it; nobody after a trial that it, or another item in it, did not survive."""
        if self._died_in_trial or self._deliveries > SUSPECT_DELIVERIES:
            return Company.NONE
        if self.of_killing_workers or len(self._deaths) >= _DEATHS_AMONG_OTHERS:
            return Company.FEW
        return Company.MANY

    @property
    def rank(self) -> int:
        """How grave it is; of several on trial, the one of the lowest rank goes first."""
        return self._deliveries + len(self._deaths)

    @property
    def died_alone(self) -> bool:
        """Whether the engine died while this item alone was asked."""
        return self._deaths_alone > 0

    def engine_died(self, how: str, *, answered: int, alone: bool) -> None:
        """Note that the engine died while this item was asked.

        Args:
            how: how it died, in a sentence.
            answered: how many requests the engines of this worker have answered so far.
            alone: whether nothing else was asked.
        """
        self._died_in_trial = self.company is not Company.MANY
        if alone:
            self._deaths_alone += 1
            self._answered_between = answered - self._answered if self._deaths_alone > 1 else 0
            self._answered = answered
        self._deaths.append(f"{how} ({'alone' if alone else 'among others'})")

    @property
    def proven(self) -> bool:
        """Whether the engine dies of this item; an engine that dies of everything proves nothing."""
        if self._answered_between > 0 and self._deaths_alone >= _DEATHS_ALONE:
            return True
        return self._answered > 0 and self._deaths_alone >= _DEATHS_ALONE_AT_LAST

    @property
    def story(self) -> str:
        """What happened, for a person."""
        if self.delivered_too_often:
            past = "; ".join(self._history) or "unknown"
            return f"delivered {self._deliveries} times, and no worker that took it lived to say how it ended: {past}"
        return f"the engine died {len(self._deaths)} times under it: {'; '.join(self._deaths)}"
