"""Pictures are judged by their pixels: what is wrong with anything else is no reason to refuse one."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from persqa.bad_images import BadContent
from persqa.errors import Rejected
from persqa.images import Resolution, decoding_bytes
from persqa.images.avif import frames_of
from persqa.images.decoding import decode
from persqa.reasons import Reason
from tests.support.odd_pictures import everything
from tests.support.odd_pngs import photo, png_chunks
from tests.support.pictures import encoded, noise, png_chunk

# Pillow warns of what it cannot read of notes.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

_MOST = 100_000
#: What Pillow has once for all threads.
_GLOBALS = ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY


def pixels(data: bytes, resolution: Resolution | None = None) -> bytes:
    image = decode(data, max_pixels=_MOST, resolution=resolution)
    return b"%dx%d" % image.size + image.tobytes()


def test_a_picture_is_what_its_clean_twin_is(subtests: pytest.Subtests) -> None:
    for odd in everything():
        with subtests.test(odd.name):
            assert odd.data != odd.clean
            assert pixels(odd.data) == pixels(odd.clean)
            # Of what could not be read at first, not the worst has to be feared.
            most = 28 * photo().width * photo().height + 2 * len(odd.data)
            assert decoding_bytes(odd.data, max_pixels=_MOST) <= most


def test_many_at_once_are_decoded_alike() -> None:
    odds = everything()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(pixels, [odd.data for odd in odds]))
    assert found == [pixels(odd.clean) for odd in odds]
    assert _GLOBALS == (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


BAD = {Reason.BROKEN_IMAGE, Reason.NOT_AN_IMAGE}
WAYS: list[tuple[str, dict[str, object]]] = [
    *[("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"restart_marker_blocks": 2})],
    *[("JPEG", {"subsampling": 0, "quality": 98}), ("PNG", {}), ("GIF", {}), ("BMP", {}), ("AVIF", {})],
    *[("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
    *[("TIFF", {"compression": "jpeg"})],
]


@cache
def whole(way: int, picture: int) -> bytes:
    flat = photo().copy()
    flat.paste((128, 128, 128), (0, 32, 96, 64))
    image_format, options = WAYS[way]
    return encoded([photo(), flat, noise()][picture], image_format, **options)


@pytest.mark.timeout(120)
@settings(max_examples=400, deadline=None)
@given(
    way=st.integers(0, len(WAYS) - 1),
    picture=st.integers(0, 2),
    missing=st.one_of(st.integers(1, 40), st.integers(1, 3000)),
    resolution=st.sampled_from([None, Resolution(edge=16)]),
)
def test_a_picture_that_is_cut_is_whole_or_refused(
    way: int, picture: int, missing: int, resolution: Resolution | None
) -> None:
    data = whole(way, picture)
    try:
        found = pixels(data[: max(1, len(data) - missing)], resolution)
    except Rejected as rejected:
        found = rejected
    expected = pixels(data, resolution)
    assert found == expected or (isinstance(found, Rejected) and found.reason in BAD)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_picture_without_its_last_tenth_is_broken_and_remembered(image_format: str) -> None:
    data = encoded(noise(), image_format)
    with pytest.raises(BadContent) as caught:
        decode(data[: len(data) * 9 // 10], max_pixels=_MOST)
    assert caught.value.reason is Reason.BROKEN_IMAGE


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"PLTE"])
def test_what_is_wrong_with_pixels_counts(name: bytes) -> None:
    data = encoded(photo().convert("P"), "PNG")
    # Of the packed pixels the last byte, which is the sum of all of them.
    place = -5 if name == b"IDAT" else -1
    chunks = [bytearray(chunk) for chunk in png_chunks(data)]
    for chunk in chunks:
        if chunk[4:8] == name:
            chunk[place] ^= 0xFF
    with pytest.raises(BadContent):
        decode(data[:8] + b"".join(chunks), max_pixels=_MOST)


@pytest.mark.parametrize("where", ["eXIf", "zTXt", "iTXt"])
def test_which_way_is_up_is_kept(where: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    chunk = {
        "eXIf": png_chunk(b"eXIf", raw.removeprefix(b"Exif\0\0")),
        "zTXt": png_chunk(
            b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(raw) + raw.hex().encode())
        ),
        "iTXt": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    }[where]
    head, *rest = png_chunks(encoded(photo(), "PNG"))
    wrong = png_chunk(b"pHYs", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join([head, wrong, chunk, *rest])
    assert decode(data, max_pixels=_MOST).size == (64, 96)


class TestAvif:
    def test_frames_that_are_larger_than_is_said(self) -> None:
        data = bytearray(encoded(Image.new("RGB", (400, 300)), "AVIF", speed=10))
        place = data.index(b"ispe") + 8
        data[place : place + 8] = (20).to_bytes(4, "big") * 2
        with pytest.raises(Rejected) as caught:
            decode(bytes(data), max_pixels=_MOST)
        assert caught.value.reason is Reason.TOO_MANY_PIXELS

    def test_a_film_in_the_place_of_a_picture(self) -> None:
        data = encoded(photo(), "AVIF")
        start = data.index(b"mdat") + 4
        obus = data[start:] * 9
        place = data.index(b"iloc")
        # One place with one part, whose length is the last number.
        longer = data[: place + 22] + len(obus).to_bytes(4, "big") + data[place + 26 : start] + obus
        with pytest.raises(BadContent, match="a film in the place of one"):
            decode(longer, max_pixels=_MOST)

    def test_pictures_of_the_same_bytes_again_and_again(self) -> None:
        data = encoded(photo().convert("RGBA").rotate(30), "AVIF")
        first = data.index(b"iloc") + 12
        parts = data[first + 6 : first + 14]
        same = data[: first + 20] + parts + data[first + 28 :]
        with pytest.raises(ValueError, match="pictures within pictures"):
            frames_of(same)

    def test_a_film_is_the_picture_that_stands_for_it(self) -> None:
        film = encoded(photo(), "AVIF", save_all=True, append_images=[photo().rotate(180)])
        frames = frames_of(film)
        assert (frames.largest, frames.possible) == (96 * 64, 128 * 64)
        assert decode(film, max_pixels=_MOST).size == (96, 64)

    @settings(max_examples=300)
    @given(st.data())
    def test_any_bytes_have_frames_or_are_none(self, data: st.DataObject) -> None:
        content = bytearray(data.draw(st.sampled_from(avifs())))
        places = st.integers(0, min(500, len(content) - 1))
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
            content[place] = value
        try:
            found = frames_of(bytes(content[: data.draw(st.integers(0, len(content)))]))
        except (ValueError, IndexError):
            return
        assert 0 < found.largest <= found.together


@cache
def avifs() -> list[bytes]:
    return [
        encoded(photo(), "AVIF"),
        encoded(photo().convert("RGBA").rotate(30), "AVIF", xmp=b"<x/>"),
        encoded(photo(), "AVIF", save_all=True, append_images=[photo().rotate(180)]),
    ]
