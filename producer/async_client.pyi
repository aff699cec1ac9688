"""The client for programs of asyncio, with the names of the client. Written by `make docs`."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, Unpack, overload

from pandas import DataFrame

from persqa.additions import Added, Place
from persqa.audit import Audit
from persqa.broker.depth import Backlog, Depth
from persqa.deletion import Contents
from persqa.flags import Overview
from persqa.items import ItemId
from persqa.pairs import Cause, EarlierRow, Ending, PairRow, Requeued, ViolationRow
from persqa.progress import Progress
from persqa.results import Status
from persqa.reviews import GivenReview, Review, Reviewed, Seen
from persqa.runs import Run
from persqa.settings import Settings
from persqa.verdicts import ViolationKind
from producer.adding import Adder, Done
from producer.appending import Appended
from producer.choosing import OnPart, OnRow
from producer.exporters.copies import OnLeft
from producer.local_fleet import LocalFleet
from producer.options import GivenExportOptions, GivenOpenOptions, GivenSettings, GivenSubmitOptions
from producer.pilot import Pilot, PilotListener
from producer.progress import WaitDisplay
from producer.reports import Report
from producer.run_notebook import GalleryLink
from producer.spot_checks import Summary
from producer.submit import Submission

class AsyncClient:
    """`Client` for a loop."""

    settings: Settings

    def __init__(
        self, settings: Settings | None = None, *, local_worker: bool | None = None, **single: Unpack[GivenSettings]
    ) -> None:
        """Prepare, without connecting.

        Args:
            settings: all settings; by default read from the environment.
            local_worker: whether to start a worker on this machine; by default only without a broker URL.
            single: settings by name, such as `broker_url`; the others are read from the environment.

        Raises:
            SettingsError: a setting is wrong, or has an unknown name.
        """

    async def close(self) -> None:
        """Stop what this client started, and close the database."""

    @property
    def fleet(self) -> LocalFleet | None:
        """The broker and worker that this client started, if any."""

    async def wait_ready(self) -> None:
        """Start the worker on this machine, if there is to be one, and wait until its engine is loaded.

        Raises:
            SettingsError: the engine cannot be started; the message is its own sentence.
            WorkerDied: the worker cannot be started for another reason.
            BrokerUnavailable: the broker does not start.
        """

    async def submit(
        self,
        data: str | Path | Iterable[Mapping[str, object]],
        *,
        on_full: Callable[[], None] = ...,
        **given: Unpack[GivenSubmitOptions],
    ) -> AsyncRunHandle:
        """Submit a data set; safe to repeat, since only items without a result are enqueued.

        Args:
            data: a file of records or a pattern for several, a folder, `hf://org/name`, `-` for standard input, or the
                records themselves; docs/data.md lists what can be read.
            on_full: called repeatedly while the queue is full, or Redis' memory.
            given: the options by name; see `GivenSubmitOptions`, and `RunOptions` for those of the run.

        Raises:
            InputError: the input cannot be read, or has changed meanwhile; nothing was written.
            SettingsError: an option is wrong, or has an unknown name; nothing was written.
            RunConflict: the run exists with other data or options, or in another folder, and is answered or begun;
                nothing was written. One without an answer is replaced.
            RunStopped: the run is cancelled, and nothing was enqueued. Or it is paused, or was stopped meanwhile; the
                ledger is written, and `resume` enqueues the rest.
            BlobsUnavailable: image bytes could not be stored; nothing was enqueued, submit again.
            BrokerUnavailable: the ledger is written, not all is enqueued; submit again.
        """

    async def open_run(self, name: str, **given: Unpack[GivenOpenOptions]) -> AsyncOpenRun:
        """Open a run that records are added to, or go on with the one of this name; safe to repeat.

        Options are the run's: whoever opens it later need not give them again, and cannot give others. A run that was
        closed is given as it is; what it has is `known`, and nothing is added to it.

        Args:
            name: of the run.
            given: the options by name; see `GivenOpenOptions`, and `RunOptions` for those of the run.

        Raises:
            SettingsError: an option is wrong, has an unknown name, or is one of whole data sets; nothing was written.
            RunConflict: the run of this name is a data set, or has other options.
        """

    async def adder(self, run: Run) -> Adder:
        """What adds raw records to an open run; relative paths start where the run's do.

        Raises:
            RunConflict: it is a data set, or asks other questions than its pool has by now.
        """

    async def pilot(
        self,
        data: str | Path | Sequence[Mapping[str, object]],
        *,
        vary: Mapping[str, Sequence[object]] | None = None,
        price_per_hour: float | None = None,
        listener: PilotListener | None = None,
        **given: Unpack[GivenSubmitOptions],
    ) -> Pilot:
        """Ask about a seeded sample of a data set, in several variants, and say what each comes to.

        Each variant is an ordinary run, named after the whole one, as in `faces-pilot-2`. Without a broker, each model
        gets a worker on this machine, which answers all of its variants. Safe to repeat: what is answered is not asked
        again. `variant.whole` has the options of a submit of the whole data set, which takes those answers over.

        Args:
            data: as for `submit`; it is read for each variant, so it cannot be standard input.
            vary: values of `tag_policy`, `model`, `system_prompt`, or numbers of the sampling such as `temperature`;
                every combination of them is a variant.
            price_per_hour: of the machines that answer, in whatever money.
            listener: what is told of each variant, and shown while it is waited for.
            given: the options that all variants share, among them `sample`: how many records are drawn by the seed, by
                default 300, and all where there are fewer.

        Raises:
            SettingsError: an option is wrong; nothing was written.
            InputError: the data cannot be read, or only once.
        """

    async def run(self, name: str) -> AsyncRunHandle:
        """The run of this name.

        Raises:
            RunNotFound: there is no such run.
        """

    async def runs(self) -> list[AsyncRunHandle]:
        """All runs, the newest first."""

    async def backlog(self, runs: Iterable[Run]) -> Backlog | None:
        """The messages in the queues of these runs, and in those for any model; None without a broker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...

class AsyncRunHandle:
    """`RunHandle` for a loop."""

    run: Run

    @property
    def name(self) -> str:
        """The run's name."""

    async def look_over(self) -> Overview:
        """Flag what only the whole run shows: stock answers, and pictures that are nearly an earlier one.

        At any time, and again and again: what no longer holds is taken back. A million items take minutes.
        """

    async def requeue(
        self,
        status: str | None = None,
        *,
        items: Iterable[int] | None = None,
        question: str | None = None,
        recheck: bool = False,
        sure: bool = False,
    ) -> Requeued:
        """Take results back and enqueue their items again, for other answers; the results stay as `earlier_results`.

        Args:
            status: only items with this one: `ok`, `noncompliant`, `invalid` or `dead`.
            items: only those of these numbers, whatever their status.
            question: only those with this topic, or with these words in their question.
            recheck: try known broken images again.
            sure: allow to take back all `ok` results of the run.

        Raises:
            SettingsError: neither status nor items are named, there is no such status or item, or all good results
                would be taken back.
            RunStopped: the run is cancelled. Items of a paused run are enqueued when it is resumed.
            BrokerUnavailable: Redis does not answer; what was taken back is pending, and enqueued later.
        """

    async def rename(self, name: str) -> None:
        """Give the run another name; what is submitted under the old one from now on is a new run.

        Raises:
            SettingsError: this cannot name a run, or is its name already.
            RunConflict: another run has the name.
            RunNotFound: the run is gone.
            RunStopped: the run is being deleted.
        """

    async def contents(self) -> Contents:
        """What `delete` would delete; the time grows with the run, and with the database if the run has blobs.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """

    async def delete(self, *, on_step: Callable[[int], None] = ...) -> Contents:
        """Delete the run for good: items, results, reviews, messages, and the blobs that no other run refers to.

        Nothing of it is begun from now on, and what workers have in hand is dropped when it is answered. Safe to
        repeat, and after an interruption it goes on where it stopped.

        Args:
            on_step: called with the number of items that have just been deleted.

        Returns:
            What was deleted.

        Raises:
            RunNotFound: the run is gone already.
            BrokerUnavailable: Redis does not answer; delete it again.
            BlobsUnavailable: a blob cannot be deleted, or a submit is under way that may use some; delete it again.
        """

    async def report(self) -> Report:
        """What the run comes to, as of now; the time grows with the run."""

    async def write_report(self, path: str | Path, *, overwrite: bool = False, report: Report | None = None) -> int:
        """Write the report as a page for a browser, with figures and some items; returns how many it shows.

        Args:
            path: the file, `.html`.
            overwrite: whether the file may be there.
            report: what it says; by default as of now.

        Raises:
            InputError: the file cannot be written, is there already, or is none for a browser.
            BlobsUnavailable: the blob store does not answer.
        """

    async def write_card(self, path: str | Path, *, overwrite: bool = False, report: Report | None = None) -> None:
        """Write the card of a data set, as the Hugging Face hub reads it; `export` puts one beside a data set itself.

        Args:
            path: the file, which the hub wants to be called README.md.
            overwrite: whether the file may be there.
            report: what it says; by default as of now.

        Raises:
            InputError: the file cannot be written, or is there already.
        """

    async def gallery(self) -> GalleryLink:
        """Serve the gallery beside this program, on this machine only, and say where this run is in it.

        It is the same one for all runs of a client, and ends with the client.

        Raises:
            SettingsError: its libraries are not installed, or this machine cannot listen.
        """

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
    ) -> AsyncGenerator[Ending]:
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
    ) -> AsyncGenerator[PairRow]: ...
    async def to_pandas(
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

    def violations(
        self, *, kind: str | None = None, question: str | None = None, item: int | None = None
    ) -> AsyncGenerator[ViolationRow]:
        """Every generation that broke the tag rule, oldest first.

        Args:
            kind: only this `ViolationKind`, or a flag that the run rejects.
            question: only this topic, or questions that contain these words.
            item: only the item of this number.

        Raises:
            SettingsError: there is no such kind, or the run has no such item.
        """

    async def earlier_results(self, item: int) -> list[EarlierRow]:
        """The results of an item that `requeue` has taken back, the oldest first.

        Raises:
            SettingsError: the run has no such item.
        """

    async def violation_kinds(self) -> dict[str, int]:
        """The number of violations of each kind, most frequent first."""

    async def flags(self) -> dict[str, int]:
        """How many items have each flag, most frequent first; an item may have several."""

    async def main_cause(self) -> Cause | None:
        """The most frequent reason why items are not `ok`; None where all are, or nothing has ended."""

    async def review(
        self,
        items: Iterable[int],
        *,
        reviewer: str | None = None,
        seen: Seen | None = None,
        on_step: Callable[[int], None] = ...,
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

    async def undo_review(self, action: str) -> int:
        """Bring back what was said before an action, where nobody has said anything else since. Safe to repeat.

        Returns:
            The number of items whose reviews are other ones now.

        Raises:
            RunStopped: the run is being deleted.
            RunNotFound: the run is gone.
        """

    async def earlier_reviews(self, item: int) -> list[Review]:
        """What was said of an item before, the oldest first: of this result, and of those that were taken back.

        Raises:
            SettingsError: the run has no such item.
        """

    async def breaks_tag_rule(self, item: int, answer: str) -> ViolationKind | None:
        """How this answer to the item would break the tag rule; None if it does not, or the rule does not apply.

        Raises:
            SettingsError: the run has no such item.
        """

    submission: Submission | None

    database_url: str

    async def progress(self) -> Progress:
        """How many items have which status; cheap at any size."""

    async def rate(self, *, since: datetime | None = None) -> float | None:
        """Items that workers ended, a second, over the time in which they came.

        Args:
            since: count from here to the last item; by default over the last minute. A run that is paused, cancelled or
                done has no rate at present.

        Returns:
            Items per second; None where nothing ended in that time.
        """

    async def wait(
        self, *, timeout_seconds: float | None = None, display: WaitDisplay | None = None, closed: bool = False
    ) -> Progress:
        """Wait until every item has a result, with a progress bar on a terminal.

        Of an open run, wait for what was added so far; with `closed`, until it is closed, too.

        The bar says what is waited for, such as a model that is loaded, and what hinders the run, such as a full disk.
        With a `display` of your own, what hinders it is logged.

        Raises:
            TimeoutError: it took longer.
            RunStopped: the run was cancelled, has paused itself by a stop rule, or is being deleted; a run that people
                paused is waited for.
            RunNotFound: it was deleted.
            SettingsError: the worker that this client started cannot start its engine.
            WorkerDied: the worker that this client started has ended.
        """

    async def spot_checks(self) -> Summary:
        """What the spot checks say of the pictures; empty where there are none. The time grows with their number."""

    async def export(
        self,
        path: str | Path,
        *,
        on_left: OnLeft = ...,
        on_part: OnPart = ...,
        on_row: OnRow = ...,
        **given: Unpack[GivenExportOptions],
    ) -> int:
        """Write the records to a file or folder, in the input's order; returns the number of rows.

        Args:
            path: `.json`, `.jsonl` or `.csv`, each also with `.gz` or `.zst`, `.parquet`, or a folder; with `gallery`,
                `.html`. It appears when everything is written.
            on_left: called for each image that is to travel with the export and cannot, for each answer that dialogues
                leave out, and for each row that an option leaves out.
            on_part: called for each part of a split, with its number of rows.
            on_row: called for each row that is written, before it is; not with `gallery`.
            given: the options by name; see `GivenExportOptions`.

        Raises:
            SettingsError: there is no such status or option.
            InputError: the format is unknown, the file cannot be written or is there already, or a record already has
                such a field.
            BlobsUnavailable: the blob store does not answer.
        """

    async def pause(self) -> int:
        """Let workers begin no more of its items, and finish those they have begun. Safe to repeat.

        Returns:
            The number of messages taken out of the queue. Without a broker they stay there, and workers drop them.

        Raises:
            RunStopped: the run is cancelled, or done.
            BrokerUnavailable: the run is paused, and some messages are still in the queue.
        """

    async def cancel(self) -> int:
        """Give the run up: as `pause`, and every wait for the run ends with `RunStopped`. Safe to repeat.

        Results stay, and `resume` can still take the run up again.

        Raises:
            RunStopped: the run is done.
            BrokerUnavailable: the run is cancelled, and some messages are still in the queue.
        """

    async def resume(self, *, on_full: Callable[[], None] = ...) -> int:
        """Go on after `pause`, `cancel` or a stop rule. Safe to repeat, also after an interruption.

        A stop rule by which the run had paused itself counts anew from here, and needs 100 items again.

        Args:
            on_full: called repeatedly while the queue is full.

        Returns:
            The number of enqueued items. Without a broker it is 0: workers, and programs that wait for the run, enqueue
            them within `PERSQA_RECONCILE_SECONDS`; otherwise the next `persqa run` of the same input does.

        Raises:
            RunStopped: the run was paused or cancelled again meanwhile.
            BrokerUnavailable: the run goes on, and not all is enqueued; call again.
        """

    async def set_priority(self, priority: str) -> int:
        """Let its items go before or after those of other runs. Safe to repeat.

        Args:
            priority: `high`, `normal` or `low`.

        Returns:
            The number of messages moved to another queue. Messages that workers hold keep the old priority; without a
            broker, all do.

        Raises:
            SettingsError: there is no such priority.
            BrokerUnavailable: the priority is set, and some messages are still in the old queue.
        """

    async def depth(self) -> Depth | None:
        """The queue of this run's items; None without a broker."""

    async def audit(self, *, queue: bool = True) -> Audit:
        """Count everything row by row; with a broker, also look for the pending items in the queue if `queue`.

        Raises:
            BrokerUnavailable: Redis does not answer, and something is pending.
        """

class AsyncOpenRun(AsyncRunHandle):
    """`OpenRun` for a loop."""
    async def add(
        self, record: Mapping[str, object], *, replace: bool = False, on_full: Callable[[], None] = ...
    ) -> AsyncTicket:
        """Add one record: it is in the ledger when this returns, and enqueued.

        Safe to repeat: a record that is there already, by its key and content, stays as it is, and its ticket says so.
        A record that cannot be used is added as well, and ends as `invalid`.

        Args:
            record: as in a data set.
            replace: take the place of another record of the same key, which is kept as an earlier one, with its answer.
            on_full: called repeatedly while the queue is full.

        Raises:
            KeyTaken: another record of this key is there; nothing was changed.
            RunConflict: the run is closed; or a relative path starts in another folder than those of the run.
            RunStopped: the run is cancelled or being deleted.
            BlobsUnavailable: image bytes cannot be stored; nothing was added.
            BrokerUnavailable: the record is in the ledger, and workers enqueue it once Redis answers.
        """

    async def add_many(
        self, records: Iterable[Mapping[str, object]], *, replace: bool = False, on_full: Callable[[], None] = ...
    ) -> list[AsyncTicket]:
        """Add many records, a thousand in each transaction; returns their tickets in order.

        Arguments and errors are as of `add`. Where other records have the keys of some, all others are added, and
        then `KeyTaken` is raised, with the keys: the tickets of the others come when they are added again.
        """

    async def append(
        self,
        data: str | Path,
        *,
        replace: bool = False,
        input_format: str | None = None,
        split: str | None = None,
        on_full: Callable[[], None] = ...,
    ) -> Appended:
        """Add all records of an input, in batches; what was added before an error stays, and may be given again.

        Args:
            data: as of `Client.submit`.
            replace: as of `add`; without it, other records of keys that are there are refused, and counted.
            input_format: the input's format, where its suffix does not say it.
            split: the part of a Hugging Face data set.
            on_full: as of `add`.

        Raises:
            InputError: it cannot be read, or has no record.
        """

    async def tickets(self, done: Done) -> list[AsyncTicket]:
        """The tickets of records that were added."""

    async def close(self) -> None:
        """Let nothing more be added: the run is done when all that it has is answered. Safe to repeat."""

class AsyncTicket:
    """`Ticket` for a loop."""

    place: Place

    key: str | None

    @property
    def added(self) -> Added:
        """What became of the record: `added`, `known`, `replaced` or `refused`."""

    @property
    def position(self) -> int:
        """The place of the record in the run, from 0."""

    @property
    def items(self) -> tuple[ItemId, ...]:
        """The numbers of its items, one for each question; one for a wrong record; none for a refused one."""

    @property
    def status(self) -> Awaitable[Status | Literal["pending"]]:
        """How its first question has ended; `pending` until then.

        Raises:
            RunNotFound: the run was deleted.
            KeyTaken: the record was refused.
        """

    async def result(self, timeout: float | None = None) -> PairRow:
        """Its first question with the result, which is waited for.

        Args:
            timeout: longest wait in seconds.

        Raises:
            TimeoutError: it took longer.
            RunStopped: the run was cancelled, has paused itself by a stop rule, or is being deleted; or the client was
                closed.
            RunNotFound: the run was deleted.
            KeyTaken: the record was refused.
            SettingsError: the worker that this client started cannot start its engine.
            WorkerDied: the worker that this client started has ended.
        """

    async def results(self, timeout: float | None = None) -> list[PairRow]:
        """All its questions with their results, as `result`."""

    @property
    def first(self) -> ItemId:
        """The number of its first item; raises KeyTaken where the record was refused."""

    def __await__(self) -> Generator[Any, None, PairRow]: ...
