"""LocalModelVLMServing_vllm: a fleet of one worker on this machine, for the program that makes it."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from persqa.errors import NoDatabase, PersqaError, RunNotFound, WorkerDied
from persqa.models import DEMO_MODEL
from persqa.results import Status
from persqa.settings import load_settings
from persqa.urls import without_password
from producer.client import Client
from producer.dataflow.queue_serving import RunServing

if TYPE_CHECKING:
    from collections.abc import Generator

    from persqa.settings import Settings

logger = logging.getLogger(__name__)

#: Holds the database, the worker's log and image bytes, in the working directory.
FOLDER = "persqa-serving"


class LocalModelVLMServing_vllm(RunServing):  # noqa: N801 - the original's name
    """A vision-language model that vLLM serves on this machine; the constructor loads it, `cleanup` ends it.

    A worker process holds the model, so nothing in the program's own process is touched. The folder `persqa-serving`
    keeps the answers: a program that starts again asks only what has no answer yet.
    """

    def __init__(  # noqa: PLR0913 - the original's parameters
        self,
        hf_model_name_or_path: str | None = None,
        hf_cache_dir: str | None = None,
        hf_local_dir: str | None = None,
        vllm_tensor_parallel_size: int = 1,
        vllm_temperature: float = 0.7,
        vllm_top_p: float = 0.9,
        vllm_max_tokens: int = 1024,
        vllm_top_k: int = 40,
        vllm_repetition_penalty: float = 1.0,
        vllm_seed: int = 42,
        vllm_max_model_len: int = 4096,
        vllm_gpu_memory_utilization: float = 0.9,
        *,
        settings: Settings | None = None,
    ) -> None:
        """Load the model.

        Args:
            hf_model_name_or_path: a Hugging Face name or a folder, or `demo`, the small model that ships with PersQA.
            hf_cache_dir: where downloaded models are kept.
            hf_local_dir: the folder the model is downloaded to.
            vllm_tensor_parallel_size: GPUs the model is spread over.
            vllm_temperature: of the sampling, like the next four; see vLLM.
            vllm_top_p: see vLLM.
            vllm_max_tokens: in one answer.
            vllm_top_k: see vLLM; 0 or -1 for no limit.
            vllm_repetition_penalty: see vLLM.
            vllm_seed: the seed of each request follows from it and the record's place.
            vllm_max_model_len: tokens of prompt and answer together; less where the model takes less.
            vllm_gpu_memory_utilization: share of the GPU's memory.
            settings: limits, more engine arguments, another database; by default read from the environment.

        Raises:
            ValueError: no model is named.
            SettingsError: the model or its arguments cannot be used.
        """
        if hf_model_name_or_path is None:
            raise ValueError("hf_model_name_or_path is required: a Hugging Face name, a folder, or demo")
        given = settings or load_settings()
        model = hf_model_name_or_path if hf_local_dir is None else _downloaded(hf_model_name_or_path, hf_local_dir)
        context = min(vllm_max_model_len, _context_of(model) or vllm_max_model_len)
        self._engine = [given.engine, given.engine_args, context, given.model_pixels]
        arguments = {
            "tensor_parallel_size": vllm_tensor_parallel_size,
            "max_model_len": context,
            "gpu_memory_utilization": vllm_gpu_memory_utilization,
            **({} if hf_cache_dir is None else {"download_dir": hf_cache_dir}),
            **given.engine_args,
        }
        super().__init__(
            _settings_here(given, {"model": model, "engine_args": arguments}),
            vllm_temperature=vllm_temperature,
            vllm_top_p=vllm_top_p,
            vllm_max_tokens=vllm_max_tokens,
            vllm_top_k=vllm_top_k,
            vllm_repetition_penalty=vllm_repetition_penalty,
            vllm_seed=vllm_seed,
        )

    def _open(self) -> Client:
        where = without_password(self.settings.database_url).removeprefix("sqlite:///").removesuffix("/persqa.db")
        # A warning, for Python shows nothing less by default, and files appear in the caller's folder.
        logger.warning("loading %s; its answers and its log are kept in %s", self.settings.model, where)
        # Another training under the same name is another model.
        self._decisive = [*self._engine, _files_of(Path(self.settings.model or ""))]
        client = Client(self.settings, local_worker=True)
        try:
            client.wait_ready()
        except BaseException:
            client.close()
            raise
        return client

    @contextmanager
    def _asking(self, client: Client, name: str) -> Generator[None]:
        with suppress(NoDatabase, RunNotFound):
            # Failed items are asked again, and a run that was broken off goes on.
            run = client.run(name)
            for status in (Status.INVALID, Status.DEAD):
                run.requeue(status)
            run.resume()
        try:
            yield
        except BaseException as error:
            # Nobody waits for the run any more, and its items must not delay the next call.
            with suppress(PersqaError):
                client.run(name).pause()
            if isinstance(error, WorkerDied):
                self.cleanup()
            raise


def _settings_here(given: Settings, update: dict[str, object]) -> Settings:
    """Settings with an own broker, and with database and image bytes in one folder unless they are given."""
    folder = Path(FOLDER).absolute()
    places = {"database_url": f"sqlite:///{folder}/persqa.db", "blob_store": str(folder / "blobs")}
    chosen = {name: place for name, place in places.items() if name not in given.model_fields_set}
    if "database_url" in chosen:
        folder.mkdir(exist_ok=True)
    return given.model_copy(update={"broker_url": None, **chosen, **update})


def _downloaded(name: str, folder: str) -> str:
    """The folder with a model of the hub, downloaded where it is no folder already."""
    if Path(name).exists():
        return name
    from huggingface_hub import snapshot_download

    return snapshot_download(name, local_dir=folder)


def _context_of(model: str) -> int | None:
    """The context length of a model in a folder, in tokens; None where it is unknown."""
    folder = resources.files("worker.engines") / "demo_model" if model == DEMO_MODEL else Path(model)
    try:
        config = cast("dict[str, Any]", json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError):
        return None
    found = config.get("text_config", config).get("max_position_embeddings")
    return found if isinstance(found, int) else None


def _files_of(model: Path) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time in nanoseconds of each file of a model in a folder; empty for other models."""
    found = [path for path in sorted(model.iterdir()) if path.is_file()] if model.is_dir() else []
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found]
