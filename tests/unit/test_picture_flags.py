"""What the flags see in pictures, and the hash of what they look like."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from persqa.flags import Flag, look_at
from persqa.flags.near import NEAR_BITS, near_pictures
from producer.demo import draw, random_person

if TYPE_CHECKING:
    from collections.abc import Callable

_SIDE = 240


def _portrait(number: int) -> Image.Image:
    chance = random.Random(number)
    return draw(random_person(chance), chance, _SIDE)


@pytest.fixture(scope="module")
def portraits() -> list[Image.Image]:
    return [_portrait(number) for number in range(8)]


def _flags(image: Image.Image) -> set[Flag]:
    return {one.flag for one in look_at(image).findings}


def _bits(one: int, other: int) -> int:
    return ((one ^ other) & (2**64 - 1)).bit_count()


def _encoded(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB")


def test_a_drawn_portrait_has_no_flag(portraits: list[Image.Image]) -> None:
    assert [_flags(one) for one in portraits] == [set()] * len(portraits)


def test_one_colour_is_blank_with_and_without_noise() -> None:
    grey = Image.new("RGB", (300, 200), (90, 91, 92))
    assert _flags(grey) == {Flag.BLANK}
    # Pillow's own noise is another one each time, and one of twenty goes beyond what is blank.
    chance = random.Random(6)
    noise = Image.frombytes("L", (300, 200), bytes(round(chance.gauss(128, 6)) for _ in range(300 * 200)))
    noise = noise.convert("RGB")
    assert Flag.BLANK in _flags(noise)
    ImageDraw.Draw(grey).ellipse((60, 40, 140, 120), fill="white")
    assert not _flags(grey)


def test_few_pixels_are_tiny() -> None:
    picture = _portrait(3)
    assert Flag.TINY in _flags(picture.resize((40, 90)))
    assert Flag.TINY not in _flags(picture.resize((64, 64)))


def test_without_a_sharp_edge_it_is_blurred(portraits: list[Image.Image]) -> None:
    for one in portraits:
        assert _flags(one.filter(ImageFilter.GaussianBlur(_SIDE * 0.025))) == {Flag.BLURRED}
        assert not _flags(one.filter(ImageFilter.GaussianBlur(_SIDE * 0.002)))


def test_lying_edges_are_sharp_as_well() -> None:
    stripes = Image.new("RGB", (200, 200), "white")
    for top in range(0, 200, 40):
        ImageDraw.Draw(stripes).rectangle((0, top, 200, top + 19), fill="navy")
    assert not _flags(stripes)


def _darker(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.9)


def _twice(image: Image.Image) -> Image.Image:
    return image.resize((2 * _SIDE, 2 * _SIDE), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("change", [_encoded, _twice, _darker])
def test_the_hash_of_the_same_picture_stays(
    portraits: list[Image.Image], change: Callable[[Image.Image], Image.Image]
) -> None:
    moved = sorted(_bits(look_at(one).hash, look_at(change(one)).hash) for one in portraits)
    assert moved[len(moved) // 2] <= NEAR_BITS
    assert moved[-1] <= 2 * NEAR_BITS


def test_other_portraits_are_far(portraits: list[Image.Image]) -> None:
    hashes = [look_at(one).hash for one in portraits]
    assert min(_bits(one, other) for place, one in enumerate(hashes) for other in hashes[:place]) > NEAR_BITS
    assert all(-(2**63) <= one < 2**63 for one in hashes)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12, unique=True), st.lists(st.integers(0, 63), max_size=8))
def test_near_pictures_are_all_found(hashes: list[int], flipped: list[int]) -> None:
    for bit in flipped:
        if hashes:
            other = (hashes[-1] & (2**64 - 1)) ^ (1 << bit)
            hashes = list(dict.fromkeys([*hashes, other - 2**64 if other >> 63 else other]))
    near = {
        (one, other)
        for other in range(len(hashes))
        for one in range(other)
        if _bits(hashes[one], hashes[other]) <= NEAR_BITS
    }
    assert {(one, other) for one, other, _ in near_pictures(hashes)} == near
