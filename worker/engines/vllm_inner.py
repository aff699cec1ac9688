"""All that leans on names inside of vLLM, which another version may move.

Where one of them is only of use, and not needed, nothing happens without it.
"""

# vLLM ships inline types with holes in them.
# pyrefly: ignore-errors[unknown-attribute-access, unknown-variable-type]

from __future__ import annotations

import sys
from functools import cache, partial, wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import zmq
from vllm import __version_tuple__
from vllm.inputs import TokensPrompt
from vllm.multimodal.cache import MultiModalProcessorOnlyCache
from vllm.multimodal.inputs import MultiModalKwargsItems, PlaceholderRange
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

from persqa.errors import SettingsError
from worker.engines.vllm_patches import PatchMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image
    from vllm import RequestOutput, SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

    from persqa.images import Resolution

#: Scaled and normalized images kept for the next questions about them, in GiB.
_PROCESSED_IMAGES_GB = 0.5
#: So much of the prompt says how the text of an answer begins, after a blank or without.
_CONTEXT_TOKENS = 64


def hear_outputs(engine: AsyncLLM, note: Callable[[], None]) -> None:
    """Have `note` called whenever the engine process sends tokens of any request.

    Tokens in the middle of an answer are only gathered: that is all vLLM would do with them where nobody wants text,
    log probabilities or statistics, but it takes long to find that out, once a token.
    """
    processor = engine.output_processor
    process_outputs, only_gathers = processor.process_outputs, not engine.log_stats

    @wraps(process_outputs)
    def process(engine_core_outputs: list[Any], *arguments: Any, **options: Any) -> Any:
        note()
        outputs, states = engine_core_outputs, processor.request_states
        if only_gathers:
            outputs = [output for output in outputs if not _gather(states.get(output.request_id), output)]
        return process_outputs(outputs, *arguments, **options)

    processor.process_outputs = process


def _gather(state: Any, output: Any) -> bool:
    """Add the tokens of an output to those of its answer; False where there is more to do."""
    if state is None or state.is_prefilling or output.finish_reason is not None or output.new_logprobs is not None:
        return False
    # Only this class makes no text.
    if type(state.detokenizer) is not IncrementalDetokenizer:
        return False
    state.detokenizer.token_ids += output.new_token_ids
    return True


def text_of(tokenizer: Any, output: RequestOutput, sampling: SamplingParams) -> str:
    """The text of an answer whose tokens were not made text while they came; the same that vLLM would have made.

    vLLM itself reads the whole prompt before the first token, with one for each part of a picture, and does a little at
    each step. What stands right before the answer decides as much.
    """
    answer = output.outputs[0]
    request: Any = SimpleNamespace(
        request_id=output.request_id,
        prompt_token_ids=(output.prompt_token_ids or [])[-_CONTEXT_TOKENS:],
        prompt_embeds=None,
        sampling_params=sampling,
    )
    detokenizer = IncrementalDetokenizer.from_new_request(tokenizer, request)
    detokenizer.update(list(answer.token_ids), answer.finish_reason == "stop")
    return detokenizer.get_next_output_text(finished=True, delta=False)


def close_sockets(engine: AsyncLLM) -> None:
    """Close the sockets to an engine's process now; called in the loop that uses them.

    Where a thread of vLLM's notices first that the process is dead, it leaves this to the loop. There, the next engine
    is being loaded by then. When garbage is collected meanwhile, the old sockets' context waits until they are closed,
    which is for ever.
    """
    client: Any = engine.engine_core
    for part in vars(client.resources).values():
        if isinstance(part, zmq.Socket):
            part.close(linger=0)


def chat_template(engine: AsyncLLM) -> str:
    """The model's chat template; raises SettingsError if it has none."""
    tokenizer: Any = engine.get_tokenizer()
    template = tokenizer.chat_template
    if template is None and engine.renderer.mm_processor is not None:
        processor: Any = engine.renderer.mm_processor.info.get_hf_processor()
        template = processor.chat_template
    # A model with several templates has a dictionary of them.
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        raise SettingsError("the model has no chat template, so it is not made for questions")
    return template


def share_processed_images(engine: AsyncLLM) -> None:
    """Scale and normalize an image once for all questions about it.

    This uses vLLM's cache in this process only. vLLM itself does so only where several processes feed one engine.
    """
    renderer: Any = engine.renderer
    if renderer.mm_processor is None:
        return
    # The second is that of vLLM 0.24.
    places = (renderer, "_mm_processor_cache"), (renderer.mm_processor, "cache")
    place, name = next(((place, name) for place, name in places if hasattr(place, name)), (None, ""))
    if place is None or getattr(place, name) is not None:
        return
    size = SimpleNamespace(mm_processor_cache_gb=_PROCESSED_IMAGES_GB)
    model_config: Any = SimpleNamespace(get_multimodal_config=lambda: size)
    setattr(place, name, MultiModalProcessorOnlyCache(model_config))


def patch_maker(engine: AsyncLLM, resolution: Resolution) -> PatchMaker | None:
    """What makes the patches of pictures as the model's image processor would; None if it is of another kind."""
    images = _image_processor(engine)
    size_of = getattr(sys.modules.get(type(images).__module__), "smart_resize", None)
    if size_of is None or resolution.unit is None or resolution.pixels is None:
        return None
    return PatchMaker(
        patch=images.patch_size,
        merge=images.merge_size,
        frames=images.temporal_patch_size,
        size_of=partial(size_of, factor=resolution.unit, min_pixels=resolution.least, max_pixels=resolution.pixels),
        most_pixels=resolution.pixels,
    )


def _image_processor(engine: AsyncLLM) -> Any:
    if engine.renderer.mm_processor is None:
        return None
    processor: Any = engine.renderer.mm_processor.info.get_hf_processor()
    return getattr(processor, "image_processor", None)


def most_images(engine: AsyncLLM) -> int:
    """How many images a prompt may have; vLLM checks this only where its own processor gets them."""
    return engine.renderer.model_config.get_multimodal_config().get_limit_per_prompt("image")


async def render(engine: AsyncLLM, tokens: list[int], images: Sequence[Image], names: Sequence[str]) -> Any:
    """The input of a request, made by vLLM's own image processor.

    Args:
        engine: the engine.
        tokens: the prompt, with one placeholder for each image.
        images: RGB images.
        names: what tells an image from all others, so that its pixels need not be hashed.
    """
    raw = TokensPrompt(prompt_token_ids=tokens)
    if images:
        raw["multi_modal_data"] = {"image": list(images)}
        raw["multi_modal_uuids"] = {"image": list(names)}
    (prompt,) = await engine.renderer.render_cmpl_async([raw])
    return prompt


def picture_item(processor: Any, pixels: torch.Tensor, grid: torch.Tensor) -> Any:
    """A picture in vLLM's form, with the fields that vLLM's processor says it has."""
    hf_inputs: Any = {"pixel_values": pixels, "image_grid_thw": grid}
    fields = processor._get_mm_fields_config(hf_inputs, {})  # noqa: SLF001
    return MultiModalKwargsItems.from_hf_inputs(hf_inputs, fields)["image"][0]


def image_part(items: Sequence[Any], names: Sequence[str], places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What an input says of its images; a place is the number of the first token and how many tokens there are."""
    return {
        "mm_kwargs": MultiModalKwargsItems({"image": list(items)}),
        "mm_hashes": {"image": list(names)},
        "mm_placeholders": {"image": [PlaceholderRange(offset=offset, length=length) for offset, length in places]},
    }


@cache
def before_caches(note: Callable[[], None]) -> None:
    """Have `note` called in the engine's own process when the weights are read, before memory for caches is taken."""
    core: Any = getattr(sys.modules.get("vllm.v1.engine.core"), "EngineCore", None)
    # Where another vLLM has another name for it, people only know less.
    original: Callable[..., Any] | None = getattr(core, "_initialize_kv_caches", None)
    if original is None:
        return

    @wraps(original)
    def initialize(*arguments: Any, **options: Any) -> Any:
        note()
        return original(*arguments, **options)

    core._initialize_kv_caches = initialize  # noqa: SLF001


@cache
def count_whole_images() -> None:
    """Repair images that a model of Idefics3's kind takes whole, as the demo model does (vLLM 0.24 to 0.30).

    vLLM asks transformers into how many parts an image is split, and takes 0 for an answer where it is not split. Then
    it gives the model nothing of the image, and does not start.
    """
    if __version_tuple__[:2] >= (0, 31):
        return
    from vllm.model_executor.models.idefics3 import Idefics3ProcessingInfo

    original: Callable[..., int] = Idefics3ProcessingInfo.get_num_patches

    @wraps(original)
    def get_num_patches(*arguments: Any, **options: Any) -> int:
        return max(original(*arguments, **options), 1)

    Idefics3ProcessingInfo.get_num_patches = get_num_patches


class _ForNothing(torch.Generator):
    """The random generator of a token that is discarded."""

    def get_offset(self) -> int:
        """Nobody needs to know."""
        return 0

    def set_offset(self, offset: int) -> torch.Generator:  # noqa: ARG002
        """There is nothing to repeat."""
        return self


@cache
def keep_generators_during_chunked_prefill() -> None:
    """Repair seeded sampling on the CPU, which would end the engine (vLLM 0.24 to 0.32).

    vLLM reads a long prompt in several steps (chunked prefill). After each step it samples a token, discards it, and
    sets the request's random generator back. On the CPU this raises, and the engine ends. So these generators are put
    aside during the step, and others serve. Without any, vLLM 0.24 would forget the seeds of all who are in the step.
    """
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    original: Callable[..., Any] = GPUModelRunner.sample_tokens

    @wraps(original)
    def sample_tokens(runner: Any, *arguments: Any) -> Any:
        batch = runner.input_batch
        unread = runner.discard_request_mask.np[: batch.num_reqs].nonzero()[0].tolist()
        aside = {row: batch.generators[row] for row in unread if row in batch.generators}
        batch.generators.update({row: _ForNothing() for row in aside})
        try:
            return original(runner, *arguments)
        finally:
            batch.generators.update(aside)

    GPUModelRunner.sample_tokens = sample_tokens  # pyrefly: ignore[bad-assignment] - meant
