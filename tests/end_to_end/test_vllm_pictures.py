"""Pictures of the default model's family get to vLLM as they would by its own image processor."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from persqa.errors import Rejected
from persqa.flags import look_at
from persqa.settings import load_settings
from tests.support.qwen_model import qwen_model
from worker.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engines.vllm_pictures import VllmPictures

os.environ.setdefault("HF_HUB_OFFLINE", "1")


# What vLLM imports for this family is not all of it as new as the rest.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def picture(width: int, height: int) -> Image.Image:
    chance = np.random.default_rng([width, height])
    return Image.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8))


def new_engine() -> Any:
    """As much of an engine as makes inputs: no process, no weights."""
    from vllm import AsyncEngineArgs
    from vllm.renderers import renderer_from_config

    from worker.engines.vllm_arguments import engine_arguments

    settings = load_settings(model=str(qwen_model()), model_pixels=300_000, engine_args={"load_format": "dummy"})
    renderer: Any = renderer_from_config(AsyncEngineArgs(**engine_arguments(settings)).create_engine_config())
    return SimpleNamespace(renderer=renderer, get_tokenizer=renderer.get_tokenizer)


def begin(engine: Any) -> tuple[VllmPictures, Any]:
    from worker.engines.chat_prompts import ChatPrompts
    from worker.engines.vllm_inner import chat_template
    from worker.engines.vllm_pictures import VllmPictures
    from worker.engines.vllm_sizes import resolution_of

    prompts = ChatPrompts(engine.get_tokenizer(), chat_template(engine))
    pictures = VllmPictures(engine)
    asyncio.run(pictures.start(resolution_of(engine.renderer.mm_processor.info), prompts))
    return pictures, prompts


@pytest.fixture(scope="module")
def begun() -> tuple[VllmPictures, Any]:
    from vllm import __version_tuple__

    pictures, prompts = begin(new_engine())
    # It normalizes pictures in the worker, and a part of that is not done with patches.
    if __version_tuple__[:2] < (0, 29):
        assert pictures.prepare is None
        pytest.skip("this vLLM gets its pictures from its own image processor")
    return pictures, prompts


def inputs(pictures: VllmPictures, tokens: list[int], images: Sequence[Image.Image], *, prepared: bool) -> Any:
    prepare = pictures.prepare
    assert prepare is not None
    hand = [Picture(f"picture-{i}", prepare(one) if prepared else one, look_at(one)) for i, one in enumerate(images)]
    return asyncio.run(pictures.input(tokens, hand))


def test_inputs_are_those_of_vllm(begun: tuple[VllmPictures, Any]) -> None:
    pictures, prompts = begun
    one = prompts.about_one_picture()
    shapes = [(7, 5)], [(28, 28)], [(640, 427)], [(1000, 900)], [(30, 3000)], [(512, 512), (90, 300), (28, 56)]
    for sizes in shapes:
        images = [picture(*size) for size in sizes]
        tokens = one * len(images)
        own = inputs(pictures, tokens, images, prepared=False)
        ours = inputs(pictures, tokens, images, prepared=True)
        assert own.keys() == ours.keys()
        for name in own.keys() - {"arrival_time"}:
            assert own[name] == ours[name], (sizes, name)
        for theirs, made in zip(own["mm_kwargs"]["image"], ours["mm_kwargs"]["image"], strict=True):
            assert theirs["pixel_values"].data.dtype == made["pixel_values"].data.dtype


def test_a_shape_that_the_model_refuses_is_named(begun: tuple[VllmPictures, Any]) -> None:
    pictures, _ = begun
    assert pictures.prepare is not None
    with pytest.raises(Rejected, match="3000 x 10 pixels"):
        pictures.prepare(picture(3000, 10))


def test_more_pictures_than_the_engine_takes_are_refused(begun: tuple[VllmPictures, Any]) -> None:
    pictures, prompts = begun
    with pytest.raises(Rejected, match="at most 4 images"):
        inputs(pictures, prompts.about_one_picture() * 5, [picture(28, 28)] * 5, prepared=True)


def test_where_vllm_makes_something_else_its_own_processor_serves(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    # An engine that has once given up our patches keeps what it made of pictures: it is of no use to the other tests.
    engine = new_engine()
    images = engine.renderer.mm_processor.info.get_hf_processor().image_processor
    patchify = images.patchify

    def other(*given: Any, **options: Any) -> Any:
        return _turned(patchify(*given, **options))

    monkeypatch.setattr(images, "patchify", other)
    pictures, _ = begin(engine)
    assert pictures.prepare is None
    assert "mm_kwargs differ for a picture of 1 x 1" in caplog.text


def _turned(patches: Any) -> Any:
    """Patches with their pixels in another order, as another version might have them."""
    return patches[0].flip(-1), *patches[1:]
