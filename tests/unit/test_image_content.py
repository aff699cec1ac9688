"""Whatever the bytes are, they are an image or are refused with a reason."""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from persqa.bad_images import BadContent
from persqa.errors import Rejected
from persqa.images import decoding_bytes
from persqa.reasons import Reason
from tests.support.pictures import FORMATS, encoded, load, loaded, noise, png_chunk, png_of_zeros, quarters, rejected


class TestSizes:
    def test_empty(self, folder: Path) -> None:
        (folder / "a.png").touch()
        error = rejected("a.png", folder)
        assert (error.reason, str(error)) == (Reason.EMPTY_FILE, "a.png: the file is empty")

    def test_bytes(self, folder: Path) -> None:
        size = (folder / "good.png").stat().st_size
        assert load("good.png", folder, max_bytes=size).size == (64, 64)
        error = rejected("good.png", folder, max_bytes=size - 1)
        assert error.reason is Reason.TOO_MANY_BYTES
        assert str(error) == f"good.png: {size} bytes, more than the allowed {size - 1} (PERSQA_MAX_IMAGE_BYTES)"

    @pytest.mark.timeout(5)
    def test_bytes_are_counted_before_reading(self, folder: Path) -> None:
        with (folder / "big").open("wb") as file:
            file.truncate(2**40)
        assert rejected("big", folder).reason is Reason.TOO_MANY_BYTES

    @pytest.mark.parametrize("image_format", FORMATS)
    def test_pixels(self, folder: Path, image_format: str) -> None:
        (folder / "a").write_bytes(encoded(quarters(), image_format))
        assert load("a", folder, max_pixels=64 * 64).size == (64, 64)
        error = rejected("a", folder, max_pixels=64 * 64 - 1)
        assert error.reason is Reason.TOO_MANY_PIXELS
        assert str(error) == "a: more pixels than the allowed 4095 (PERSQA_MAX_IMAGE_PIXELS): 64 x 64"

    def test_bomb(self, folder: Path) -> None:
        data = png_of_zeros(20_000, 20_000, rows=20_000)
        assert len(data) < 100_000
        (folder / "bomb.png").write_bytes(data)
        started = time.monotonic()
        error = rejected("bomb.png", folder, max_pixels=50_000_000)
        assert time.monotonic() - started < 1
        assert error.reason is Reason.TOO_MANY_PIXELS

    @pytest.mark.parametrize("side", [9_000, 12_000, 14_000, 2**31 - 1])
    def test_around_the_limits_of_pillow(self, folder: Path, side: int) -> None:
        (folder / "a.png").write_bytes(png_of_zeros(side, side, rows=0) if side < 2**20 else bomb_header(side))
        assert rejected("a.png", folder, max_pixels=50_000_000).reason is Reason.TOO_MANY_PIXELS

    def test_only_our_limit_counts(self, folder: Path) -> None:
        (folder / "a.png").write_bytes(png_of_zeros(10_000, 10_000, rows=10_000))
        assert load("a.png", folder, max_pixels=100_000_000).size == (10_000, 10_000)

    @pytest.mark.timeout(5)
    def test_webp_canvas(self, folder: Path) -> None:
        data = bytearray(encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 100)), "WEBP", exif=b"Exif\0\0"))
        assert data[12:16] == b"VP8X"
        data[24:30] = (16_382).to_bytes(3, "little") * 2
        (folder / "a.webp").write_bytes(data)
        assert rejected("a.webp", folder).reason is Reason.TOO_MANY_PIXELS

    def test_tiff_tile_larger_than_its_picture(self, folder: Path) -> None:
        (folder / "a.tiff").write_bytes(tiff_of_one_tile(64, 128))
        assert load("a.tiff", folder, max_pixels=128 * 128).size == (64, 64)
        assert decoding_bytes(tiff_of_one_tile(64, 128), max_pixels=128 * 128) >= 128 * 128
        error = rejected("a.tiff", folder, max_pixels=128 * 128 - 1)
        assert (error.reason, "128 x 128" in str(error)) == (Reason.TOO_MANY_PIXELS, True)

    def test_gif_frame_larger_than_its_screen(self, folder: Path) -> None:
        data = bytearray(encoded(Image.new("L", (8, 8)), "GIF"))
        frame = data.index(b"\x2c\0\0\0\0\x08\0\x08\0")
        data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
        (folder / "a.gif").write_bytes(data)
        assert rejected("a.gif", folder).reason is Reason.TOO_MANY_PIXELS


def tiff_of_one_tile(side: int, tile: int) -> bytes:
    """A grey picture in one tile."""
    pixels = zlib.compress(bytes(tile * tile))
    offset = 8 + 2 + 12 * 10 + 4
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: tile, 324: offset, 325: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def bomb_header(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")


class TestContent:
    @pytest.mark.parametrize(
        "data",
        [b"\0", b"hello", b"\x89PN", b"RIFF1234WAVE", b"BM", b"BMW is a car, and this is a text about one."],
    )
    def test_not_an_image(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.png").write_bytes(data)
        error = rejected("a.png", tmp_path)
        assert error.reason is Reason.NOT_AN_IMAGE
        assert str(error) == "a.png: none of the formats JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF"

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"%PDF-1.7\n", "PDF"),
            (b"<!doctype html><title>404</title>", "HTML page"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        ],
    )
    def test_what_it_is_instead(self, tmp_path: Path, data: bytes, name: str) -> None:
        (tmp_path / "a.png").write_bytes(data)
        assert str(rejected("a.png", tmp_path)).endswith(f" (found: {name})")

    @pytest.mark.parametrize("image_format", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "PDF", "EPS"])
    def test_other_formats_are_not_allowed(self, tmp_path: Path, image_format: str) -> None:
        (tmp_path / "a.png").write_bytes(encoded(quarters(), image_format))
        assert rejected("a.png", tmp_path).reason is Reason.NOT_AN_IMAGE

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    @pytest.mark.parametrize("image_format", FORMATS)
    def test_truncated(self, tmp_path: Path, image_format: str, share: float) -> None:
        data = encoded(noise(), image_format)
        (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
        error = rejected("a", tmp_path)
        assert error.reason is Reason.BROKEN_IMAGE
        assert str(error).lower().startswith(f"a: the {image_format.lower()} data is truncated or corrupt (")

    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
    def test_truncated_compressed_tiff(self, tmp_path: Path, compression: str) -> None:
        data = encoded(noise(), "TIFF", compression=compression)
        (tmp_path / "a").write_bytes(data[: len(data) // 2])
        assert rejected("a", tmp_path).reason is Reason.BROKEN_IMAGE

    @pytest.mark.parametrize(
        "magic",
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBP",
            b"GIF89a",
            b"II*\0",
            b"MM\0*",
            b"\0\0\0\x18ftypavif",
        ],
    )
    def test_only_the_magic(self, tmp_path: Path, magic: bytes) -> None:
        (tmp_path / "a").write_bytes(magic)
        assert rejected("a", tmp_path).reason is Reason.BROKEN_IMAGE

    def test_wrong_checksum(self, tmp_path: Path) -> None:
        data = bytearray(encoded(noise(), "PNG"))
        data[-20] ^= 0xFF  # the last byte before the IEND chunk and the checksum in front of it
        (tmp_path / "a").write_bytes(data)
        assert rejected("a", tmp_path).reason is Reason.BROKEN_IMAGE

    @pytest.mark.parametrize("trouble", [KeyError("x"), AssertionError(), MemoryError(), RecursionError()])
    def test_whatever_the_decoder_raises(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
    ) -> None:
        def fail(_image: object) -> None:
            raise trouble

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
        error = rejected("good.png", folder)
        assert error.reason is Reason.BROKEN_IMAGE
        # That this machine has too little memory is nothing to remember of the image.
        assert isinstance(error, BadContent) is not isinstance(trouble, MemoryError)


class TestRemembered:
    @pytest.mark.parametrize("data", [b"no image", encoded(noise(), "PNG")[:500], b"GIF89a"])
    def test_what_the_bytes_alone_decide_is_named_by_their_digest(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.png").write_bytes(data)
        error = rejected("a.png", tmp_path)
        assert isinstance(error, BadContent)
        assert error.image.digest == hashlib.sha256(data).hexdigest()
        assert str(error) == f"a.png: {error.image.detail}"
        assert error.image.reason is error.reason

    def test_what_a_limit_decides_is_not(self, folder: Path) -> None:
        for limits in ({"max_pixels": 9}, {"max_bytes": 9}):
            assert not isinstance(rejected("good.png", folder, **limits), BadContent)

    @pytest.mark.parametrize("reference", ["missing.png", "../secret.png", "", "http://a/b", "data:,"])
    def test_what_was_not_read_is_not(self, folder: Path, reference: str) -> None:
        assert not isinstance(rejected(reference, folder), BadContent)


class TestOtherWays:
    def test_a_data_uri_and_a_file_url_give_the_same_picture(self, folder: Path) -> None:
        data = (folder / "good.png").read_bytes()
        given = load("good.png", folder)
        for reference in (f"file://{folder}/good.png", f"data:image/png;base64,{b64encode(data).decode()}"):
            assert load(reference, folder) == given

    @pytest.mark.timeout(5)
    def test_a_bomb_in_a_data_uri_is_refused(self, folder: Path) -> None:
        bomb = b64encode(png_of_zeros(20_000, 20_000, rows=20_000)).decode()
        assert rejected(f"data:;base64,{bomb}", folder).reason is Reason.TOO_MANY_PIXELS


def samples() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = quarters(24)
    plain = [encoded(picture, image_format) for image_format in FORMATS]
    turned = [encoded(picture, image_format, exif=exif) for image_format in ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]]
    packed = [encoded(picture, "TIFF", compression=name) for name in ["tiff_lzw", "jpeg", "packbits"]]
    clear = [encoded(picture.convert("RGBA"), image_format) for image_format in ["PNG", "WEBP", "TIFF"]]
    moving = [encoded(picture, f, save_all=True, append_images=[noise(24, 24)]) for f in ["GIF", "WEBP", "PNG"]]
    deep = [encoded(Image.new("I;16", (24, 24), 9), image_format) for image_format in ["PNG", "TIFF"]]
    return plain + turned + packed + clear + moving + deep


SAMPLES = samples()
BAD_CONTENT = {Reason.EMPTY_FILE, Reason.NOT_AN_IMAGE, Reason.BROKEN_IMAGE, Reason.TOO_MANY_PIXELS}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    # Headers decide most, and lie in front.
    position = st.one_of(st.integers(0, min(63, len(data) - 1)), st.integers(0, len(data) - 1))
    for index, value in draw(st.lists(st.tuples(position, st.integers(0, 255)), max_size=8)):
        data[index] = value
    return bytes(data[: draw(st.integers(1, len(data)))]) if draw(st.booleans()) else bytes(data)


random_bytes = st.one_of(
    st.binary(max_size=256),
    st.builds(
        bytes.__add__,
        st.sampled_from([data[:size] for data in SAMPLES for size in (4, 12, 32)]),
        st.binary(max_size=256),
    ),
)


@pytest.mark.timeout(120)
@settings(max_examples=600, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(random_bytes, mutated()))
def test_any_bytes_are_an_image_or_rejected(tmp_path: Path, data: bytes) -> None:
    outcome = image_or_rejection(data, tmp_path)
    if isinstance(outcome, Rejected):
        assert outcome.reason in BAD_CONTENT
        assert str(outcome).isprintable()
    else:
        assert outcome.mode == "RGB"
        assert outcome.width * outcome.height <= 1_000_000


def image_or_rejection(data: bytes, folder: Path) -> Image.Image | Rejected:
    try:
        return loaded(data, folder)
    except Rejected as rejection:
        return rejection


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reference=st.text(alphabet=st.characters(exclude_categories=[]), max_size=40))
def test_any_reference_is_rejected(tmp_path: Path, reference: str) -> None:
    error = rejected(reference, tmp_path)
    assert str(error).isprintable()
    str(error).encode()
