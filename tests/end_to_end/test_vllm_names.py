"""The names inside of vLLM that `worker/engines/vllm_*.py` leans on; with another version these say which has moved."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

# Importing vLLM warns of things that are its own and not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

#: Importing this first sets vLLM's environment, as the worker does.
_FIRST = "worker.engines.vllm_arguments"
_OF_CLASSES = [
    "vllm:AsyncEngineArgs.create_model_config",
    "vllm:AsyncEngineArgs.get_batch_defaults",
    "vllm.exceptions:VLLMValidationError",
    "vllm.model_executor.models.idefics3:Idefics3ProcessingInfo.get_num_patches",
    "vllm.multimodal.cache:MultiModalProcessorOnlyCache",
    "vllm.multimodal.inputs:MultiModalKwargsItems.from_hf_inputs",
    "vllm.multimodal.inputs:PlaceholderRange",
    "vllm.multimodal.processing:BaseMultiModalProcessor._get_mm_fields_config",
    "vllm.multimodal.registry:MultiModalRegistry.get_processing_info",
    "vllm.renderers.base:BaseRenderer.render_cmpl_async",
    "vllm.sampling_params:SamplingParams.__struct_fields__",
    "vllm.v1.engine.async_llm:AsyncLLM.errored",
    "vllm.v1.engine.async_llm:AsyncLLM.from_engine_args",
    "vllm.v1.engine.core:EngineCore._initialize_kv_caches",
    "vllm.v1.engine.exceptions:EngineDeadError",
    "vllm.v1.engine.output_processor:OutputProcessor.process_outputs",
    "vllm.v1.metrics.loggers:StatLoggerBase.record",
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner.sample_tokens",
]
#: What instances get when they are made.
_OF_INSTANCES = [
    "vllm.renderers.base:BaseRenderer._mm_processor_cache or vllm.multimodal.processing:BaseMultiModalProcessor.cache",
    "vllm.renderers.base:BaseRenderer.mm_processor",
    "vllm.v1.engine.async_llm:AsyncLLM.engine_core",
    "vllm.v1.engine.async_llm:AsyncLLM.log_stats",
    "vllm.v1.engine.async_llm:AsyncLLM.model_config",
    "vllm.v1.engine.async_llm:AsyncLLM.output_processor",
    "vllm.v1.engine.async_llm:AsyncLLM.renderer",
    "vllm.v1.engine.core_client:MPClient.resources",
    "vllm.v1.engine.detokenizer:IncrementalDetokenizer.token_ids",
    "vllm.v1.engine.output_processor:OutputProcessor.request_states",
    "vllm.v1.engine.output_processor:RequestState.detokenizer",
    "vllm.v1.engine.output_processor:RequestState.is_prefilling",
    "vllm.v1.worker.gpu_input_batch:InputBatch.generators",
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner.discard_request_mask",
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner.input_batch",
]
_OF_MESSAGES = [
    "vllm.inputs:TokensPrompt.multi_modal_data",
    "vllm.inputs:TokensPrompt.multi_modal_uuids",
    "vllm.inputs:TokensPrompt.prompt_token_ids",
    "vllm.v1.metrics.stats:SchedulerStats.num_waiting_reqs",
]


def found(name: str) -> Any:
    import_module(_FIRST)
    module, _, path = name.partition(":")
    place: Any = import_module(module)
    for part in path.split("."):
        assert hasattr(place, part), f"{module} has no {path}"
        place = getattr(place, part)
    return place


@pytest.mark.parametrize("name", _OF_CLASSES)
def test_vllm_has(name: str) -> None:
    found(name)


@pytest.mark.parametrize("name", _OF_INSTANCES)
def test_instances_of_vllm_have(name: str) -> None:
    assert any(sets(*place.rsplit(".", 1)) for place in name.split(" or ")), f"nothing of {name} is there"


def sets(owner: str, attribute: str) -> bool:
    return any(f"self.{attribute}" in inspect.getsource(base) for base in inspect.getmro(found(owner))[:-1])


@pytest.mark.parametrize("name", _OF_MESSAGES)
def test_messages_of_vllm_have(name: str) -> None:
    owner, _, field = name.rpartition(".")
    assert field in inspect.get_annotations(found(owner)), f"{owner} has no {field}"
