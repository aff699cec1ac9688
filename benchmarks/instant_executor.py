"""InstantExecutor: in vLLM's own engine process, with its scheduler and messages, in the place of a model.

Nothing is loaded, and no picture is looked at. Each request gets words from a table, as many as it asks for.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from tokenizers import Tokenizer
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.outputs import ModelRunnerOutput

from benchmarks.instant_answers import ANSWER
from tests.support.wait import spend

if TYPE_CHECKING:
    from collections.abc import Callable

#: Memory for keys and values that it claims to have, in bytes; each block costs the engine's process a Python object.
_CACHE_BYTES = 512 * 2**20


class InstantExecutor(Executor):
    """Says the same to everybody; one token of each running request takes `step_seconds` of `additional_config`."""

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        """As the executors for GPUs do."""
        return True

    def _init_executor(self) -> None:
        folder = Path(self.model_config.model)
        self._step_seconds = cast("dict[str, float]", self.vllm_config.additional_config)["step_seconds"]
        ends = json.loads((folder / "config.json").read_text())["eos_token_id"]
        self._end: int = ends[0] if isinstance(ends, list) else ends
        words: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._words: list[int] = words.encode(ANSWER, add_special_tokens=False).ids
        #: What is left to say, and how many tokens of the prompt have to be read before, by request.
        self._left: dict[str, list[int]] = {}
        self._prompts: dict[str, int] = {}
        self._next: ModelRunnerOutput | None = None

    def collective_rpc(  # pyrefly: ignore[bad-override] - without the overloads
        self,
        method: str | Callable[..., Any],
        timeout: float | None = None,  # noqa: ARG002
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        non_block: bool = False,
    ) -> Any:
        """What a worker of vLLM's would say that has no device."""
        answer: Callable[..., Any] | None = None if callable(method) else getattr(self, f"_{method}", None)
        value = {} if callable(method) else answer(*args, **(kwargs or {})) if answer else None
        return _ready([value]) if non_block else [value]

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        """Take a step; what it gives comes with `sample_tokens`."""
        for request in scheduler_output.finished_req_ids:
            self._prompts.pop(request, None)
            self._left.pop(request, None)
        read = dict(
            zip(
                scheduler_output.scheduled_cached_reqs.req_ids,
                scheduler_output.scheduled_cached_reqs.num_computed_tokens,
                strict=True,
            )
        )
        for new in scheduler_output.scheduled_new_reqs:
            self._prompts[new.req_id] = len(new.prompt_token_ids)
            said = islice(cycle(self._words), new.sampling_params.max_tokens - 2)
            self._left[new.req_id] = [*said, self._end][::-1]
            read[new.req_id] = new.num_computed_tokens
        steps = cast("dict[str, int]", scheduler_output.num_scheduled_tokens)
        tokens = [
            self._token(request) if read[request] + count >= self._prompts[request] else []
            for request, count in steps.items()
        ]
        if steps and self._step_seconds:
            spend(self._step_seconds)
        self._next = ModelRunnerOutput(
            req_ids=list(steps),
            req_id_to_index={request: index for index, request in enumerate(steps)},
            sampled_token_ids=tokens,
        )
        output = None if steps else self._next
        return _ready(output) if non_block else output

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:  # noqa: ARG002
        """What the last step gave."""
        output, self._next = self._next, None
        return _ready(output) if non_block else output

    def check_health(self) -> None:
        """It is well."""

    def shutdown(self) -> None:
        """Nothing to free."""

    def _token(self, request: str) -> list[int]:
        left = self._left[request]
        # With asynchronous scheduling a step may come too many.
        return [left.pop() if left else self._end]

    def _get_kv_cache_spec(self) -> dict[str, FullAttentionSpec]:
        return {
            "layer": FullAttentionSpec(
                block_size=self.cache_config.block_size,
                num_kv_heads=self.model_config.get_num_kv_heads(self.parallel_config),
                head_size=self.model_config.get_head_size(),
                dtype=torch.bfloat16,
            )
        }

    def _get_supported_kv_cache_layouts(self) -> list[str]:
        from vllm.v1.kv_cache_layout import KVCacheLayout

        return [layout.name for layout in KVCacheLayout]

    def _determine_available_memory(self) -> int:
        return _CACHE_BYTES

    def _get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    def _compile_or_warm_up_model(self) -> Any:
        from vllm.v1.worker.worker_base import CompilationTimes

        return CompilationTimes(language_model=0.0, encoder=0.0)


def _ready(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future
