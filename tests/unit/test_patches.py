"""Patches are the same as those of a plain way to make them, which is how Qwen2-VL's image processor does it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

if TYPE_CHECKING:
    import torch

    from worker.engines.vllm_patches import PatchMaker

_UNIT = 28


def _size(height: int, width: int) -> tuple[int, int]:
    if max(height, width) > 200 * min(height, width):
        raise ValueError("absolute aspect ratio must be smaller than 200")
    return max(1, round(height / _UNIT)) * _UNIT, max(1, round(width / _UNIT)) * _UNIT


@cache
def maker() -> PatchMaker:
    from worker.engines.vllm_patches import PatchMaker

    return PatchMaker(patch=14, merge=2, frames=2, size_of=_size, most_pixels=2**20)


def picture(width: int, height: int) -> Image.Image:
    chance = np.random.default_rng([width, height])
    return Image.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8))


def plainly(image: Image.Image) -> torch.Tensor:
    import torch

    height, width = _size(image.height, image.width)
    colours = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    if (height, width) != (image.height, image.width):
        colours = torch.nn.functional.interpolate(colours[None], size=(height, width), mode="bicubic", antialias=True)[
            0
        ]
    squares = colours.reshape(3, height // 28, 2, 14, width // 28, 2, 14).permute(1, 4, 2, 5, 0, 3, 6)
    return squares.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1).reshape(height * width // 196, -1)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(10, 700))
@example(width=1, height=190)
@example(width=56, height=84)
@example(width=1036, height=1008)
def test_patches_are_those_of_the_plain_way(width: int, height: int) -> None:
    import torch

    if height > 200 * width:
        return
    image = picture(width, height)
    patches, (rows, columns) = maker()(image)
    assert (rows * 14, columns * 14) == _size(height, width)
    assert torch.equal(patches, plainly(image))


def test_a_picture_that_is_in_several_pieces_in_memory_is_the_same() -> None:
    import torch

    image = picture(2600, 2000)
    with pytest.raises(ValueError, match="contiguous"):
        image.__arrow_c_array__()
    assert torch.equal(maker()(image)[0], plainly(image))


def test_patches_outlive_their_picture() -> None:
    import torch

    patches, _ = maker()(picture(56, 84))
    for number in range(20):
        picture(56, 84 + number)
    assert torch.equal(patches, plainly(picture(56, 84)))


def test_it_says_how_much_memory_it_takes() -> None:
    size = 28 * 36
    patches, _ = maker()(picture(size, size))
    assert 4 * size**2 + patches.nbytes <= maker().most_bytes
