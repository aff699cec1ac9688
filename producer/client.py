"""Client: the interface for Python programs; the command line uses it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from persqa.broker.keys import queues_for
from persqa.errors import RunConflict, SettingsError
from persqa.settings import Settings, load_settings
from producer.connections import Connections
from producer.run_handle import RunHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Unpack

    from persqa.broker.depth import Backlog
    from persqa.runs import Run
    from producer.adding import Adder
    from producer.local_fleet import LocalFleet
    from producer.open_run import OpenRun
    from producer.options import GivenOpenOptions, GivenSettings, GivenSubmitOptions
    from producer.pilot import Pilot, PilotListener


class Client:
    """One database and one broker.

    A client that only looks makes no database and changes none; the first submit does.

    Without a broker URL it has its own broker and worker on this machine. The first submit that has something to
    enqueue starts them, and `close` stops them.
    """

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
        if settings is not None and single:
            raise SettingsError(f"either all settings or single ones, not both: {', '.join(single)}")
        chosen = settings or load_settings(**single)
        local = chosen.broker_url is None if local_worker is None else local_worker
        self._connections = Connections(chosen, local_worker=local)
        #: All settings, as given to the client.
        self.settings: Settings = chosen
        #: The database.
        self.store = self._connections.store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what this client started, and close the database."""
        self._connections.close()

    @property
    def fleet(self) -> LocalFleet | None:
        """The broker and worker that this client started, if any."""
        return self._connections.fleet

    def wait_ready(self) -> None:
        """Start the worker on this machine, if there is to be one, and wait until its engine is loaded.

        Raises:
            SettingsError: the engine cannot be started; the message is its own sentence.
            WorkerDied: the worker cannot be started for another reason.
            BrokerUnavailable: the broker does not start.
        """
        self._connections.need_broker()
        if self.fleet is not None:
            self.fleet.wait_ready()

    def submit(
        self,
        data: str | Path | Iterable[Mapping[str, object]],
        *,
        on_full: Callable[[], None] = lambda: None,
        **given: Unpack[GivenSubmitOptions],
    ) -> RunHandle:
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
        # Imported here, as most programs only look: the readers of all formats come with it.
        from producer.submit import submit

        run, submission = submit(self._connections, data, on_full=on_full, **given)
        return RunHandle(self._connections, run, submission)

    def open_run(self, name: str, **given: Unpack[GivenOpenOptions]) -> OpenRun:
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
        from producer.open_run import open_run

        return open_run(self._connections, name, **given)

    def adder(self, run: Run) -> Adder:
        """What adds raw records to an open run; relative paths start where the run's do.

        Raises:
            RunConflict: it is a data set, or asks other questions than its pool has by now.
        """
        from producer.adding import Adder

        if not run.grows:
            raise RunConflict(f"the run {run.name!r} is a data set, to which nothing is added: choose another name")
        return Adder(self._connections, run, base=run.base)

    def pilot(
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
        from producer.pilot import PilotRunner

        runner = PilotRunner(self._connections, data, listener=listener)
        return runner.ask(vary=vary or {}, price_per_hour=price_per_hour, given=given)

    def run(self, name: str) -> RunHandle:
        """The run of this name.

        Raises:
            RunNotFound: there is no such run.
        """
        return RunHandle(self._connections, self.store.runs.find(name))

    def runs(self) -> list[RunHandle]:
        """All runs, the newest first."""
        return [RunHandle(self._connections, run) for run in self.store.runs.all()]

    def backlog(self, runs: Iterable[Run]) -> Backlog | None:
        """The messages in the queues of these runs, and in those for any model; None without a broker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        queues = queues_for(None, *(run.options.model for run in runs))
        with self._connections.inspector() as inspector:
            return inspector.backlog(queues) if inspector else None
