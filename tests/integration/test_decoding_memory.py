"""What decoding takes of memory, and what is said of good images where there is too little of it."""

from __future__ import annotations

import os
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.images import Resolution, decoding_bytes
from persqa.images.decoding import decode
from tests.support.pictures import encoded, noise, png_chunk
from tests.support.short_memory import Said, said_of

if TYPE_CHECKING:
    from collections.abc import Callable

_MB = 2**20
_MOST_PIXELS = 10**7

#: Ways to write a picture: the format, its mode, and options for Pillow.
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "progressive cmyk": ("JPEG", "CMYK", {"progressive": True}),
    "png": ("PNG", "RGB", {"compress_level": 1}),
    "png alpha": ("PNG", "RGBA", {"compress_level": 1}),
    "png palette": ("PNG", "P", {"compress_level": 1}),
    "png 16": ("PNG", "I;16", {"compress_level": 1}),
    "webp": ("WEBP", "RGB", {"method": 0}),
    "webp lossless": ("WEBP", "RGB", {"lossless": True, "quality": 0, "method": 0}),
    "webp alpha": ("WEBP", "RGBA", {"lossless": True, "quality": 0, "method": 0}),
    "webp moving": ("WEBP", "RGBA", {"lossless": True, "quality": 0, "method": 0, "save_all": True}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff deflate": ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}),
    "tiff one strip": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate", "strip_size": 2**30}),
    "tiff jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff float": ("TIFF", "F", {"compression": "tiff_adobe_deflate"}),
    "tiff turned": ("TIFF", "RGB", {"compression": "tiff_lzw", "orientation": 6}),
    "gif": ("GIF", "P", {}),
    "bmp": ("BMP", "RGB", {}),
    "avif": ("AVIF", "RGB", {"speed": 10, "subsampling": "4:4:4"}),
    "avif alpha": ("AVIF", "RGBA", {"speed": 10}),
}


@cache
def picture(way: str, width: int, height: int) -> bytes:
    image_format, mode, options = WAYS[way]
    options = dict(options)
    rough = noise(width // 8, height // 8).resize((width, height), Image.Resampling.NEAREST)
    image = rough.convert("L").convert(mode) if mode in {"I;16", "F"} else rough.convert(mode)
    if "save_all" in options:
        options["append_images"] = [image.transpose(Image.Transpose.ROTATE_180)]
    if (turn := options.pop("orientation", None)) is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = turn
    return encoded(image, image_format, **options)


def forked(act: Callable[[], int]) -> int:
    """What `act` says in a process of its own."""
    if (child := os.fork()) == 0:
        said = 255
        try:
            said = act()
        finally:
            os._exit(said)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("resolution", [None, Resolution(edge=128)])
@pytest.mark.parametrize("way", WAYS)
def test_decoding_takes_no_more_than_is_foretold(way: str, resolution: Resolution | None) -> None:
    data = picture(way, 2400, 2000)
    foretold = decoding_bytes(data, max_pixels=_MOST_PIXELS, resolution=resolution)
    assert foretold <= 28 * 2400 * 2000

    def measure() -> int:
        Path("/proc/self/clear_refs").write_text("5")
        before = _peak()
        decode(data, max_pixels=_MOST_PIXELS, resolution=resolution)
        return min(254, -(-(_peak() - before) // _MB))

    # The bands in which it is converted, and what is loaded at the first image of all.
    assert forked(measure) * _MB <= foretold + 20 * _MB


@pytest.mark.parametrize("way", ["png", "jpeg", "gif"])
def test_what_is_not_pixels_takes_nothing(way: str) -> None:
    """Notes that are bombs, and a missing end, for which a picture is decoded several times."""
    data = picture(way, 1200, 1000)
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1), 9))
    odd = {"png": data[:33] + bomb * 60 + data[33:-12], "jpeg": data[:-2], "gif": data[:-1] + bomb}[way]
    foretold = decoding_bytes(odd, max_pixels=_MOST_PIXELS, resolution=Resolution(edge=128))
    assert 8 * 1200 * 1000 <= foretold <= 8 * 1200 * 1000 + 2 * len(odd)

    def measure() -> int:
        Path("/proc/self/clear_refs").write_text("5")
        before = _peak()
        decode(odd, max_pixels=_MOST_PIXELS, resolution=Resolution(edge=128))
        return min(254, -(-(_peak() - before) // _MB))

    assert forked(measure) * _MB <= foretold + 20 * _MB


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def test_nothing_is_foretold_of_what_is_refused_at_once() -> None:
    assert decoding_bytes(b"no image", max_pixels=_MOST_PIXELS) == 0
    assert decoding_bytes(encoded(noise(), "PNG"), max_pixels=64 * 64 - 1) == 0


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0"])
def test_the_worst_is_foretold_of_what_cannot_be_read(data: bytes) -> None:
    assert decoding_bytes(data, max_pixels=1000) == 28_000


@pytest.mark.parametrize("way", WAYS)
def test_a_good_image_is_never_remembered_as_broken(way: str, tmp_path: Path) -> None:
    data = picture(way, 1000, 800)
    (tmp_path / "image").write_bytes(data)
    said = said_of(tmp_path / "image", decode(data, max_pixels=_MOST_PIXELS).tobytes())
    assert said.keys() == {Said.DECODED, Said.REFUSED}


@pytest.mark.parametrize("error", [OSError("decoder error -2"), MemoryError()])
def test_an_image_that_fails_for_a_moment_only_is_decoded(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Another thread may have had the memory, and not have it any longer when one looks."""
    new, errors = Image.core.new, [error]

    def short(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return new(*arguments)

    monkeypatch.setattr(Image.core, "new", short)
    assert decode(picture("png", 80, 64), max_pixels=_MOST_PIXELS).size == (80, 64)
    assert errors == []
