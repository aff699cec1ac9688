"""QueueVLMServing: the fleet in the place of a model on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.settings import load_settings
from producer.dataflow.run_serving import RunServing

if TYPE_CHECKING:
    from typing import Unpack

    from persqa.settings import Settings
    from producer.dataflow.servings import VllmParameters
    from producer.progress import WaitDisplay


class QueueVLMServing(RunServing):
    """Is answered by as many workers as there are; `persqa requeue` asks again what has failed."""

    def __init__(  # noqa: PLR0913 - the place of what is answered, and how its run is waited for
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
        """Open the database.

        Args:
            broker_url: Redis or Valkey; where neither this nor PERSQA_BROKER_URL names one, a broker and a worker are
                started on this machine, and stopped by `cleanup`.
            database_url: the SQL database.
            hf_model_name_or_path: only workers that serve it answer; by default all do.
            run: the run's name; by default it follows from the content. With a name, only one data set can be asked.
            timeout_seconds: for one call; what is answered until then is kept, and the next call goes on.
            display: shows how far it is; by default a bar on standard error.
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
