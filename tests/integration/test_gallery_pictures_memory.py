"""What pages of pictures take: memory, and work that is done once."""

from __future__ import annotations

import os
import threading
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from producer.web.pictures import _Room
from tests.support.pictures import encoded, png_of_zeros, quarters
from tests.support.showing import Shown, showing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    with showing(tmp_path) as shown:
        yield shown


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
