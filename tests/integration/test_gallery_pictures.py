"""Pictures of items over HTTP: what is sent is decoded and encoded anew, and comes through the worker's door only."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import ExifTags, Image, ImageChops, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from persqa.blobs import BlobStore, blob_reference
from persqa.runs import parse_options
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from producer.web.pictures import _Room  # pyright: ignore[reportPrivateUsage]
from producer.web.server import Server
from tests.support.asking import Answered, ask
from tests.support.builders import an_item
from tests.support.pictures import GREEN, RED, encoded, near, png_of_zeros, quarters
from tests.support.wait import wait_until
from tests.support.web import WebServer, drip, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image as Picture


@dataclass
class Shown:
    """A gallery of a run whose items have these pictures."""

    folder: Path
    address: str
    first: int

    def get(self, index: int, size: str = "thumb", place: int = 0, **headers: str) -> Answered:
        return ask(self.address, f"/runs/r/items/{self.first + index}/pictures/{place}?size={size}", **headers)

    def picture(self, index: int, size: str = "thumb") -> Picture:
        answer = self.get(index, size)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg"), answer.body[:300]
        return Image.open(BytesIO(answer.body))


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """Serves a run whose items have these references, from a folder."""
    with ExitStack() as stack:

        def shown(references: Sequence[str | Sequence[str]], **settings: Any) -> Shown:
            database = f"sqlite:///{tmp_path}/persqa.db"
            with closing(Store.open(database)) as store:
                run = store.runs.create(
                    "r", options=parse_options(), pool_digest="p", fingerprint="f", base=str(tmp_path),
                    item_count=len(references),
                )  # fmt: skip
                images = [(one,) if isinstance(one, str) else tuple(one) for one in references]
                items = [an_item(run.id, index, images=some) for index, some in enumerate(images)]
                store.ledger.add(items, [])
            given = load_settings(database_url=database, blob_store=str(tmp_path / "blobs"), **settings)
            client = stack.enter_context(Client(given, local_worker=False))
            server = stack.enter_context(Server(client))
            return Shown(tmp_path, server.address.rstrip("/"), items[0].id)

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
            assert max(high for _, high in difference.getextrema()) < 12, size  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType, reportUnknownArgumentType]
    assert shown.picture(2).size == (320, 2)
    assert shown.picture(3).size == (3, 3)
    assert "size" in shown.get(0, "huge").text


def test_a_page_with_a_giant_among_others_takes_bounded_memory(show: Callable[..., Shown], tmp_path: Path) -> None:
    (tmp_path / "giant.png").write_bytes(png_of_zeros(10_000, 10_000, rows=10_000))
    Image.effect_noise((1632, 1224), 40).convert("RGB").save(tmp_path / "photo.jpg")
    photo = (tmp_path / "photo.jpg").read_bytes()
    for index in range(59):
        # Behind its end, so that each is another file.
        (tmp_path / f"{index}.jpg").write_bytes(photo + str(index).encode())
    names = [f"{index}.jpg" for index in range(59)]
    names.insert(30, "giant.png")
    shown = show(names, max_image_pixels=100_000_000)
    assert shown.get(0).status == 200
    process, ended, most = psutil.Process(os.getpid()), threading.Event(), list[int]()
    before = process.memory_info().rss

    def watch() -> None:
        while not ended.wait(0.005):
            most.append(process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPool(12) as pool:
            answers = pool.map(shown.get, range(60))
    finally:
        ended.set()
        watcher.join()
    assert {answer.status for answer in answers} == {200}
    assert max(most) < 400 * 2**20, max(most)


def test_what_is_decoded_at_once_fits_and_a_giant_is_alone() -> None:
    room, used, most, alone = _Room(100), 0, list[int](), list[bool]()
    lock = threading.Lock()

    def decode(size: int) -> None:
        nonlocal used
        with room.of(size):
            with lock:
                used += size
                most.append(used)
            threading.Event().wait(0.002)
            with lock:
                alone.append(size <= 100 or used == size)
                used -= size

    with ThreadPool(16) as pool:
        pool.map(decode, [30, 60, 700, 10] * 20, chunksize=1)
    assert len(most) == 80
    assert all(alone)
    assert all(together <= 100 or together == 700 for together in most)
    assert max(together for together in most if together <= 100) > 60


def test_one_picture_of_many_items_is_read_and_made_once(
    show: Callable[..., Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(quarters(), "PNG"))
    shown = show(["a.png"] * 12)
    made = list[str]()

    def save(self: Image.Image, *args: Any, real: Any = Image.Image.save, **how: Any) -> None:
        made.append(self.mode)
        real(self, *args, **how)

    monkeypatch.setattr(Image.Image, "save", save)
    with ThreadPool(6) as pool:
        answers = pool.map(shown.get, range(12))
    assert {answer.status for answer in answers} == {200}
    assert len(made) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1


def test_for_a_thumbnail_a_part_of_a_photograph_is_decoded(
    show: Callable[..., Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.effect_noise((1632, 1224), 40).convert("RGB").save(tmp_path / "photo.jpg")
    shown = show(["photo.jpg"])
    decoded = list[tuple[int, int]]()

    def load(self: JpegImageFile, real: Any = JpegImageFile.load) -> object:
        decoded.append(self.size)
        return real(self)

    monkeypatch.setattr(JpegImageFile, "load", load)
    assert shown.picture(0).size == (320, 240)
    # The quarter that still has all that the thumbnail shows.
    assert decoded[0] == (408, 306)
    before = len(decoded)
    assert shown.get(0).status == 200
    assert len(decoded) == before


def test_records_of_the_page_name_no_path(show: Callable[..., Shown]) -> None:
    shown = show(["none.png"])
    said = shown.get(0).text
    assert said.startswith("none.png: ")
    assert json.dumps(str(shown.folder)) not in said
