from __future__ import annotations

import errno
import hashlib
import os
import socket
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from persqa.bad_images import BadContent
from persqa.errors import Infrastructure, Rejected
from persqa.images import ImageLimits, load_image
from persqa.reasons import Reason

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]


def load(
    reference: str,
    base: Path,
    *roots: Path,
    max_pixels: int = 1_000_000,
    max_bytes: int = 1_000_000,
) -> Image.Image:
    limits = ImageLimits(roots=roots, max_pixels=max_pixels, max_bytes=max_bytes)
    return load_image(reference, base=base, limits=limits)


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    quarters().save(folder / "good.png")
    quarters().save(tmp_path / "secret.png")
    return folder


class TestPaths:
    def test_relative(self, folder: Path) -> None:
        assert load("good.png", folder).size == (64, 64)

    def test_absolute(self, folder: Path, tmp_path: Path) -> None:
        assert load(str(folder / "good.png"), tmp_path / "elsewhere", folder).size == (64, 64)

    def test_spaces_and_unicode(self, folder: Path) -> None:
        (folder / "größe 山.png").write_bytes((folder / "good.png").read_bytes())
        assert load("größe 山.png", folder).size == (64, 64)

    def test_no_roots_means_the_base(self, folder: Path, tmp_path: Path) -> None:
        assert load(str(folder / "good.png"), folder).size == (64, 64)
        assert rejected(str(tmp_path / "secret.png"), folder).reason is Reason.OUTSIDE_ROOTS

    def test_given_roots_replace_the_base(self, folder: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        assert rejected("good.png", folder, other).reason is Reason.OUTSIDE_ROOTS

    def test_second_root(self, folder: Path, tmp_path: Path) -> None:
        assert load("good.png", folder, tmp_path / "other", folder).size == (64, 64)

    def test_whole_file_system_as_root(self, folder: Path) -> None:
        assert load("good.png", folder, Path("/")).size == (64, 64)
        assert load("../secret.png", folder, Path("/")).size == (64, 64)

    def test_relative_base_and_root(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder.parent)
        assert load("good.png", Path("data")).size == (64, 64)
        assert load("good.png", Path("data"), Path()).size == (64, 64)

    def test_root_that_is_a_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        assert load("good.png", tmp_path / "link").size == (64, 64)

    def test_link_inside_the_root(self, folder: Path) -> None:
        (folder / "link.png").symlink_to("good.png")
        assert load("link.png", folder).size == (64, 64)

    def test_dots_inside_the_root(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        assert load("sub/../good.png", folder).size == (64, 64)


class TestOutsideRoots:
    @pytest.mark.parametrize("reference", ["../secret.png", "sub/../../secret.png", "/etc/passwd", ".."])
    def test_plain(self, folder: Path, reference: str) -> None:
        assert rejected(reference, folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_to_a_file(self, folder: Path, tmp_path: Path) -> None:
        (folder / "link.png").symlink_to(tmp_path / "secret.png")
        assert rejected("link.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_to_a_folder(self, folder: Path, tmp_path: Path) -> None:
        (folder / "sub").symlink_to(tmp_path)
        assert rejected("sub/secret.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_dots_count_after_the_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        (folder / "sub").symlink_to(tmp_path / "a" / "b")
        assert rejected("sub/../good.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_sibling_with_the_same_beginning(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "data2").mkdir()
        quarters().save(tmp_path / "data2" / "a.png")
        assert rejected("../data2/a.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_does_not_tell_what_exists(self, folder: Path) -> None:
        here, missing = rejected("../secret.png", folder), rejected("../nothing.png", folder)
        assert here.reason is missing.reason is Reason.OUTSIDE_ROOTS

    def test_links_in_a_circle(self, folder: Path) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        assert rejected("a", folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_put_there_after_the_check(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_open = os.open

        def swap_and_open(path: Path, flags: int) -> int:
            path.unlink()
            path.symlink_to(tmp_path / "secret.png")
            return real_open(path, flags)

        monkeypatch.setattr(os, "open", swap_and_open)
        assert rejected("good.png", folder).reason is Reason.OUTSIDE_ROOTS


class TestBadPath:
    @pytest.mark.parametrize(
        ("reference", "sentence"),
        [
            ("", "the image path is empty"),
            ("a\0.png", r"a\x00.png: the path contains a NUL character"),
            ("a\ud800.png", r"a\ud800.png: the path is not valid Unicode"),
            ("a\udc80.png", r"a\udc80.png: the path is not valid Unicode"),
        ],
    )
    def test_sentence(self, folder: Path, reference: str, sentence: str) -> None:
        error = rejected(reference, folder)
        assert (error.reason, str(error)) == (Reason.BAD_PATH, sentence)

    @pytest.mark.parametrize("reference", ["n" * 300, "n/" * 3000, "é" * 200, "n/" * 1_000_000])
    @pytest.mark.timeout(5)
    def test_too_long(self, folder: Path, reference: str) -> None:
        error = rejected(reference, folder)
        assert error.reason is Reason.BAD_PATH
        assert len(str(error)) < 300

    def test_sentence_shows_no_control_characters(self, folder: Path) -> None:
        assert str(rejected("\x1b[2J\n\u202e.png", folder)) == r"\x1b[2J\n\u202e.png: no such file"


class TestNotAFile:
    def test_folder(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        assert rejected("sub", folder).reason is Reason.NOT_A_FILE
        assert rejected(".", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    def test_fifo_without_a_writer(self, folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        assert rejected("fifo", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    def test_fifo_with_a_writer(self, folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        descriptor = os.open(folder / "fifo", os.O_RDWR)
        try:
            assert rejected("fifo", folder).reason is Reason.NOT_A_FILE
        finally:
            os.close(descriptor)

    @pytest.mark.timeout(5)
    def test_socket(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)  # the address of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            assert rejected("socket", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    @pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
    def test_device(self, folder: Path, device: str) -> None:
        assert rejected(device, folder, Path("/")).reason is Reason.NOT_A_FILE

    def test_leaves_no_descriptor_open(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        rejected("sub", folder)  # whatever the first call opens for good is open now
        before = os.listdir("/dev/fd")  # noqa: PTH208 - counted, not walked
        for reference in ["sub", "good.png", "nothing"]:
            try:
                load(reference, folder)
            except Rejected:
                continue
        assert len(os.listdir("/dev/fd")) == len(before)  # noqa: PTH208


class TestOperatingSystem:
    def test_not_found(self, folder: Path) -> None:
        error = rejected("images/a.png", folder)
        assert (error.reason, str(error)) == (Reason.NOT_FOUND, "images/a.png: no such file")

    def test_file_taken_for_a_folder(self, folder: Path) -> None:
        assert rejected("good.png/a.png", folder).reason is Reason.NOT_FOUND

    def test_dangling_link(self, folder: Path) -> None:
        (folder / "link.png").symlink_to("nothing.png")
        assert rejected("link.png", folder).reason is Reason.NOT_FOUND

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
    def test_not_permitted_for_real(self, folder: Path) -> None:
        (folder / "good.png").chmod(0)
        assert rejected("good.png", folder).reason is Reason.NOT_PERMITTED

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (errno.EACCES, Reason.NOT_PERMITTED),
            (errno.EPERM, Reason.NOT_PERMITTED),
            (errno.EIO, Reason.UNREADABLE),
            (errno.ESTALE, Reason.UNREADABLE),
        ],
    )
    def test_open_fails(self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason) -> None:
        monkeypatch.setattr(os, "open", failing(number))
        assert rejected("good.png", folder).reason is reason

    def test_reading_fails(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fdopen", failing(errno.EIO))
        error = rejected("good.png", folder)
        assert error.reason is Reason.UNREADABLE
        assert str(error) == f"good.png: cannot be read: {os.strerror(errno.EIO)}"

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    def test_a_shortage_is_not_the_fault_of_the_file(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        monkeypatch.setattr(os, "open", failing(number))
        with pytest.raises(Infrastructure):
            load("good.png", folder)


def failing(number: int) -> Callable[..., int]:
    def fail(*_args: object, **_options: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


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
        assert str(error) == f"good.png: {size} bytes, more than the allowed {size - 1}"

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
        assert str(error) == "a: more pixels than the allowed 4095 (64 x 64)"

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

    def test_gif_frame_larger_than_its_screen(self, folder: Path) -> None:
        data = bytearray(encoded(Image.new("L", (8, 8)), "GIF"))
        frame = data.index(b"\x2c\0\0\0\0\x08\0\x08\0")
        data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
        (folder / "a.gif").write_bytes(data)
        assert rejected("a.gif", folder).reason is Reason.TOO_MANY_PIXELS


def bomb_header(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")


class TestContent:
    @pytest.mark.parametrize(
        "data",
        [b"\0", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"\x89PN", b"RIFF1234WAVE"],
    )
    def test_not_an_image(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.png").write_bytes(data)
        error = rejected("a.png", tmp_path)
        assert error.reason is Reason.NOT_AN_IMAGE
        assert str(error) == "a.png: none of the formats JPEG, PNG, WebP, GIF, TIFF, BMP"

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
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0*", b"BM"],
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


class TestPixels:
    @pytest.mark.parametrize("image_format", FORMATS)
    def test_colours(self, tmp_path: Path, image_format: str) -> None:
        image = loaded(encoded(quarters(), image_format), tmp_path)
        assert type(image) is Image.Image
        assert (image.mode, image.size, image.info) == ("RGB", (64, 64), {})
        tolerance = 12 if image_format in {"JPEG", "WEBP"} else 0
        corners = [(8, 8, RED), (56, 8, GREEN), (8, 56, BLUE), (56, 56, WHITE)]
        for x, y, colour in corners:
            assert near(image.getpixel((x, y)), colour, tolerance)

    @pytest.mark.parametrize("image_format", FORMATS)
    def test_one_pixel(self, tmp_path: Path, image_format: str) -> None:
        image = loaded(encoded(Image.new("RGB", (1, 1), WHITE), image_format), tmp_path)
        assert image.size == (1, 1)
        assert near(image.getpixel((0, 0)), WHITE, 2)

    def test_the_name_does_not_decide_the_format(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(encoded(quarters(), "JPEG"))
        assert load("a.png", tmp_path).size == (64, 64)

    def test_several_pictures_in_one_jpeg(self, tmp_path: Path) -> None:
        data = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
        with Image.open(BytesIO(data)) as opened:
            assert opened.format == "MPO"
        image = loaded(data, tmp_path)
        assert near(image.getpixel((8, 8)), RED, 12)

    @pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG"])
    def test_first_frame(self, tmp_path: Path, image_format: str) -> None:
        first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
        image = loaded(encoded(first, image_format, save_all=True, append_images=[second]), tmp_path)
        assert near(image.getpixel((8, 8)), RED, 2)

    @pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
    def test_transparent_over_white(self, tmp_path: Path, image_format: str) -> None:
        layer = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        layer.paste((255, 0, 0, 128), (8, 0, 16, 16))
        options = {"lossless": True} if image_format == "WEBP" else {}
        image = loaded(encoded(layer, image_format, **options), tmp_path)
        assert image.getpixel((2, 2)) == WHITE
        assert near(image.getpixel((12, 2)), (255, 127, 127), 1)

    @pytest.mark.parametrize("image_format", ["PNG", "GIF"])
    def test_transparent_palette(self, tmp_path: Path, image_format: str) -> None:
        image = Image.new("P", (4, 4), 0)
        image.putpalette([0, 0, 0, 0, 0, 255])
        image.putpixel((1, 1), 1)
        found = loaded(encoded(image, image_format, transparency=0), tmp_path)
        assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == (WHITE, BLUE)

    def test_partly_transparent_palette(self, tmp_path: Path) -> None:
        image = Image.new("P", (4, 4), 0)
        image.putpalette([0, 0, 0, 0, 0, 255])
        found = loaded(encoded(image, "PNG", transparency=b"\x80\xff"), tmp_path)
        assert near(found.getpixel((0, 0)), (127, 127, 127), 1)

    @pytest.mark.parametrize(("mode", "clear"), [("L", 0), ("RGB", (0, 0, 0)), ("1", 0)])
    def test_transparent_colour(self, tmp_path: Path, mode: str, clear: object) -> None:
        found = loaded(encoded(Image.new(mode, (4, 4), 0), "PNG", transparency=clear), tmp_path)
        assert found.getpixel((0, 0)) == WHITE

    def test_grey_with_alpha(self, tmp_path: Path) -> None:
        found = loaded(encoded(Image.new("LA", (4, 4), (0, 128)), "PNG"), tmp_path)
        assert near(found.getpixel((0, 0)), (127, 127, 127), 1)

    @pytest.mark.parametrize(("mode", "image_format"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I;16B", "TIFF")])
    @pytest.mark.parametrize(("deep", "shallow"), [(0, 0), (300, 1), (0x8080, 0x80), (65_535, 255)])
    def test_sixteen_bits(self, tmp_path: Path, mode: str, image_format: str, deep: int, shallow: int) -> None:
        found = loaded(encoded(Image.new(mode, (4, 4), deep), image_format), tmp_path)
        assert found.getpixel((2, 2)) == (shallow,) * 3

    @pytest.mark.parametrize(("mode", "low", "high"), [("I", -5, 70_000), ("F", 0.0, 1.0), ("F", -1e6, 1e6)])
    def test_own_range(self, tmp_path: Path, mode: str, low: float, high: float) -> None:
        image = Image.new(mode, (4, 4), type(low)((low + high) / 2))
        image.putpixel((0, 0), low)
        image.putpixel((1, 1), high)
        found = loaded(encoded(image, "TIFF"), tmp_path)
        assert found.getpixel((0, 0)) == (0, 0, 0)
        assert found.getpixel((1, 1)) == WHITE
        assert near(found.getpixel((2, 2)), (127, 127, 127), 1)

    @pytest.mark.parametrize("mode", ["I", "F"])
    def test_range_of_one_value(self, tmp_path: Path, mode: str) -> None:
        assert loaded(encoded(Image.new(mode, (4, 4), 9), "TIFF"), tmp_path).mode == "RGB"

    @pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
    def test_cmyk(self, tmp_path: Path, image_format: str) -> None:
        found = loaded(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), image_format), tmp_path)
        assert near(found.getpixel((2, 2)), RED, 3)

    @pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "GIF"])
    def test_one_bit(self, tmp_path: Path, image_format: str) -> None:
        image = Image.new("1", (16, 16), 0)
        image.putpixel((1, 1), 1)
        found = loaded(encoded(image, image_format), tmp_path)
        assert (found.getpixel((0, 0)), found.getpixel((1, 1))) == ((0, 0, 0), WHITE)


class TestOrientation:
    # Where the red corner of the stored picture belongs, and the size of the upright one.
    UPRIGHT = (
        (1, (4, 4), (64, 32)),
        (2, (60, 4), (64, 32)),
        (3, (60, 28), (64, 32)),
        (4, (4, 28), (64, 32)),
        (5, (4, 4), (32, 64)),
        (6, (28, 4), (32, 64)),
        (7, (28, 60), (32, 64)),
        (8, (4, 60), (32, 64)),
    )

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize(("orientation", "red", "size"), UPRIGHT)
    def test_turned(
        self,
        tmp_path: Path,
        image_format: str,
        orientation: int,
        red: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        image = Image.new("RGB", (64, 32), WHITE)
        image.paste(RED, (0, 0, 16, 8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = loaded(encoded(image, image_format, exif=exif), tmp_path)
        assert found.size == size
        assert near(found.getpixel(red), RED, 16)
        assert not found.getexif()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff"])
    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
    def test_damaged_exif_is_ignored(self, tmp_path: Path, image_format: str, exif: bytes) -> None:
        try:
            data = encoded(quarters(), image_format, exif=exif)
        except ValueError:
            pytest.skip("Pillow does not write it")
        assert loaded(data, tmp_path).size == (64, 64)

    @pytest.mark.parametrize("orientation", [0, 9, 65_535])
    def test_unknown_orientation(self, tmp_path: Path, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert loaded(encoded(quarters(), "JPEG", exif=exif), tmp_path).size == (64, 64)


def samples() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = quarters(24)
    plain = [encoded(picture, image_format) for image_format in FORMATS]
    turned = [encoded(picture, image_format, exif=exif) for image_format in ["JPEG", "PNG", "WEBP", "TIFF"]]
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
