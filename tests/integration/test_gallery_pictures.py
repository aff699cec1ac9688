"""Pictures of items over HTTP: what is sent is decoded and encoded anew, and comes through the worker's door only."""

from __future__ import annotations

import threading
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image, ImageChops, PngImagePlugin

from persqa.blobs import BlobStore, blob_reference
from tests.support.asking import ask
from tests.support.pictures import GREEN, RED, encoded, near, quarters
from tests.support.showing import Shown, showing
from tests.support.wait import wait_until
from tests.support.web import WebServer, drip, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    with showing(tmp_path) as shown:
        yield shown


def _secretive() -> dict[str, bytes]:
    """Files of every format, and of odd modes, with a secret in whatever notes they can carry."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "SECRET"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "SECRET"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET")
    square = quarters(64)
    return {
        "turned.jpg": encoded(square, "JPEG", quality=95, subsampling=0, exif=exif, comment=b"SECRET"),
        "turned.webp": encoded(square, "WEBP", lossless=True, exif=exif, xmp=b"SECRET"),
        "turned.avif": encoded(square, "AVIF", quality=95, exif=exif),
        "text.png": encoded(square, "PNG", pnginfo=notes),
        "comment.gif": encoded(square, "GIF", comment=b"SECRET"),
        "cmyk.jpg": encoded(square.convert("CMYK"), "JPEG", quality=95, subsampling=0),
        "description.tif": encoded(square, "TIFF", description="SECRET"),
        "deep.png": encoded(square.convert("I;16"), "PNG"),
        "grey.png": encoded(square.convert("LA"), "PNG"),
        "plain.bmp": encoded(square, "BMP"),
    }


def test_every_format_is_sent_as_a_jpeg_without_a_word_of_the_file(show: Callable[..., Shown], tmp_path: Path) -> None:
    files = _secretive()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    shown = show(list(files))
    for index, name in enumerate(files):
        answer = shown.get(index, "full")
        image = shown.picture(index, "full")
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64)), name
        assert not image.getexif(), name
        assert not {"comment", "exif", "icc_profile", "xmp", "photoshop"} & image.info.keys(), name
        assert b"SECRET" not in answer.body, name
        corner = image.getpixel((8, 8)) if name.startswith("turned") else image.getpixel((56, 8))
        # What was below on the left is above on the left where the file says that it lies on its side.
        if name.startswith("turned"):
            assert near(corner, (0, 0, 255), 30), name
        elif name not in {"deep.png", "grey.png"}:
            assert near(corner, GREEN, 60), name


def test_what_is_no_picture_is_a_sentence(show: Callable[..., Shown], tmp_path: Path) -> None:
    script = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    bad = {
        "drawing.svg": script,
        "drawing.png": script,
        "page.html": b"<html><script>alert(1)</script>",
        "empty.png": b"",
        "cut.jpg": encoded(quarters(), "JPEG")[:300],
        "zip.jpg": b"PK\x03\x04" + bytes(99),
        "<b>\u202e\x1b[31m.txt": b"text",
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.png").mkdir()
    shown = show([*bad, "folder.png", "none.png"])
    for index, name in enumerate([*bad, "folder.png", "none.png"]):
        answer = shown.get(index)
        assert answer.status == 404, name
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.text) > 20
        assert not {"\u202e", "\x1b"} & set(answer.text), name
        assert "script" not in answer.text


def test_pictures_come_through_the_workers_door(show: Callable[..., Shown], tmp_path_factory: Any) -> None:
    elsewhere: Path = tmp_path_factory.mktemp("elsewhere")
    png = encoded(quarters(), "PNG")
    (elsewhere / "secret.png").write_bytes(png)
    with WebServer() as web:
        web.pages["/a.png"] = page(png)
        blobs = ("a" * 64, "../../secret", "0" * 64 + "/../x")
        shown = show([
            str(elsewhere / "secret.png"), f"../{elsewhere.name}/secret.png", "link.png", f"file://{elsewhere}/secret.png",
            f"{web.url}/a.png", "http://169.254.169.254/latest", "s3://bucket/a.png", "gopher://x/",
            *(f"blob:{name}" for name in blobs), "data:image/svg+xml,<svg/>", "a\0b.png", "/proc/self/environ",
        ])  # fmt: skip
        (shown.folder / "link.png").symlink_to(elsewhere / "secret.png")
        for index in range(15):
            if index < 14:
                answer = shown.get(index)
                assert (answer.status, answer.headers["content-type"][:10]) == (404, "text/plain"), index
        assert not web.asked


def test_what_is_allowed_is_shown(show: Callable[..., Shown], tmp_path: Path) -> None:
    png, red = encoded(quarters(), "PNG"), encoded(Image.new("RGB", (9, 9), RED), "PNG")
    digest = BlobStore(str(tmp_path / "blobs")).put(png)
    (tmp_path / "a.png").write_bytes(png)
    (tmp_path / "b.png").write_bytes(red)
    with WebServer() as web:
        web.pages["/a.png"] = page(png, Content_Type="text/html")
        web.pages["/slow.png"] = drip(first=b"HTTP/1.1 200 OK\r\n\r\n" + png[:60], each=b"\0")
        shown = show(
            [blob_reference(digest, "x.png"), f"{web.url}/a.png", ["a.png", "b.png"], f"{web.url}/slow.png"],
            image_hosts="127.0.0.1",
            image_allow_private=True,
            image_seconds=0.5,
        )
        for index in (0, 1, 2):
            assert shown.picture(index).size == (64, 64)
        second = shown.get(2, place=1)
        assert near(Image.open(BytesIO(second.body)).getpixel((4, 4)), RED, 10)
        assert "has 2 pictures" in shown.get(2, place=2).text
        slow = shown.get(3)
        assert (slow.status, "within 0.5 s" in slow.text) == (404, True)


def test_slow_servers_keep_no_other_picture_and_no_end_waiting(show: Callable[..., Shown], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(quarters(), "PNG"))
    with WebServer() as web:
        for index in range(20):
            web.pages[f"/{index}.png"] = drip(first=b"HTTP/1.1 200 OK\r\n\r\n", each=b"\0")
        slow = [f"{web.url}/{index}.png" for index in range(20)]
        shown = show([*slow, "a.png"], image_hosts="127.0.0.1", image_allow_private=True)
        for index in range(20):
            threading.Thread(target=_quietly, args=(shown, index), daemon=True).start()
        wait_until(lambda: len(web.asked) > 10, describe="servers are asked")
        started = time.monotonic()
        assert shown.picture(20).size == (64, 64)
        assert ask(shown.address).status == 200
        assert time.monotonic() - started < 5
        # At its end the fixture closes the server, while they are still waited for.


def _quietly(shown: Shown, index: int) -> None:
    try:
        shown.get(index)
    except OSError:
        return


def test_a_file_that_changes_is_seen(
    show: Callable[..., Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, green = (encoded(Image.new("RGB", (9, 9), colour), "PNG") for colour in (RED, GREEN))
    (tmp_path / "a.png").write_bytes(red)
    shown = show(["a.png", "a.png"])
    before = shown.get(0)
    again = shown.get(0, if_none_match=before.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", before.headers["etag"])
    (tmp_path / "a.png").write_bytes(green)
    assert near(shown.picture(1).getpixel((4, 4)), GREEN, 10)
    _later(monkeypatch, seconds=120)
    after = shown.get(0, if_none_match=before.headers["etag"])
    assert (after.status, near(Image.open(BytesIO(after.body)).getpixel((4, 4)), GREEN, 10)) == (200, True)
    (tmp_path / "a.png").unlink()
    assert shown.get(0).status == 200
    _later(monkeypatch, seconds=120)
    assert shown.get(0).status == 404


def _later(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    now = time.monotonic

    def later() -> float:
        return now() + seconds

    monkeypatch.setattr("producer.web.pictures.time.monotonic", later)


def test_sizes_fit_and_look_like_the_picture(show: Callable[..., Shown], tmp_path: Path) -> None:
    photo = Image.radial_gradient("L").resize((2000, 1000)).convert("RGB")
    for ending in ("jpg", "png"):
        photo.save(tmp_path / f"a.{ending}")
    Image.new("RGB", (5000, 2)).save(tmp_path / "line.png")
    Image.new("RGB", (3, 3)).save(tmp_path / "dot.png")
    shown = show(["a.jpg", "a.png", "line.png", "dot.png"])
    for size, wanted in {"thumb": (320, 160), "screen": (1600, 800), "full": (2000, 1000)}.items():
        for index in (0, 1):
            image = shown.picture(index, size)
            assert image.size == wanted
            difference = ImageChops.difference(image, photo.resize(wanted, Image.Resampling.LANCZOS))
            assert max(high for _, high in difference.getextrema()) < 12, size  # pyrefly: ignore[not-iterable]
    assert shown.picture(2).size == (320, 2)
    assert shown.picture(3).size == (3, 3)
    assert "size" in shown.get(0, "huge").text
