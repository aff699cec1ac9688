"""What a model sees of an image: its pixels, upright and in three colours."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import BLUE, FORMATS, GREEN, RED, WHITE, encoded, load, loaded, near, quarters


class TestPixels:
    @pytest.mark.parametrize("image_format", FORMATS)
    def test_colours(self, tmp_path: Path, image_format: str) -> None:
        image = loaded(encoded(quarters(), image_format), tmp_path)
        assert type(image) is Image.Image
        assert (image.mode, image.size, image.info) == ("RGB", (64, 64), {})
        tolerance = 12 if image_format in {"JPEG", "WEBP", "AVIF"} else 0
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

    @pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG", "AVIF"])
    def test_first_frame(self, tmp_path: Path, image_format: str) -> None:
        first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
        image = loaded(encoded(first, image_format, save_all=True, append_images=[second]), tmp_path)
        assert near(image.getpixel((8, 8)), RED, 2)

    @pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "AVIF"])
    def test_transparent_over_white(self, tmp_path: Path, image_format: str) -> None:
        layer = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        layer.paste((255, 0, 0, 128), (8, 0, 16, 16))
        options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(image_format, {})
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

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
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
