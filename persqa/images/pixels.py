"""From what a decoder gives to what a model looks at: three colours, white behind them, and no more than is of use.

Whole pictures are converted a band at a time, because each intermediate would take as much memory as the picture.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.images.limits import Resolution

_BAND_PIXELS = 2**20

#: A model's own filter begins with an image that is so many times as wide and high as what it makes of it. Then it
#: makes of it hardly anything else than of the whole picture (docs/images.md).
_TIMES = 2
#: A JPEG may be decoded at a part of its size that is so many times as wide and high as what is kept at the model's own
#: size: with less, that is off by 0.7 to 1.5 of 255 on average, with so much by 0.4 to 0.8.
_TIMES_DECODED = 1.5

_16_TO_8_BITS = [round(value / 257) for value in range(65_536)]


def kept(width: int, height: int, resolution: Resolution | None) -> tuple[int, int]:
    """The width and height that are kept of a picture."""
    if resolution is None or not resolution.scaled:
        return width, height
    looked_at = resolution.of(width, height)
    if resolution.unit is not None:
        return looked_at
    return min(width, _TIMES * looked_at[0]), min(height, _TIMES * looked_at[1])


def decoded(width: int, height: int, resolution: Resolution | None) -> tuple[int, int]:
    """The least width and height at which a picture is decoded."""
    if resolution is None or resolution.unit is None:
        return kept(width, height, resolution)
    across, down = resolution.of(width, height)
    return math.ceil(across * _TIMES_DECODED), math.ceil(down * _TIMES_DECODED)


def rgb(
    image: Image.Image, size: tuple[int, int], extent: tuple[float, float], resolution: Resolution | None
) -> Image.Image:
    """The image in RGB, its transparent parts white, scaled to this size.

    Its last row and column may stand for less than the others: `extent` is how many rows and columns it has then.
    """
    times, scaled_by = 1, Image.Resampling.LANCZOS
    if resolution is not None and resolution.unit is not None:
        # The model's own filter, and nothing is scaled after it.
        times, scaled_by = _TIMES, Image.Resampling.BICUBIC
    factor = max(1, min(image.width // (times * size[0]), image.height // (times * size[1])))
    result = _reduced(image, factor)
    if size == extent:
        return result
    box = (0, 0, extent[0] / factor, extent[1] / factor)
    return result.resize(size, scaled_by, box=box)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    convert = _conversion(image)
    rows = max(1, _BAND_PIXELS // (image.width * factor)) * factor
    if rows >= image.height:
        whole = convert(image)
        return whole.reduce(factor) if factor > 1 else whole
    result = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, rows):
        band = convert(image.crop((0, top, image.width, min(top + rows, image.height))))
        result.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    return result


def _conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes RGB of each band of the image."""
    if image.mode.startswith("I;16"):
        return _from_16_bits
    if image.mode in {"I", "F"}:
        low, high = (float(value) for value in image.getextrema() if isinstance(value, int | float))
        return partial(_from_own_range, low=low, high=high)
    return _over_white if image.has_transparency_data else _plain


def _from_16_bits(image: Image.Image) -> Image.Image:
    return image.convert("I").point(_16_TO_8_BITS, "L").convert("RGB")


def _from_own_range(image: Image.Image, *, low: float, high: float) -> Image.Image:
    """Wide integers and floats have no agreed white: the lightest value becomes white."""
    scale = 255 / (high - low) if high > low else 1.0
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L").convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    result = Image.new("RGB", image.size, "white")
    result.paste(layer, mask=layer.getchannel("A"))
    return result


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGB")
