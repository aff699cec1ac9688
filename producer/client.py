"""Client and RunHandle: all that a program can do with PersQA, and all that the command line is made of."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from persqa.audit import Audit, audit
from persqa.blobs import BlobStore
from persqa.broker.depth import Backlog, Depth, Inspector
from persqa.broker.keys import queue_for, queues_for
from persqa.choices import parse_choice
from persqa.controls import refuse_stopped, set_priority, stop
from persqa.enqueueing import enqueue_pending
from persqa.errors import Infrastructure, RunStopped
from persqa.questions import load_pool
from persqa.results import Status, parse_status
from persqa.runs import Run, RunState, check_run_name, parse_options, parse_priority
from persqa.settings import Settings, load_settings, require_broker
from persqa.store import Store
from persqa.verdicts import ViolationKind
from producer.exporters import choose_format, write_records
from producer.exporters.shapes import Pair, Shape
from producer.local_fleet import LocalFleet
from producer.progress import WaitDisplay, wait_for
from producer.readers import open_input
from producer.submit import item_count, refuse_wrong_records, survey, write_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from persqa.store.queries import PairRow, Progress, ViolationRow


#: Items whose violations are looked up at a time.
_LOOKED_UP = 500
#: Good results are not taken back.
_ASKED_AGAIN = (Status.NONCOMPLIANT, Status.INVALID, Status.DEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submit did.

    Attributes:
        enqueued: items that went into the queue.
        invalid: wrong records in the input; they are stored as `invalid` and not enqueued.
        first_errors: a sentence each for the first few of them.
    """

    enqueued: int
    invalid: int
    first_errors: tuple[str, ...]


class Client:
    """One database and one broker.

    Without a broker URL it brings its own broker and worker on this machine, started by the first submit that has
    something to enqueue and stopped by `close`.
    """

    def __init__(
        self, settings: Settings | None = None, *, local_worker: bool | None = None, **overrides: object
    ) -> None:
        """Open the database.

        Args:
            settings: all settings; read from the environment where not given.
            local_worker: whether to bring a worker; by default only where no broker is named.
            overrides: single settings by name, such as `broker_url`; only without `settings`.

        Raises:
            SettingsError: a setting is wrong.
            StoreUnavailable: the database does not answer.
        """
        self.settings = settings or load_settings(**overrides)
        self._stack = ExitStack()
        self.store = Store.open(self.settings.database_url)
        self._stack.callback(self.store.close)
        self._local = self.settings.broker_url is None if local_worker is None else local_worker
        self._fleet: LocalFleet | None = None
        self._looked_at = time.monotonic()

    def __enter__(self) -> Self:
        """Nothing more to do; `close` is called at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop what this client started, and close the database."""
        self._stack.close()
        self._fleet = None

    @property
    def fleet(self) -> LocalFleet | None:
        """The broker and worker this client brought, if it did."""
        return self._fleet

    def submit(  # noqa: PLR0913 - one parameter an option
        self,
        data: str | Path | Iterable[Mapping[str, object]],
        *,
        run: str | None = None,
        strict: bool = False,
        recheck: bool = False,
        priority: str | None = None,
        on_full: Callable[[], None] = lambda: None,
        input_format: str | None = None,
        split: str | None = None,
        **options: object,
    ) -> RunHandle:
        """Submit a data set; safe to repeat, since only what has no result is enqueued.

        Args:
            data: a file of records or a pattern for several, a folder, `hf://org/name`, `-` for standard input, or the
                records themselves; docs/data.md lists what can be read.
            run: the run's name; by default the file's name without its suffix.
            strict: refuse the whole input if one record is wrong.
            recheck: try images again that are known to be broken.
            priority: `high`, `normal` or `low`: whether its items go before those of other runs; by default as they do,
                and for a new run `normal`.
            on_full: called again and again while the queue is full.
            input_format: what the input is, where its suffix does not say it.
            split: the part of a Hugging Face data set.
            options: of the run, by name: `tag`, `tag_policy`, `pool`, `questions_per_image`, `seed`, `model`,
                `sampling`, `system_prompt`, `image_column`, `id_column`, `image_optional`, `verbatim`.

        Raises:
            InputError: the input cannot be read; nothing was written.
            SettingsError: an option is wrong; nothing was written.
            RunConflict: the run exists with other data or options; nothing was written.
            RunStopped: the run is cancelled, and nothing was enqueued; or it is paused, or was stopped meanwhile: the
                ledger is written, and `resume` enqueues what is not.
            BlobsUnavailable: image bytes could not be stored; nothing was enqueued, submit again.
            BrokerUnavailable: the ledger is written, not all is enqueued; submit again.
        """
        chosen = parse_options(**{"model": self.settings.model, **options})
        reader = open_input(
            data,
            blobs=BlobStore(self.settings.blob_store),
            input_format=input_format,
            split=split,
            columns=chosen.columns,
        )
        wanted = None if priority is None else parse_priority(priority)
        name = check_run_name(run or reader.name)
        pool = load_pool(chosen.pool)
        pool.draw(chosen.questions_per_image, seed=0, key="")
        found = survey(reader, chosen, settings=self.settings)
        if strict:
            refuse_wrong_records(found)
        created = self.store.ledger.create_run(
            name,
            options=chosen,
            pool_digest=pool.digest,
            fingerprint=found.fingerprint,
            base=str(reader.base),
            item_count=item_count(found, chosen),
        )
        if created.state is RunState.CANCELLED:
            refuse_stopped(created)
        if self.store.queries.progress(created.id).submitted < created.items:
            write_ledger(self.store, reader, created, pool, settings=self.settings)
        if recheck:
            created = self.store.ledger.set_recheck(created, recheck)
        if wanted is not None and wanted is not created.priority:
            created, _moved = set_priority(self.store, created, wanted, self.known_broker_url())
        enqueued = self.enqueue(created, on_full=on_full)
        errors = tuple(str(error) for error in found.errors)
        return RunHandle(self, created, Submission(enqueued=enqueued, invalid=found.invalid, first_errors=errors))

    def enqueue(self, run: Run, *, on_full: Callable[[], None] = lambda: None) -> int:
        """Enqueue what is pending in the ledger and not in the queue; returns how many items.

        Raises:
            RunStopped: the run is paused or cancelled, or was meanwhile.
            BrokerUnavailable: not all is enqueued; call again.
            WorkerDied: the queue is full, and the worker this client started has ended.
        """

        def wait_for_room() -> None:
            if self._fleet is not None:
                self._fleet.check()
            on_full()

        # Celery is loaded here and not at import: looking at results must not take seconds.
        from persqa.broker.publisher import Publisher

        if self.store.queries.progress(run.id).pending == 0:
            return 0
        refuse_stopped(self.store.ledger.reread(run))
        url = self._broker_url()
        with (
            closing(Publisher(url, queue_bound=self.settings.queue_bound)) as publisher,
            closing(Inspector(url)) as inspector,
        ):
            return enqueue_pending(self.store, publisher, inspector, run, on_full=wait_for_room)

    def reconcile(self) -> int:
        """Enqueue again what the queue has lost; looks seldom, however often it is called, and where there is a broker.

        Raises:
            StoreUnavailable: the database does not answer.
            BrokerUnavailable: Redis does not answer.
        """
        from persqa.reconciler import Reconciler

        url = self.known_broker_url()
        if url is None or time.monotonic() - self._looked_at < self.settings.reconcile_seconds:
            return 0
        self._looked_at = time.monotonic()
        return Reconciler(self.store, self.settings.model_copy(update={"broker_url": url})).reconcile()

    def run(self, name: str) -> RunHandle:
        """A run that was submitted before.

        Raises:
            RunNotFound: there is none of this name.
        """
        return RunHandle(self, self.store.ledger.find_run(name))

    def runs(self) -> list[RunHandle]:
        """All runs, the newest first."""
        return [RunHandle(self, run) for run in self.store.ledger.runs()]

    def backlog(self, runs: Iterable[Run]) -> Backlog | None:
        """What waits in the queues of these runs, and of those without a model; None without a broker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        if (url := self.known_broker_url()) is None:
            return None
        with closing(Inspector(url)) as inspector:
            return inspector.backlog(queues_for(None, *(run.options.model for run in runs)))

    def _broker_url(self) -> str:
        """The broker's URL; the local fleet is started first where there is to be one."""
        if self._local and self._fleet is None:
            self._fleet = self._stack.enter_context(LocalFleet(self.settings))
            self._fleet.start_worker()
        return require_broker(self._fleet.settings if self._fleet else self.settings)

    def known_broker_url(self) -> str | None:
        """The broker's URL if there is one by now."""
        return self._fleet.settings.broker_url if self._fleet else self.settings.broker_url


class RunHandle:
    """One run, and everything one can ask of it."""

    def __init__(self, client: Client, run: Run, submission: Submission | None = None) -> None:
        self._client = client
        self._queries = client.store.queries
        self.run = run
        self.submission = submission

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def database_url(self) -> str:
        """Where its rows are."""
        return self._client.settings.database_url

    def progress(self) -> Progress:
        """How far it is; cheap at any size."""
        return self._queries.progress(self.run.id)

    def rate(self) -> float:
        """Results a second over the last minute."""
        return self._queries.rate(self.run.id)

    def throughput(self, *, since: datetime) -> float:
        """Answered items a second between the first and the last of them after a moment; 0 where that is no time."""
        return self._queries.throughput(self.run.id, since=since)

    def wait(self, *, timeout_seconds: float | None = None, display: WaitDisplay | None = None) -> Progress:
        """Wait until every item has a result, with a progress bar on a terminal.

        Raises:
            TimeoutError: it took longer.
            RunStopped: the run was cancelled; one that is paused is waited for.
            WorkerDied: the worker this client started ended too early.
        """
        return wait_for(
            self.progress,
            name=self.name,
            check=self._keep_going,
            timeout_seconds=timeout_seconds,
            display=display,
        )

    def _keep_going(self) -> None:
        """What is done between two looks at the progress."""
        if self._client.fleet is not None:
            self._client.fleet.check()
        with suppress(Infrastructure):
            self._client.reconcile()

    def results(self, *, status: str | None = None, question: str | None = None) -> Iterator[PairRow]:
        """The items with their results, in the input's order.

        Args:
            status: only `ok`, `noncompliant`, `invalid`, `dead` or `pending`.
            question: only this topic, or questions that contain these words.

        Raises:
            SettingsError: there is no such status.
        """
        wanted = None if status is None else parse_status(status)
        return self._queries.pairs(self.run, status=wanted, question=question)

    def violations(self, *, kind: str | None = None, question: str | None = None) -> Iterator[ViolationRow]:
        """Every generation that broke the tag rule, the oldest first.

        Args:
            kind: only this `ViolationKind`.
            question: only this topic, or questions that contain these words.

        Raises:
            SettingsError: there is no such kind.
        """
        wanted = None if kind is None else parse_choice(kind, ViolationKind, name="violation kind")
        return self._queries.violations(self.run, kind=wanted, question=question)

    def violation_kinds(self) -> dict[str, int]:
        """How many of each kind, the most frequent first."""
        return self._queries.kinds(self.run.id)

    def export(
        self,
        path: str | Path,
        *,
        output_key: str = "output",
        only: str | None = None,
        file_format: str | None = None,
        with_meta: bool = False,
        chat: bool = False,
    ) -> int:
        """Write the records to a file or folder, in the input's order; returns how many rows.

        Args:
            path: `.json`, `.jsonl` or `.csv`, each also with `.gz` or `.zst`, `.parquet`, or a folder; what is there
                is replaced once all is written.
            output_key: the field that gets the answer; null where there is none.
            only: leave out items of any other status; of dialogues, by default all that are not `ok`.
            file_format: `json`, `jsonl`, `csv`, `parquet` or `hf`, a Hugging Face data set; by default the suffix says.
            with_meta: add a field `persqa`: question, verdict, rung, model, tokens and more.
            chat: one dialogue for each record, ready to train with, instead of the records.

        Raises:
            SettingsError: there is no such status.
            InputError: the format is unknown, the file cannot be written, or a record has such a field itself.
            BlobsUnavailable: the blob store does not answer.
        """
        target = Path(path)
        chosen = choose_format(target, file_format)
        shape = Shape(
            output_key=output_key,
            with_meta=with_meta,
            chat=chat,
            image_column=self.run.options.image_column,
            id_column=self.run.options.id_column,
        )
        rows = self.results(status=Status.OK if only is None and chat else only)
        pairs = self._with_broken(rows) if with_meta else (Pair(row=row) for row in rows)
        blobs = BlobStore(self._client.settings.blob_store)
        return write_records(shape.records(pairs), target, file_format=chosen, blobs=blobs)

    def _with_broken(self, rows: Iterator[PairRow]) -> Iterator[Pair]:
        while chunk := list(islice(rows, _LOOKED_UP)):
            broken = self._queries.broken([row.item_id for row in chunk])
            for row in chunk:
                yield Pair(row=row, broken=broken.get(row.item_id, ()))

    def requeue(self, status: str, *, recheck: bool = False) -> int:
        """Take back all results of one status and enqueue their items again; returns how many.

        Args:
            status: `noncompliant`, `invalid` or `dead`.
            recheck: try images again that are known to be broken.

        Raises:
            SettingsError: there is no such status, or it is `ok`.
            RunStopped: the run is cancelled. The items of one that is paused are enqueued when it is resumed.
        """
        wanted = parse_choice(status, _ASKED_AGAIN, name="status of items that are asked again")
        self.run = self._client.store.ledger.reread(self.run)
        if self.run.state is RunState.CANCELLED:
            refuse_stopped(self.run)
        self.run = self._client.store.ledger.set_recheck(self.run, recheck)
        reopened = self._client.store.ledger.reopen(self.run.id, wanted)
        if reopened and self.run.state is RunState.ACTIVE and self._client.known_broker_url() is not None:
            with suppress(RunStopped):
                self._client.enqueue(self.run)
        return reopened

    def pause(self) -> int:
        """Begin none of its items from now on; what has been begun is finished. Safe to repeat.

        Returns:
            How many messages were taken out of the queue. Where no broker is known they stay, and workers drop them.

        Raises:
            RunStopped: the run is cancelled.
            BrokerUnavailable: it is paused, and some messages are still in the queue.
        """
        return self._stop(RunState.PAUSED)

    def cancel(self) -> int:
        """The same for good: whoever waits for the run is told, and nobody expects it to go on. Safe to repeat.

        What has a result keeps it, and `resume` takes the run up again all the same.

        Raises:
            BrokerUnavailable: it is cancelled, and some messages are still in the queue.
        """
        return self._stop(RunState.CANCELLED)

    def _stop(self, state: RunState) -> int:
        self.run, withdrawn = stop(self._client.store, self.run, state, self._client.known_broker_url())
        return withdrawn

    def resume(self, *, on_full: Callable[[], None] = lambda: None) -> int:
        """Go on after `pause` or `cancel`. Safe to repeat, and to be repeated where it was interrupted.

        Args:
            on_full: called again and again while the queue is full.

        Returns:
            How many items were enqueued. Where no broker is known it is none: workers, and whoever waits for the run,
            find them within `PERSQA_RECONCILE_SECONDS`; otherwise the next `persqa run` of the same input.

        Raises:
            RunStopped: it was paused or cancelled again meanwhile.
            BrokerUnavailable: it goes on, and not all is enqueued; call again.
        """
        self.run = self._client.store.ledger.set_state(self.run, RunState.ACTIVE)
        return self._client.enqueue(self.run, on_full=on_full) if self._client.known_broker_url() is not None else 0

    def set_priority(self, priority: str) -> int:
        """Let its items go before those of other runs, or after them. Safe to repeat.

        Args:
            priority: `high`, `normal` or `low`.

        Returns:
            How many messages were moved to another queue. Those in workers' hands and, where no broker is known, all
            others keep the old priority.

        Raises:
            SettingsError: there is no such priority.
            BrokerUnavailable: the priority is set, and some messages are still in the old queue.
        """
        wanted, url = parse_priority(priority), self._client.known_broker_url()
        self.run, moved = set_priority(self._client.store, self.run, wanted, url)
        return moved

    def depth(self) -> Depth | None:
        """The queue this run's items wait in; None without a broker."""
        if (url := self._client.known_broker_url()) is None:
            return None
        with closing(Inspector(url)) as inspector:
            return inspector.depth(queue_for(self.run.options.model, self.run.priority))

    def audit(self) -> Audit:
        """Count everything row by row, and look for pending items in the queue where a broker is known."""
        if (url := self._client.known_broker_url()) is None:
            return audit(self._client.store, self.run, None)
        with closing(Inspector(url)) as inspector:
            return audit(self._client.store, self.run, inspector)
