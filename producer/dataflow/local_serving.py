"""LocalModelVLMServing_vllm: the model in this process."""

from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING

from persqa.settings import load_settings
from producer.dataflow.model_folders import context_of, downloaded
from producer.dataflow.sampling import vllm_sampling
from producer.dataflow.servings import PersQAServing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persqa.runs import RunOptions
    from persqa.settings import Settings
    from producer.dataflow.asks import Answer, Ask
    from producer.dataflow.in_process import InProcessWorker


class LocalModelVLMServing_vllm(PersQAServing):  # noqa: N801 - the original's name
    """A vision-language model that vLLM serves in this process; loaded by the constructor, let go by `cleanup`.

    vLLM is imported when the model is loaded, not before. The environment is left as it is: what vLLM reads there
    gets a default where nothing is set.
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
            vllm_temperature: of the sampling, as the next four.
            vllm_top_p: see vLLM.
            vllm_max_tokens: in one answer.
            vllm_top_k: see vLLM; 0 or -1 for no limit.
            vllm_repetition_penalty: see vLLM.
            vllm_seed: each request has its own seed, which follows from this one and the record's place.
            vllm_max_model_len: tokens of prompt and answer together; less where the model takes less.
            vllm_gpu_memory_utilization: share of the GPU's memory.
            settings: limits for images, and more engine arguments; read from the environment where not given.

        Raises:
            ValueError: no model is named.
            SettingsError: the model or its arguments cannot be used.
        """
        if hf_model_name_or_path is None:
            raise ValueError("hf_model_name_or_path is required: a Hugging Face name, a folder, or demo")
        chosen = settings or load_settings()
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
        model = hf_model_name_or_path if hf_local_dir is None else downloaded(hf_model_name_or_path, hf_local_dir)
        arguments = {
            "tensor_parallel_size": vllm_tensor_parallel_size,
            "max_model_len": min(vllm_max_model_len, context_of(model) or vllm_max_model_len),
            "gpu_memory_utilization": vllm_gpu_memory_utilization,
            **({} if hf_cache_dir is None else {"download_dir": hf_cache_dir}),
            **chosen.engine_args,
        }
        self.settings = chosen.model_copy(update={"model": model, "engine_args": arguments})
        self._worker: InProcessWorker | None = None
        self._ends = None
        self.start_serving()

    @property
    def identity(self) -> str:
        """Model and sampling."""
        return f"{self.settings.model} {self.sampling.model_dump_json()}"

    def start_serving(self) -> None:
        """Load the model, unless it is loaded.

        Raises:
            SettingsError: the model or its arguments cannot be used.
        """
        if self._worker is None:
            from producer.dataflow.in_process import InProcessWorker

            self._worker = InProcessWorker(self.settings)
            # Also for programs that end without a word. At exit, multiprocessing waits for the engine's processes; what
            # is registered after it was loaded comes before it.
            self._ends = weakref.finalize(self, self._worker.close)
            atexit.register(self._ends)

    def cleanup(self) -> None:
        """Let go of the model and its memory; asked again, it is loaded again."""
        self._worker = None
        if self._ends is not None:
            self._ends()

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> Iterator[tuple[int, Answer]]:
        """Answer in this process, some at a time, as they come."""
        self.start_serving()
        if self._worker is not None:
            yield from self._worker.answer(asks, options.model_copy(update={"sampling": self.sampling}))
