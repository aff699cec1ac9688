"""RunRows: what a run has, row by row and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from persqa.pairs import PENDING, Flagged, parse_status
from persqa.reviews import parse_wanted
from persqa.verdicts import KINDS
from persqa.words import option
from producer.following import Followed
from producer.run_notebook import Rows, RunNotebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandas import DataFrame

    from persqa.items import ItemId
    from persqa.pairs import Cause, EarlierRow, Ending, PairRow, ViolationRow
    from persqa.runs import Run
    from producer.connections import Connections


class RunRows(RunNotebook):
    """A part of `RunHandle`."""

    def __init__(self, connections: Connections, run: Run) -> None:
        super().__init__(connections, run)
        self._queries = connections.store.queries

    @overload
    def results(
        self,
        *,
        follow: Literal[True],
        after: int = 0,
        status: str | None = None,
        question: str | None = None,
        item: int | None = None,
        review: str | None = None,
        flag: str | Sequence[str] | None = None,
        without_flag: str | Sequence[str] | None = None,
    ) -> Iterator[Ending]: ...
    @overload
    def results(
        self,
        *,
        follow: Literal[False] = False,
        after: int = 0,
        status: str | None = None,
        question: str | None = None,
        item: int | None = None,
        review: str | None = None,
        flag: str | Sequence[str] | None = None,
        without_flag: str | Sequence[str] | None = None,
    ) -> Iterator[PairRow]: ...
    def results(  # noqa: PLR0913 - one parameter a filter
        self,
        *,
        follow: bool = False,
        after: int = 0,
        status: str | None = None,
        question: str | None = None,
        item: int | None = None,
        review: str | None = None,
        flag: str | Sequence[str] | None = None,
        without_flag: str | Sequence[str] | None = None,
    ) -> Iterator[PairRow]:
        """The items with their results, in the input's order; a notebook shows the first of them as a table.

        Followed, the items come in the order in which they end, as soon as they do, each with a `cursor`, until the run
        is done; one that is open goes on. An item that was requeued comes again. The database may be away meanwhile.

        Args:
            follow: whether to wait for what has not ended.
            after: followed, only what comes behind this cursor.
            status: only `ok`, `noncompliant`, `invalid`, `dead` or `pending`.
            question: only this topic, or questions that contain these words.
            item: only the item of this number.
            review: only `accepted`, `rejected`, `not-rejected`, `edited` or `starred` ones, or `none`, those that
                nobody has decided on or edited.
            flag: only items with at least one of these flags, given in a list or with commas, as in `refusal,hedge`.
            without_flag: only items with none of these flags.

        Raises:
            SettingsError: there is no such status, review or flag, or the run has no such item or cursor. Followed, it
                is raised by the iterator, and so is what `RunHandle.wait` raises, but for TimeoutError.
        """
        wanted = None if status is None else parse_status(status)
        reviewed = None if review is None else parse_wanted(review)
        own, flagged = self._own_item(item), Flagged.parse(flag, without_flag)
        if follow:
            if wanted == PENDING:
                raise SettingsError(
                    f"what is {PENDING} has not ended: to follow a run, ask for another status, or none"
                )
            return Followed(
                self._connections,
                self.run,
                lambda cursor: self._store.endings.page(
                    self.run, cursor, status=wanted, question=question, item=own, review=reviewed, flagged=flagged
                ),
                after=after,
            )
        if after:
            raise SettingsError(f"only what is followed has cursors: leave {option('after')} out, or follow")
        return Rows(
            lambda chunk: self._queries.pairs(
                self.run, status=wanted, question=question, item=own, review=reviewed, flagged=flagged, chunk=chunk
            ),
            self._seen,
        )

    def to_pandas(
        self,
        *,
        status: str | None = None,
        question: str | None = None,
        review: str | None = None,
        flag: str | Sequence[str] | None = None,
        without_flag: str | Sequence[str] | None = None,
    ) -> DataFrame:
        """The rows of `results` as a table, all of it in memory; its columns are those of a row, `record` the last one.

        Raises:
            SettingsError: there is no such status, review or flag.
            InputError: pandas is not installed.
        """
        from producer.frames import frame

        rows = self.results(status=status, question=question, review=review, flag=flag, without_flag=without_flag)
        return frame(rows)

    def violations(
        self, *, kind: str | None = None, question: str | None = None, item: int | None = None
    ) -> Iterator[ViolationRow]:
        """Every generation that broke the tag rule, oldest first.

        Args:
            kind: only this `ViolationKind`, or a flag that the run rejects.
            question: only this topic, or questions that contain these words.
            item: only the item of this number.

        Raises:
            SettingsError: there is no such kind, or the run has no such item.
        """
        wanted = None if kind is None else parse_choice(kind, KINDS, name="violation kind")
        return self._queries.violations(self.run, kind=wanted, question=question, item=self._own_item(item))

    def earlier_results(self, item: int) -> list[EarlierRow]:
        """The results of an item that `requeue` has taken back, the oldest first.

        Raises:
            SettingsError: the run has no such item.
        """
        own = self._own_item(item)
        return [] if own is None else self._store.results.earlier(own)

    def _own_item(self, item: int | None) -> ItemId | None:
        return None if item is None else self._items_of_run([item])[0]

    def violation_kinds(self) -> dict[str, int]:
        """The number of violations of each kind, most frequent first."""
        return self._queries.kinds(self.run.id)

    def flags(self) -> dict[str, int]:
        """How many items have each flag, most frequent first; an item may have several."""
        counts = self._store.flags.counts([self.run.id]).get(self.run.id, {})
        return {str(flag): number for flag, number in counts.items()}

    def main_cause(self) -> Cause | None:
        """The most frequent reason why items are not `ok`; None where all are, or nothing has ended."""
        return self._store.results.main_cause(self.run.id)
