"""RunServing: what our two servings have in common; the ledger remembers what was answered."""

from __future__ import annotations

import hashlib
import json
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.questions import load_pool
from producer.client import Client
from producer.dataflow.asks import Answer, Ask
from producer.dataflow.servings import PersQAServing, VllmParameters, vllm_sampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Unpack

    from persqa.pairs import PairRow
    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from producer.progress import WaitDisplay


class RunServing(PersQAServing):
    """Submits what it is asked as a run, waits for it, and reads the answers from the database.

    The run is named by all that decides its answers. So a program that is started again, after whatever stopped it,
    finds its run, and nothing is asked again that has an answer. Everything that holds for runs holds: `persqa status
    --watch` shows it, `persqa results` and `persqa export` know it.
    """

    #: What decides its answers beside the records and the options of their run.
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
        self._end = None
        self.start_serving()

    def start_serving(self) -> None:
        """Make ready to answer, unless it is; raises what the constructor does."""
        self._started()

    def cleanup(self) -> None:
        """Close the database, and stop what was started here; asked again, it starts again."""
        self._client = None
        if self._end is not None:
            self._end()

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> list[Answer]:
        """Submit, wait, and give the answers; what was answered before costs nothing.

        Raises:
            RunConflict: the run's name was given, and stands for other data.
            RunStopped: the run is paused or cancelled, or was cancelled while it was waited for.
            TimeoutError: it took longer than it may.
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
        return Client(self.settings)

    def _started(self) -> Client:
        if self._client is None:
            self._client = client = self._open()
            # Also for programs that end without a word.
            self._end = weakref.finalize(self, client.close)
        return self._client

    def _asking(self, client: Client, name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - for those who do more
        """What else is to be done about the run of this name, before it is asked and should it be broken off."""
        return nullcontext()

    def _name(self, asks: Sequence[Ask], options: RunOptions) -> str:
        """The same for the same records, options and engine in the same folder, whenever they are asked."""
        digest = hashlib.blake2b(digest_size=10)
        # Relative images are others in another folder, and a file of questions can change under its name.
        decisive = [options.model_dump_json(), load_pool(options.pool).digest, str(Path.cwd()), *self._decisive]
        for part in [json.dumps(decisive), *(ask.record for ask in asks)]:
            digest.update(part.encode() + b"\n")
        return f"dataflow-{digest.hexdigest()}"


def _answer(ask: Ask, row: PairRow) -> Answer:
    if row.question and row.question != ask.question:
        raise InputError(f"the fleet was asked {row.question!r} where the operator asks {ask.question!r}")
    reason = ": ".join(str(part) for part in (row.reason, row.detail) if part)
    return Answer(text=row.answer, reason=reason or None)
