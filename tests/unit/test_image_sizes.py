"""How much of an image is kept: twice what the model looks at in width and height, whatever the format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from persqa.images import Resolution
from persqa.images.decoding import decode
from tests.support.pictures import BLUE, FORMATS, GREEN, RED, WHITE, encoded, near, quarters

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE = Resolution(edge=64)
UNITS = Resolution(pixels=70_000, unit=28, least=3136)


def kept(image: Image.Image, image_format: str, resolution: Resolution | None = EDGE, **options: Any) -> Image.Image:
    return decode(encoded(image, image_format, **options), max_pixels=2 * 10**7, resolution=resolution)


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 500), (128, 64)),
        ((500, 1000), (64, 128)),
        ((129, 129), (128, 128)),
        ((128, 127), (128, 127)),
        ((100, 40), (100, 40)),
        ((3000, 1), (128, 1)),
        ((3000, 3), (128, 2)),
        ((1, 3000), (1, 128)),
    ],
)
def test_of_a_large_image_twice_what_the_model_looks_at(
    image_format: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    found = kept(Image.new("RGB", size, GREEN), image_format)
    assert type(found) is Image.Image
    assert (found.size, found.mode, found.info) == (expected, "RGB", {})
    assert near(found.getpixel((0, 0)), GREEN, 3)


@pytest.mark.parametrize(
    ("image_format", "expected"), [("PNG", (900, 1200)), ("JPEG", (450, 600))], ids=["whole", "at a half"]
)
def test_what_an_engine_scales_is_only_decoded_at_a_part_of_its_size(
    image_format: str, expected: tuple[int, int]
) -> None:
    image = Image.new("RGB", (1200, 900), WHITE)
    image.paste(RED, (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = kept(image, image_format, replace(UNITS, scaled=False), exif=exif)
    assert type(found) is Image.Image
    assert (found.size, found.info) == (expected, {})
    assert near(found.getpixel((found.width - 3, 2)), RED, 12)
    # Less than 1.5 times of what the model sees is not enough.
    assert kept(Image.new("RGB", (700, 525)), "JPEG", replace(UNITS, scaled=False)).size == (700, 525)


@pytest.mark.parametrize("image_format", FORMATS)
def test_all_of_it_where_nobody_knows_what_the_model_looks_at(image_format: str) -> None:
    assert kept(Image.new("RGB", (1500, 1000), GREEN), image_format, None).size == (1500, 1000)


def test_a_limit_of_pixels() -> None:
    found = kept(Image.new("RGB", (1000, 250)), "PNG", Resolution(pixels=10_000))
    assert found.size == (400, 100)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 3000), (280, 224)),
        ((3000, 4000), (224, 280)),
        ((255, 206), (252, 196)),
        ((84, 56), (84, 56)),
        # The model enlarges these, or refuses them, and says of which size they are.
        ((30, 30), (30, 30)),
        ((3000, 14), (3000, 14)),
    ],
)
def test_the_very_size_where_the_model_sees_whole_units(
    image_format: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    found = kept(Image.new("RGB", size, GREEN), image_format, UNITS)
    assert (found.size, UNITS.of(*expected)) == (expected, expected)
    assert near(found.getpixel((0, 0)), GREEN, 3)


@pytest.mark.parametrize(
    ("size", "decoded"), [((2400, 1800), (300, 225)), ((1600, 1200), (400, 300)), ((599, 449), (599, 449))]
)
def test_a_jpeg_is_decoded_at_no_less_than_one_and_a_half_times_that(
    size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    # Left to the engine to scale, so that what was decoded is seen here.
    left = Resolution(pixels=200 * 150, unit=10, scaled=False)
    assert kept(Image.new("RGB", size), "JPEG", left).size == decoded


@given(
    width=st.integers(1, 9000),
    height=st.integers(1, 9000),
    unit=st.sampled_from([28, 32]),
    cap=st.integers(2**20, 2**24),
)
def test_whole_units_keep_shape_and_cap(width: int, height: int, unit: int, cap: int) -> None:
    across, down = Resolution(pixels=cap, unit=unit, least=3136).of(width, height)
    if width * height > cap:
        assert across * down <= cap
    if (across, down) != (width, height):
        assert across % unit == down % unit == 0
        assert Resolution(pixels=cap, unit=unit, least=1).of(across, down) == (across, down)


@pytest.mark.parametrize("image_format", FORMATS)
def test_colours_stay_where_they_are(image_format: str) -> None:
    # So large that it is converted in several bands, and no multiple of anything.
    picture = quarters().resize((2117, 2103), Image.Resampling.NEAREST)
    found = kept(picture, image_format)
    for x, y, colour in [(20, 20, RED), (108, 20, GREEN), (20, 108, BLUE), (108, 108, WHITE)]:
        assert near(found.getpixel((x, y)), colour, 12)


@pytest.mark.parametrize(
    ("mode", "image_format", "dark", "light"),
    [
        ("1", "PNG", 0, 1),
        ("L", "TIFF", 0, 255),
        ("LA", "PNG", (0, 255), (90, 0)),
        ("RGBA", "PNG", (0, 0, 0, 255), (9, 9, 9, 0)),
        ("RGBA", "TIFF", (0, 0, 0, 255), (9, 9, 9, 0)),
        ("CMYK", "TIFF", (0, 0, 0, 255), (0, 0, 0, 0)),
        ("CMYK", "JPEG", (0, 0, 0, 255), (0, 0, 0, 0)),
        ("I;16", "PNG", 0, 65_535),
        ("I", "TIFF", -7, 100_000),
        ("F", "TIFF", -0.5, 0.25),
    ],
)
@pytest.mark.parametrize("resolution", [None, EDGE])
def test_every_mode_in_bands(
    mode: str, image_format: str, dark: Any, light: Any, resolution: Resolution | None
) -> None:
    image = Image.new(mode, (1400, 1300), dark)
    image.paste(light, (700, 650, 1400, 1300))
    found = kept(image, image_format, resolution)
    side = min(found.size)
    for place, colour in [(0.1, (0, 0, 0)), (0.4, (0, 0, 0)), (0.6, WHITE), (0.9, WHITE)]:
        at = int(place * side)
        assert near(found.getpixel((at, at)), colour, 3)


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_a_transparent_palette_in_bands(image_format: str) -> None:
    image = Image.new("P", (1400, 1300), 0)
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.paste(1, (700, 650, 1400, 1300))
    found = kept(image, image_format, transparency=0)
    assert near(found.getpixel((20, 20)), WHITE, 1)
    assert near(found.getpixel((120, 110)), BLUE, 1)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "red"), [(1, (2, 2)), (3, (125, 61)), (6, (61, 2)), (8, (2, 125))])
def test_a_turned_one(image_format: str, orientation: int, red: tuple[int, int]) -> None:
    image = Image.new("RGB", (1600, 800), WHITE)
    image.paste(RED, (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = kept(image, image_format, exif=exif)
    assert found.size == ((128, 64) if orientation in {1, 3} else (64, 128))
    assert near(found.getpixel(red), RED, 16)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_the_first_of_moving_ones(image_format: str) -> None:
    first, second = Image.new("RGB", (400, 400), RED), Image.new("RGB", (400, 400), BLUE)
    found = kept(first, image_format, save_all=True, append_images=[second])
    assert found.size == (128, 128)
    assert near(found.getpixel((8, 8)), RED, 2)


@pytest.mark.parametrize("image_format", ["BMP", "JPEG"])
@pytest.mark.parametrize("size", [(640, 480), (701, 499), (1999, 1501)])
@pytest.mark.parametrize("filter_of_the_model", [Image.Resampling.LANCZOS, Image.Resampling.BICUBIC])
def test_what_a_model_makes_of_it_is_what_it_makes_of_the_whole(
    image_format: str, size: tuple[int, int], filter_of_the_model: Image.Resampling
) -> None:
    whole = scene(size)
    seen, complete = (
        pixels(kept(whole, image_format, resolution).resize(EDGE.of(*size), filter_of_the_model))
        for resolution in (EDGE, None)
    )
    assert np.abs(seen - complete).mean() < 1.2


def scene(size: tuple[int, int]) -> Image.Image:
    """Something like a photograph: detail of every size, and sharp edges."""
    layers = [Image.effect_noise((max(1, size[0] >> n), max(1, size[1] >> n)), 12 * 2**n) for n in range(5)]
    grey = np.mean([pixels(layer.resize(size, Image.Resampling.BICUBIC)) for layer in layers], axis=0)
    image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    for step, colour in enumerate([RED, GREEN, BLUE, WHITE] * 4):
        left = size[0] * step // 16
        image.paste(colour, (left, left // 2, left + size[0] // 40, left // 2 + size[1] // 5))
    return image


def pixels(image: Image.Image | Sequence[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(image, np.float32)
