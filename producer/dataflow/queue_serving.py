"""QueueVLMServing: the fleet in the place of a model in this process."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.settings import load_settings
from persqa.urls import without_password
from producer.client import Client
from producer.dataflow.asks import Answer, Ask, answer_of
from producer.dataflow.sampling import vllm_sampling
from producer.dataflow.servings import PersQAServing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persqa.pairs import PairRow
    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from producer.progress import WaitDisplay


class QueueVLMServing(PersQAServing):
    """Submits what it is asked as a run, waits for the fleet, and reads the answers from the database.

    The run is named by its content. So a pipeline that is started again, after whatever stopped it, finds its run,
    and nothing is asked again that has an answer. Everything that holds for runs holds: `persqa status --watch` shows
    it, `persqa results` and `persqa export` know it, `persqa requeue` asks again what has failed.
    """

    keeps_answers = True

    def __init__(  # noqa: PLR0913 - those of the serving whose place it takes, by the same names
        self,
        broker_url: str | None = None,
        database_url: str | None = None,
        hf_model_name_or_path: str | None = None,
        vllm_temperature: float = 0.7,
        vllm_top_p: float = 0.9,
        vllm_max_tokens: int = 1024,
        vllm_top_k: int = 40,
        vllm_repetition_penalty: float = 1.0,
        vllm_seed: int = 42,
        *,
        run: str | None = None,
        timeout_seconds: float | None = None,
        display: WaitDisplay | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Open the database.

        Args:
            broker_url: Redis or Valkey; where neither this nor PERSQA_BROKER_URL names one, a broker and a worker are
                started on this machine, and stopped by `cleanup`.
            database_url: the SQL database.
            hf_model_name_or_path: only workers that serve it answer; by default all do.
            vllm_temperature: of the sampling, as the next four.
            vllm_top_p: see vLLM.
            vllm_max_tokens: in one answer.
            vllm_top_k: see vLLM; 0 or -1 for no limit.
            vllm_repetition_penalty: see vLLM.
            vllm_seed: decides the sampling, and the questions where the operator is not given a seed of its own.
            run: the run's name; by default it follows from the content. With a name, only one data set can be asked.
            timeout_seconds: for one call; what is answered until then is kept, and the next call goes on.
            display: shows how far it is; by default a bar on standard error.
            settings: all other settings; read from the environment where not given.

        Raises:
            SettingsError: a setting or parameter is wrong.
            StoreUnavailable: the database does not answer.
        """
        given = {"broker_url": broker_url, "database_url": database_url, "model": hf_model_name_or_path}
        chosen = (
            settings.model_copy(update={k: v for k, v in given.items() if v}) if settings else load_settings(**given)
        )
        super().__init__(
            sampling=vllm_sampling(
                temperature=vllm_temperature,
                top_p=vllm_top_p,
                top_k=vllm_top_k,
                max_tokens=vllm_max_tokens,
                repetition_penalty=vllm_repetition_penalty,
            ),
            seed=vllm_seed,
            settings=chosen,
        )
        self.settings = chosen
        self._run = run
        self._timeout_seconds = timeout_seconds
        self._display = display
        self._client: Client | None = None
        self.start_serving()

    @property
    def identity(self) -> str:
        """The database; which model answered is known there."""
        return without_password(self.settings.database_url)

    def start_serving(self) -> None:
        """Open the database, unless it is open.

        Raises:
            StoreUnavailable: it does not answer.
        """
        if self._client is None:
            self._client = Client(self.settings)

    def cleanup(self) -> None:
        """Close the database, and stop what was started here; asked again, it opens it again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> Iterator[tuple[int, Answer]]:
        """Submit, wait, and hand out all answers in their order; what was answered before costs nothing.

        Raises:
            RunConflict: the run's name was given, and stands for other data.
            RunStopped: the run is paused or cancelled, or was cancelled while it was waited for.
            TimeoutError: it took longer than it may.
            BrokerUnavailable: Redis does not answer; the same call again goes on.
        """
        self.start_serving()
        if self._client is None:
            return
        chosen = options.model_copy(update={"sampling": self.sampling, "model": self.settings.model})
        handle = self._client.submit(
            (json.loads(ask.record) for ask in asks),
            run=self._run or _run_name(asks, chosen),
            **{name: getattr(chosen, name) for name in type(chosen).model_fields},
        )
        handle.wait(timeout_seconds=self._timeout_seconds, display=self._display)
        for ask, row in zip(asks, handle.results(), strict=True):
            yield ask.position, _answer(ask, row)


def _run_name(asks: Sequence[Ask], options: RunOptions) -> str:
    """The same for the same records and options, wherever and whenever they are asked."""
    digest = hashlib.blake2b(options.model_dump_json().encode(), digest_size=10)
    for ask in asks:
        digest.update(b"\n" + ask.record.encode())
    return f"dataflow-{digest.hexdigest()}"


def _answer(ask: Ask, row: PairRow) -> Answer:
    if row.question and row.question != ask.question:
        raise InputError(f"the fleet was asked {row.question!r} where the operator asks {ask.question!r}")
    return answer_of(row)
