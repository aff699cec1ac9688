"""RunReviews: what people say of a run's results."""

from __future__ import annotations

import getpass
import os
from array import array
from typing import TYPE_CHECKING

from persqa.choices import parse_choice
from persqa.controls import refuse_stopped
from persqa.errors import SettingsError
from persqa.items import MAX_ITEMS
from persqa.reviews import Decision, GivenReview, Reviewed, new_action
from persqa.tags import Tag
from persqa.verdicts import judge_text
from persqa.words import listed
from producer.run_changes import RunChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from persqa.reviews import Review, Seen
    from persqa.verdicts import ViolationKind


class RunReviews(RunChanges):
    """A part of `RunHandle`."""

    def review(
        self,
        items: Iterable[int],
        *,
        reviewer: str | None = None,
        seen: Seen | None = None,
        on_step: Callable[[int], None] = lambda _items: None,
        **given: Unpack[GivenReview],
    ) -> Reviewed:
        """Say something of results: `run.review([item], decision="accepted", note="sharp")`.

        What is not given stays, and what was said before is kept. Many items are reviewed in steps; what an
        interruption leaves is reviewed by a repetition. Items without a result are left out, and those of which all
        this is said already.

        Args:
            items: the numbers of items of this run.
            reviewer: who says so; by default whoever runs this program.
            seen: which results were seen; those of items that were answered again since are left out.
            on_step: called with the number of items that have just been reviewed.
            given: the parts of a review by name; see `GivenReview`.

        Returns:
            The items whose reviews are other ones now, and what `undo_review` takes.

        Raises:
            SettingsError: nothing is said, there is no such decision, or the run has no such item.
            RunStopped: the run is being deleted.
            RunNotFound: the run is gone.
        """
        given = _checked(given)
        numbers = self._numbers(items)
        self._refuse_deleted()
        action = new_action()
        changed = self._store.reviews.change(
            self.run.id,
            numbers,
            given,
            reviewer=reviewer or _login_name(),
            action=action,
            seen=seen,
            on_step=on_step,
        )
        return Reviewed(action=action, items=tuple(changed))

    def undo_review(self, action: str) -> int:
        """Bring back what was said before an action, where nobody has said anything else since. Safe to repeat.

        Returns:
            The number of items whose reviews are other ones now.

        Raises:
            RunStopped: the run is being deleted.
            RunNotFound: the run is gone.
        """
        self._refuse_deleted()
        return len(self._store.reviews.undo(self.run.id, action))

    def earlier_reviews(self, item: int) -> list[Review]:
        """What was said of an item before, the oldest first: of this result, and of those that were taken back.

        Raises:
            SettingsError: the run has no such item.
        """
        return self._store.reviews.history(self._items_of_run([item])[0])

    def breaks_tag_rule(self, item: int, answer: str) -> ViolationKind | None:
        """How this answer to the item would break the tag rule; None if it does not, or the rule does not apply.

        Raises:
            SettingsError: the run has no such item.
        """
        (own,) = self._items_of_run([item])
        row = next(self._store.queries.pairs(self.run, item=own))
        return judge_text(answer, tag=Tag(row.tag), question=row.question)

    def _refuse_deleted(self) -> None:
        self.run = self._store.runs.reread(self.run)
        if self.run.deleting:
            refuse_stopped(self.run)

    def _numbers(self, items: Iterable[int]) -> array[int]:
        """The numbers as an array: there may be millions."""
        numbers = array("q")
        for item in items:
            if item // MAX_ITEMS != self.run.id:
                # Which refuses it.
                self._items_of_run([int(item)])
            numbers.append(item)
        return numbers


def _checked(given: GivenReview) -> GivenReview:
    parts = GivenReview.__annotations__
    for name in given:
        parse_choice(name, parts, name="part of a review")
    if not given:
        raise SettingsError(f"say what is reviewed: {listed(parts)}")
    decision = given.get("decision")
    return given if decision is None else {**given, "decision": parse_choice(decision, Decision, name="decision")}


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # Containers run as users without a name.
        return f"user {os.getuid()}"
