"""Pictures, good and bad, and loading them as the product does."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from persqa.errors import Rejected
from persqa.images import ImageLimits, decode_image, read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


def load(
    reference: str,
    base: Path,
    *roots: Path,
    max_pixels: int = 1_000_000,
    max_bytes: int = 1_000_000,
) -> Image.Image:
    limits = ImageLimits(roots=roots, max_pixels=max_pixels, max_bytes=max_bytes)
    return decode_image(read_image(reference, base=base, limits=limits), reference, limits=limits)


def rejected(reference: str, base: Path, *roots: Path, **limits: int) -> Rejected:
    with pytest.raises(Rejected) as caught:
        load(reference, base, *roots, **limits)
    return caught.value


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def loaded(data: bytes, folder: Path) -> Image.Image:
    (folder / "data").write_bytes(data)
    return load("data", folder)


def noise(width: int = 64, height: int = 64) -> Image.Image:
    """A picture that does not compress, so that cutting its file cuts its pixels."""
    return Image.effect_noise((width, height), 90).convert("RGB")


def quarters(size: int = 64) -> Image.Image:
    """Red and green above blue and white."""
    image = Image.new("RGB", (size, size), WHITE)
    half = size // 2
    for colour, corner in [(RED, (0, 0)), (GREEN, (half, 0)), (BLUE, (0, half))]:
        image.paste(colour, (*corner, corner[0] + half, corner[1] + half))
    return image


def near(found: object, expected: tuple[int, int, int], tolerance: int) -> bool:
    pixel = cast("tuple[int, int, int]", found)
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, expected, strict=True))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_zeros(width: int, height: int, *, rows: int) -> bytes:
    """A 1-bit PNG whose header says width x height and whose data has that many rows."""
    body = zlib.compress(bytes((width + 7) // 8 + 1) * rows, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)
