"""Client: the door for Python programs, and what the command line is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from persqa.broker.depth import Backlog
from persqa.broker.keys import queues_for
from persqa.errors import SettingsError
from persqa.settings import Settings, load_settings
from persqa.store import Store
from producer.connections import Connections
from producer.run_handle import RunHandle
from producer.submit import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Unpack

    from persqa.runs import Run
    from producer.local_fleet import LocalFleet
    from producer.options import GivenSettings, GivenSubmitOptions


class Client:
    """One database and one broker.

    Without a broker URL it brings its own broker and worker on this machine, started by the first submit that has
    something to enqueue and stopped by `close`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        local_worker: bool | None = None,
        **single: Unpack[GivenSettings],
    ) -> None:
        """Open the database.

        Args:
            settings: all settings; read from the environment where not given.
            local_worker: whether to bring a worker; by default only where no broker is named.
            single: settings by name, such as `broker_url`; the others are read from the environment.

        Raises:
            SettingsError: a setting is wrong, or there is none of that name.
            StoreUnavailable: the database does not answer.
        """
        if settings is not None and single:
            raise SettingsError(f"either all settings or single ones, not both: {', '.join(single)}")
        chosen = settings or load_settings(**single)
        local = chosen.broker_url is None if local_worker is None else local_worker
        self._connections = Connections(chosen, local_worker=local)

    def __enter__(self) -> Self:
        """Nothing more to do; `close` is called at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop what this client started, and close the database."""
        self._connections.close()

    @property
    def settings(self) -> Settings:
        """All settings, as they were when it was made."""
        return self._connections.settings

    @property
    def store(self) -> Store:
        """The database."""
        return self._connections.store

    @property
    def fleet(self) -> LocalFleet | None:
        """The broker and worker this client brought, if it did."""
        return self._connections.fleet

    def wait_ready(self) -> None:
        """Start the worker that this client brings, if it does, and wait until its engine is loaded.

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
        """Submit a data set; safe to repeat, since only what has no result is enqueued.

        Args:
            data: a file of records or a pattern for several, a folder, `hf://org/name`, `-` for standard input, or the
                records themselves; docs/data.md lists what can be read.
            on_full: called again and again while the queue is full.
            given: the options by name: see `GivenSubmitOptions` and, for those of the run, `RunOptions`.

        Raises:
            InputError: the input cannot be read; nothing was written.
            SettingsError: an option is wrong, or there is none of that name; nothing was written.
            RunConflict: the run exists with other data or options; nothing was written.
            RunStopped: the run is cancelled, and nothing was enqueued; or it is paused, or was stopped meanwhile: the
                ledger is written, and `resume` enqueues what is not.
            BlobsUnavailable: image bytes could not be stored; nothing was enqueued, submit again.
            BrokerUnavailable: the ledger is written, not all is enqueued; submit again.
        """
        run, submission = submit(self._connections, data, on_full=on_full, **given)
        return RunHandle(self._connections, run, submission)

    def run(self, name: str) -> RunHandle:
        """A run that was submitted before.

        Raises:
            RunNotFound: there is none of this name.
        """
        return RunHandle(self._connections, self.store.runs.find(name))

    def runs(self) -> list[RunHandle]:
        """All runs, the newest first."""
        return [RunHandle(self._connections, run) for run in self.store.runs.all()]

    def backlog(self, runs: Iterable[Run]) -> Backlog | None:
        """What waits in the queues of these runs, and of those without a model; None without a broker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        queues = queues_for(None, *(run.options.model for run in runs))
        with self._connections.inspector() as inspector:
            return inspector.backlog(queues) if inspector else None
