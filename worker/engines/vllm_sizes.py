"""What a model makes of pictures, by the word of its own image processor, and the engine arguments that fit it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, cast

from PIL.Image import Resampling
from vllm import AsyncEngineArgs
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.usage.usage_lib import UsageContext

from persqa.images import Resolution
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm.multimodal.processing import BaseProcessingInfo

    from persqa.settings import Settings

logger = logging.getLogger(__name__)

#: Room for a prompt's text and its answer, beside its pictures, in tokens.
TEXT_TOKENS: Final = 8192
#: The context is so many tokens, or a multiple of it.
_CONTEXT_STEP = 1024

#: Where vLLM calls the settings of the image processor alone so; others are for whatever processor knows them.
_FOR_IMAGES = "images_kwargs"
#: Sizes that show how a processor scales: far above and just above the limit of pixels, below it, and two odd shapes.
_PROBES = ((8192, 6144), (4000, 3000), (1023, 1025), (640, 427), (2000, 40), (90, 1700))


def fitting(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Engine arguments that fit the model and what it is asked; of those that are given, only completed ones.

    This reads the model's configuration, and nothing of its weights.
    """
    fitted: dict[str, Any] = {}
    if given.get("max_num_seqs") is None:
        fitted["max_num_seqs"] = _most_at_once(given, settings)
    config = AsyncEngineArgs(**given).create_model_config()
    seen = None if config.multimodal_config is None else _whole(MULTIMODAL_REGISTRY.get_processing_info(config))
    if seen is None:
        return fitted
    pixels, least, unit = seen
    asked = given.get("mm_processor_kwargs") or {}
    if not _names_pixels(asked) and settings.model_pixels < pixels:
        pixels = max(settings.model_pixels, least)
        fitted["mm_processor_kwargs"] = {**asked, "size": {"shortest_edge": least, "longest_edge": pixels}}
    context = config.max_model_len
    if given.get("max_model_len") is None:
        wanted = settings.max_images * (pixels // unit**2) + TEXT_TOKENS
        fitted["max_model_len"] = context = min(context, -(-wanted // _CONTEXT_STEP) * _CONTEXT_STEP)
    logger.info(
        "the model sees at most %d pixels of a picture (%s; PERSQA_MODEL_PIXELS); "
        "prompt and answer may have %s together (max_model_len in PERSQA_ENGINE_ARGS)",
        pixels,
        counted(pixels // unit**2, "token"),
        counted(context, "token"),
    )
    return fitted


def resolution_of(info: BaseProcessingInfo) -> Resolution | None:
    """The size to which the model's image processor scales images, as it is configured; None where it is unknown."""
    images, asked = _image_processor(info), _asked(info)
    longest = _edge(images, "longest_edge")
    if longest is None or not _of_images(asked).get("do_resize", getattr(images, "do_resize", False)):
        return None
    if type(images).__name__.startswith(("Idefics3", "SmolVLM")):
        return Resolution(edge=_limits(asked, most=longest, least=0)[0])
    if (seen := _whole(info)) is None:
        return None
    pixels, least, unit = seen
    # What is scaled to the very size has to be scaled as the model does it.
    exact = Resolution(pixels=pixels, unit=unit, least=least)
    is_exact = getattr(images, "resample", None) == Resampling.BICUBIC and all(
        _seen_pixels(images, probe, pixels) == _product(exact.of(*probe)) for probe in _PROBES
    )
    return exact if is_exact else Resolution(pixels=pixels)


def _whole(info: BaseProcessingInfo) -> tuple[int, int, int] | None:
    """Where the model takes pictures whole: the most and the least pixels of one, and the width of a token's square."""
    images = _image_processor(info)
    least, longest = _edge(images, "shortest_edge"), _edge(images, "longest_edge")
    patch, merge = getattr(images, "patch_size", None), getattr(images, "merge_size", None)
    numbers = (least, longest, patch, merge)
    if not all(isinstance(number, int) for number in numbers) or not _counts_pixels(images):
        return None
    most, least = _limits(_asked(info), most=cast("int", longest), least=cast("int", least))
    return most, least, cast("int", patch) * cast("int", merge)


def _asked(info: BaseProcessingInfo) -> Mapping[str, Any]:
    """The `mm_processor_kwargs` of the engine."""
    return info.ctx.model_config.get_multimodal_config().mm_processor_kwargs or {}


def _of_images(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {**asked, **(asked.get(_FOR_IMAGES) or {})}


def _image_processor(info: BaseProcessingInfo) -> Any:
    processor: Any = info.get_hf_processor()
    return getattr(processor, "image_processor", None)


def _edge(images: Any, name: str) -> int | None:
    found = (getattr(images, "size", None) or {}).get(name)
    return found if isinstance(found, int) else None


def _counts_pixels(images: Any) -> bool:
    """Whether the longest edge of its size is no edge, but a number of pixels, as in Qwen2-VL and its relatives."""
    few, many = (_seen_pixels(images, _PROBES[0], limit) for limit in (2**20, 2**22))
    # Some count pictures of a film in, two for a picture that stands still.
    return few is not None and many is not None and 2**18 < few <= 2**20 < many <= 2**22


def _seen_pixels(images: Any, size: tuple[int, int], limit: int) -> int | None:
    """How many pixels it makes of an image of this width and height, by its own word; None where it does not say."""
    shortest = _edge(images, "shortest_edge")
    limits = {"size": {"shortest_edge": shortest, "longest_edge": limit}, "min_pixels": shortest, "max_pixels": limit}
    try:
        patches = images.get_number_of_image_patches(size[1], size[0], limits)
        return patches * images.patch_size**2
    except Exception:  # noqa: BLE001 - of any model's own code; what it cannot say is not known
        return None


def _limits(asked: Mapping[str, Any], *, most: int, least: int) -> tuple[int, int]:
    """The most and the least pixels under these `mm_processor_kwargs`, in the order in which vLLM reads them."""
    chosen = _of_images(asked)
    size = {**(asked.get("size") or {}), **(chosen.get("size") or {})}
    return (
        chosen.get("max_pixels") or size.get("longest_edge") or most,
        chosen.get("min_pixels") or size.get("shortest_edge") or least,
    )


def _names_pixels(asked: Mapping[str, Any]) -> bool:
    return _limits(asked, most=0, least=0)[0] > 0


def _product(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _most_at_once(given: Mapping[str, Any], settings: Settings) -> int:
    """How many requests run at once: never more than the window, though vLLM would keep memory for 1,024."""
    shared = given.get("pipeline_parallel_size", 1) * given.get("tensor_parallel_size", 1)
    _, at_once = AsyncEngineArgs.get_batch_defaults(shared)
    most = min(at_once[UsageContext.LLM_CLASS], settings.window)
    batched = given.get("max_num_batched_tokens")
    return min(most, batched) if isinstance(batched, int) else most
