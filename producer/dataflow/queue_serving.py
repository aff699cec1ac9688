"""QueueVLMServing: a fleet answers instead of a model on this machine, and the ledger keeps every answer."""

from __future__ import annotations

import hashlib
import json
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.questions import load_pool
from persqa.reasons import Reason
from persqa.settings import load_settings
from persqa.store.text import storable
from producer.client import Client
from producer.dataflow.asks import Answer, Ask
from producer.dataflow.servings import PersQAServing, VllmParameters, vllm_sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Unpack

    from persqa.pairs import PairRow
    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from producer.progress import WaitDisplay


class RunServing(PersQAServing):
    """Submits its records as a run, waits for the run, and reads the answers from the database.

    The run's name follows from everything that decides its answers. So a program that starts again finds its run, and
    asks only what has no answer. All commands know the run: `persqa status --watch`, `results`, `export`.
    """

    #: What decides the answers besides the records and the options of their run.
    _decisive: Sequence[object] = ()

    def __init__(
        self,
        settings: Settings,
        *,
        run: str | None = None,
        timeout_seconds: float | None = None,
        display: WaitDisplay | None = None,
        **vllm: Unpack[VllmParameters],
    ) -> None:
        """Make ready to answer; `QueueVLMServing` says what the options are."""
        super().__init__(seed=vllm.pop("vllm_seed", 42), sampling=vllm_sampling(vllm), settings=settings)
        self._run = run
        self._timeout_seconds = timeout_seconds
        self._display = display
        self._client: Client | None = None
        self._end: Callable[[], object] | None = None
        self.start_serving()

    def start_serving(self) -> None:
        """Make ready to answer, unless it is ready; raises what the constructor raises."""
        self._started()

    def cleanup(self) -> None:
        """Close the database, and stop what was started here; the next question starts it again."""
        self._client = None
        if self._end is not None:
            self._end()

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> list[Answer]:
        """Submit, wait, and return the answers; what was answered before is not asked again.

        Raises:
            RunConflict: the name was given by the caller, and is that of a run with other data, or in another folder.
            RunStopped: the run is paused or cancelled, or was cancelled during the wait.
            TimeoutError: the answers took longer than `timeout_seconds`.
            Infrastructure: the broker, the database or the worker is gone; the same call again goes on.
        """
        client = self._started()
        chosen = options.model_copy(update={"sampling": self.sampling, "model": self.settings.model})
        name = self._run or self._name(asks, chosen)
        with self._asking(client, name):
            handle = client.submit(
                (json.loads(ask.record) for ask in asks),
                run=name,
                **{option: getattr(chosen, option) for option in type(chosen).model_fields},
            )
            handle.wait(timeout_seconds=self._timeout_seconds, display=self._display)
        return [_answer(ask, row) for ask, row in zip(asks, handle.results(), strict=True)]

    def _open(self) -> Client:
        client = Client(self.settings)
        try:
            # Sooner than the first question, for whoever made a mistake.
            client.store.prepare()
        except BaseException:
            client.close()
            raise
        return client

    def _started(self) -> Client:
        if self._client is None:
            self._client = client = self._open()
            # A program may end without `cleanup`.
            self._end = weakref.finalize(self, client.close)
        return self._client

    def _asking(self, client: Client, name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - for subclasses
        """Holds while the run of this name is asked; subclasses prepare it, and clean up when it is broken off."""
        return nullcontext()

    def _name(self, asks: Sequence[Ask], options: RunOptions) -> str:
        """The same records, options, engine and working directory always give the same name."""
        digest = hashlib.blake2b(digest_size=10)
        # Relative paths name other images in another folder, and a file of questions can change under its name.
        decisive = [options.model_dump_json(), load_pool(options.pool).digest, str(Path.cwd()), *self._decisive]
        for part in [json.dumps(decisive), *(ask.record for ask in asks)]:
            digest.update(part.encode() + b"\n")
        return f"dataflow-{digest.hexdigest()}"


class QueueVLMServing(RunServing):
    """All workers of the fleet answer; `persqa requeue` asks again what has failed."""

    def __init__(  # noqa: PLR0913 - where the fleet is, and how to wait for it
        self,
        broker_url: str | None = None,
        database_url: str | None = None,
        hf_model_name_or_path: str | None = None,
        *,
        run: str | None = None,
        timeout_seconds: float | None = None,
        display: WaitDisplay | None = None,
        settings: Settings | None = None,
        **vllm: Unpack[VllmParameters],
    ) -> None:
        """Make sure that runs can be written to the database.

        Args:
            broker_url: Redis or Valkey. Without it and without PERSQA_BROKER_URL, a broker and a worker start on this
                machine; `cleanup` stops them.
            database_url: the SQL database.
            hf_model_name_or_path: only workers with this model answer; by default all do.
            run: the run's name; by default it follows from the records. A named run takes only one data set.
            timeout_seconds: limit of one call; answers are kept, and the next call goes on.
            display: shows the progress; by default a bar on standard error.
            settings: all other settings; read from the environment where not given.
            vllm: the sampling and its seed; see `LocalModelVLMServing_vllm`.

        Raises:
            SettingsError: a setting or parameter is wrong.
            StoreUnavailable: the database does not answer.
        """
        given = {"broker_url": broker_url, "database_url": database_url, "model": hf_model_name_or_path}
        named = {name: value for name, value in given.items() if value}
        chosen = settings.model_copy(update=named) if settings else load_settings(**named)
        super().__init__(chosen, run=run, timeout_seconds=timeout_seconds, display=display, **vllm)


def _answer(ask: Ask, row: PairRow) -> Answer:
    if row.question and row.question != storable(ask.question):
        said = f"the fleet was asked {row.question!r} where the operator asks {ask.question!r}"
        return Answer(text=None, reason=f"{Reason.INTERNAL_ERROR}: {said}")
    reason = ": ".join(str(part) for part in (row.reason, row.detail) if part)
    return Answer(text=row.answer, reason=reason or None)
