"""Suspicion: whether workers or engines die of one item, without blame for the good items beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.broker.leases import SUSPECT_DELIVERIES
from persqa.words import counted
from worker.trials.lanes import Company

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The most deliveries of an item; after those it is given up, as each worker that had it has died.
_MOST_DELIVERIES = 5
#: Deaths of the engine among other items, after which an item goes on trial.
_DEATHS_AMONG_OTHERS = 2
#: Deaths of the engine with this item alone, after which it is given up if others were answered in between.
_DEATHS_ALONE = 2
#: The same if others were answered only before the first of these deaths: there may be no others left.
_DEATHS_ALONE_AT_LAST = 3


class Suspicion:
    """The evidence against one item; `history` names the workers that had it before, a few words each."""

    def __init__(self, deliveries: int, history: Sequence[str] = ()) -> None:
        self._deliveries = deliveries
        self._history = history
        self._deaths: list[str] = []
        self._died_in_trial = False
        self._deaths_alone = 0
        self._answered = 0
        self._answered_between = 0

    @property
    def delivered_too_often(self) -> bool:
        """Whether to give the item up without a trial."""
        return self._deliveries > _MOST_DELIVERIES

    @property
    def of_killing_workers(self) -> bool:
        """Whether the deliveries alone are reason for a trial."""
        return self._deliveries >= SUSPECT_DELIVERIES

    @property
    def company(self) -> Company:
        """Which items may run beside it; none after a trial that it or another item did not survive."""
        if self._died_in_trial or self._deliveries > SUSPECT_DELIVERIES:
            return Company.NONE
        if self.of_killing_workers or len(self._deaths) >= _DEATHS_AMONG_OTHERS:
            return Company.FEW
        return Company.MANY

    @property
    def rank(self) -> int:
        """How grave the suspicion is; the item with the lowest rank is tried first."""
        return self._deliveries + len(self._deaths)

    @property
    def died_alone(self) -> bool:
        """Whether the engine died while it had only this item."""
        return self._deaths_alone > 0

    def engine_died(self, how: str, *, answered: int, alone: bool) -> None:
        """Note that the engine died while it had this item.

        Args:
            how: how it died, in a sentence.
            answered: how many requests the engines of this worker have answered so far.
            alone: whether the engine had nothing else.
        """
        self._died_in_trial = self.company is not Company.MANY
        if alone:
            self._deaths_alone += 1
            self._answered_between = answered - self._answered if self._deaths_alone > 1 else 0
            self._answered = answered
        self._deaths.append(f"{how} ({'alone' if alone else 'among others'})")

    @property
    def proven(self) -> bool:
        """Whether the engine dies of this item, and not of every item."""
        if self._answered_between > 0 and self._deaths_alone >= _DEATHS_ALONE:
            return True
        return self._answered > 0 and self._deaths_alone >= _DEATHS_ALONE_AT_LAST

    @property
    def story(self) -> str:
        """What happened, in words."""
        if self.delivered_too_often:
            past = "; ".join(self._history) or "unknown"
            return f"delivered {self._deliveries} times, and no worker that took it lived to say how it ended: {past}"
        return f"the engine died {counted(len(self._deaths), 'time')} under it: {'; '.join(self._deaths)}"
