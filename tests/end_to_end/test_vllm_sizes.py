"""What a model makes of pictures and contexts, by a tiny model of Qwen2.5-VL's shape: its processor is the family's."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest
from PIL import Image

from persqa.images import Resolution
from persqa.images.decoding import decode
from persqa.models import DEMO_MODEL
from persqa.settings import load_settings
from tests.support.pictures import encoded
from tests.support.qwen_model import qwen_model

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

_MEGAPIXEL = 2**20
#: Pixels of a token.
_UNIT = 28 * 28


def fitted(**more: Any) -> tuple[dict[str, Any], Resolution | None]:
    """The engine arguments, and what the image loader is told of the model under them."""
    from worker.engines.vllm_arguments import engine_arguments

    arguments = engine_arguments(load_settings(**{"model": str(qwen_model()), **more}))
    return arguments, resolution(arguments)


def resolution(arguments: dict[str, Any]) -> Resolution | None:
    from vllm import AsyncEngineArgs
    from vllm.multimodal import MULTIMODAL_REGISTRY

    from worker.engines.vllm_sizes import resolution_of

    config = AsyncEngineArgs(**arguments).create_model_config()
    return resolution_of(MULTIMODAL_REGISTRY.get_processing_info(config))


def test_pictures_are_capped_and_the_context_fits_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="worker.engines.vllm_sizes"):
        arguments, seen = fitted()
    assert arguments["mm_processor_kwargs"] == {"size": {"shortest_edge": 3136, "longest_edge": _MEGAPIXEL}}
    # Four pictures of 1,337 tokens, and 8,192 of text, in thousands.
    assert arguments["max_model_len"] == 14 * 1024
    assert seen == Resolution(pixels=_MEGAPIXEL, unit=28, least=3136)
    assert "1048576 pixels" in caplog.text
    assert "1337 tokens" in caplog.text
    assert "14336 tokens" in caplog.text


@pytest.mark.parametrize(
    ("asked", "pixels", "context"),
    [
        ({"model_pixels": 500_000}, 500_000, 11 * 1024),
        ({"model_pixels": 100}, 3136, 9 * 1024),
        ({"model_pixels": 10**12}, 12_845_056, 72 * 1024),
        ({"model_pixels": 500_000, "max_images": 16}, 500_000, 18 * 1024),
        ({"engine_args": {"max_model_len": 5000}}, _MEGAPIXEL, 5000),
        ({"engine_args": {"mm_processor_kwargs": {"max_pixels": 2_000_000}}}, 2_000_000, 18 * 1024),
        ({"engine_args": {"mm_processor_kwargs": {"size": {"longest_edge": 600_000}}}}, 600_000, 11 * 1024),
        ({"engine_args": {"mm_processor_kwargs": {"images_kwargs": {"max_pixels": 600_000}}}}, 600_000, 11 * 1024),
        ({"engine_args": {"mm_processor_kwargs": {"min_pixels": 3136}}}, _MEGAPIXEL, 14 * 1024),
    ],
    ids=str,
)
def test_what_is_asked_goes_before_and_the_loader_knows_it(asked: dict[str, Any], pixels: int, context: int) -> None:
    arguments, seen = fitted(**asked)
    assert seen == Resolution(pixels=pixels, unit=28, least=3136)
    assert arguments["max_model_len"] == context


def test_a_model_that_cuts_pictures_up_is_left_alone() -> None:
    arguments, seen = fitted(model=DEMO_MODEL)
    assert seen == Resolution(edge=128)
    assert arguments.keys().isdisjoint({"mm_processor_kwargs", "max_model_len"})
    larger = {"mm_processor_kwargs": {"size": {"longest_edge": 256}}}
    assert fitted(model=DEMO_MODEL, engine_args=larger)[1] == Resolution(edge=256)


def test_what_is_left_to_vllm_is_what_a_gpu_needs() -> None:
    from vllm import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    arguments, _ = fitted(window=100)
    first, second = (fitted(window=100)[0]["seed"] for _ in range(2))
    assert first != second
    assert arguments.keys().isdisjoint({"max_num_batched_tokens", "async_scheduling"})
    config = AsyncEngineArgs(**arguments).create_engine_config(usage_context=UsageContext.LLM_CLASS)
    schedule = config.scheduler_config
    assert schedule.max_num_seqs == 100
    # A CPU's; on a GPU of 70 GB and more it is 16,384.
    assert schedule.max_num_batched_tokens == schedule.encoder_cache_size == 4096
    few, _ = fitted(engine_args={"max_num_batched_tokens": 64})
    assert few["max_num_seqs"] == 64
    own, _ = fitted(engine_args={"max_num_seqs": 7, "seed": 5})
    assert (own["max_num_seqs"], own["seed"]) == (7, 5)


@pytest.fixture(scope="module")
def processor() -> Any:
    """What vLLM makes pictures ready with; no engine, no weights."""
    from vllm import AsyncEngineArgs
    from vllm.multimodal import MULTIMODAL_REGISTRY

    arguments, _ = fitted()
    return MULTIMODAL_REGISTRY.create_processor(AsyncEngineArgs(**arguments).create_model_config())


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photo of twelve megapixels, with detail of several sizes."""
    layers = [Image.effect_noise((4000 >> n, 3000 >> n), 10 * 2**n).resize((4000, 3000)) for n in range(5)]
    grey = np.mean([np.asarray(layer, np.float32) for layer in layers], axis=0)
    return encoded(Image.fromarray(grey.astype(np.uint8)).convert("RGB"), "JPEG", quality=90)


def patches(processor: Any, image: Image.Image) -> tuple[list[int], Any]:
    """Rows and columns of patches, and their pixels, as vLLM has the model's processor make them."""
    images = processor.info.get_hf_processor().image_processor
    asked = {**processor.info.ctx.get_mm_config().mm_processor_kwargs, "do_normalize": False, "do_rescale": False}
    made = images(images=[image], return_tensors="np", **asked)
    return made["image_grid_thw"][0].tolist(), made["pixel_values"].astype(np.float32)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_model_sees_in_what_is_decoded_what_it_sees_in_the_whole_photo(
    processor: Any, photo: bytes, scaled: bool
) -> None:
    from worker.engines.vllm_sizes import resolution_of

    exact = resolution_of(processor.info)
    assert exact is not None
    seen = decode(photo, max_pixels=10**8, resolution=dataclasses.replace(exact, scaled=scaled))
    assert seen.size == ((42 * 28, 31 * 28) if scaled else (2000, 1500))
    grid, pixels = patches(processor, seen)
    whole_grid, whole = patches(processor, decode(photo, max_pixels=10**8))
    assert grid == whole_grid == [1, 62, 84]
    assert 42 * 31 <= _MEGAPIXEL // _UNIT < 16_000
    assert np.abs(pixels - whole).mean() < 1.0
    tokens = processor.info.get_num_image_tokens(
        image_width=4000,
        image_height=3000,
        image_processor=processor.info.get_image_processor(),
        mm_kwargs={},
    )
    assert tokens == 42 * 31


def test_nothing_is_left_for_the_model_to_scale(processor: Any) -> None:
    from worker.engines.vllm_sizes import resolution_of

    exact = resolution_of(processor.info)
    assert exact is not None
    # Of pictures of any size that the model takes, but for those that it enlarges.
    for size in [(4000, 3000), (3000, 4000), (2048, 1536), (1023, 1025), (640, 427), (5000, 40), (28, 1500)]:
        kept = decode(encoded(Image.new("RGB", size, "red"), "PNG"), max_pixels=10**8, resolution=exact)
        assert kept.size == exact.of(*kept.size)
        assert kept.width % 28 == kept.height % 28 == 0
