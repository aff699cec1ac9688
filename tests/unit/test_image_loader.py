"""Loading images in a worker, and what is known of broken contents."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from persqa.bad_images import BadContent, BadImage
from persqa.blobs import BlobStore, blob_reference
from persqa.errors import Rejected, SettingsError, StoreUnavailable
from persqa.reasons import Reason
from persqa.settings import load_settings
from tests.support.web import WebServer, page
from worker.images import loader as image_loader
from worker.images.budget import Budget, Share
from worker.images.loader import ImageLoader, NamedImage
from worker.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.images import Content


class Memory:
    """What is known, as the store would say it."""

    def __init__(self) -> None:
        self.images: dict[str, BadImage] = {}
        self.asked: list[list[str]] = []
        self.away = False

    def known(self, digests: Iterable[str]) -> dict[str, BadImage]:
        if self.away:
            raise StoreUnavailable("the database is away")
        self.asked.append(list(digests))
        return {digest: self.images[digest] for digest in self.asked[-1] if digest in self.images}

    def forget(self, digests: Iterable[str]) -> None:
        for digest in digests:
            del self.images[digest]

    def blame(self, data: bytes) -> str:
        digest = BlobStore("blobs").put(data)
        self.images[digest] = BadImage(digest=digest, reason=Reason.BROKEN_IMAGE, detail="it was broken")
        return digest


@pytest.fixture
def memory() -> Memory:
    return Memory()


def picture(colour: int = 0) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def load(
    memory: Memory, *references: str, recheck: bool = False, prepare: Halves | None = None
) -> list[Picture | BaseException]:
    """Load all of them at once, with what becomes of each."""

    async def load_all() -> list[Picture | BaseException]:
        settings = load_settings(blob_store="blobs")
        options = {"resolution": None, "prepare": prepare, "stop": threading.Event()}
        loader = ImageLoader(memory, settings, **options)  # pyrefly: ignore[bad-argument-type]
        with closing(loader):
            named = [NamedImage(base=str(Path.cwd()), reference=name, recheck=recheck) for name in references]
            budget = Budget(settings.image_memory_bytes)
            with budget.item() as age:
                shares = [Share(budget, age) for _ in named]
                loads = [loader.load(image, share) for image, share in zip(named, shares, strict=True)]
                found = await asyncio.gather(*loads, return_exceptions=True)
            # What is being made counts, and afterwards only what there is.
            assert prepare is None or all(share.wanted > prepare.most_bytes for share in shares)
            assert all(
                share.size == one.nbytes for share, one in zip(shares, found, strict=True) if isinstance(one, Picture)
            )
            return found

    return asyncio.run(load_all())


def test_contents_are_looked_up_many_at_once(memory: Memory) -> None:
    for number in range(50):
        Path(f"{number}.png").write_bytes(picture(number))
    found = load(memory, *(f"{number}.png" for number in range(50)))
    assert all(isinstance(one, Picture) for one in found)
    assert sum(map(len, memory.asked)) == 50
    assert len(memory.asked) < 25


class Halves:
    """Makes of an image something of half of its width; it takes none of that height."""

    most_bytes = 1000

    def __init__(self, refused: int) -> None:
        self.refused = refused

    def __call__(self, image: Image.Image) -> Halved:
        if image.height == self.refused:
            raise Rejected(Reason.REFUSED, f"no picture of {image.height}")
        return Halved(image.width // 2)


class Halved(bytearray):
    @property
    def nbytes(self) -> int:
        return len(self)


def test_an_engine_that_prepares_images_gets_what_it_made_of_them(memory: Memory) -> None:
    Path("good.png").write_bytes(picture())
    (found,) = load(memory, "good.png", prepare=Halves(refused=9))
    assert isinstance(found, Picture)
    assert (found.pixels, found.nbytes) == (bytearray(4), 4)
    (refused,) = load(memory, "good.png", prepare=Halves(refused=8))
    assert isinstance(refused, Rejected)
    assert str(refused) == "no picture of 8"


def test_what_is_known_to_be_bad_is_not_decoded(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("good.png").write_bytes(picture())
    memory.blame(picture())
    monkeypatch.setattr(image_loader, "decode_image", never)
    (refused,) = load(memory, "good.png")
    assert isinstance(refused, Rejected)
    assert not isinstance(refused, BadContent)
    assert str(refused).startswith("good.png: it was broken; known since ")


def test_a_blob_that_is_known_to_be_bad_is_not_even_read(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = memory.blame(picture())
    monkeypatch.setattr(image_loader, "read_image", never)
    (refused,) = load(memory, blob_reference(digest, "a.png"))
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.BROKEN_IMAGE


def test_a_recheck_decodes_it_and_forgets(memory: Memory) -> None:
    Path("good.png").write_bytes(picture())
    memory.blame(picture())
    broken = memory.blame(picture()[:40])
    first, second = load(memory, "good.png", blob_reference(broken), recheck=True)
    assert isinstance(first, Picture)
    assert isinstance(second, BadContent)
    assert second.image.digest == broken
    assert memory.images == {}


def test_without_a_database_images_are_tried(memory: Memory) -> None:
    Path("good.png").write_bytes(picture())
    memory.blame(picture())
    memory.away = True
    (found,) = load(memory, "good.png")
    assert isinstance(found, Picture)


def test_a_store_without_its_library_is_found_at_the_start(memory: Memory) -> None:
    settings = load_settings(image_stores="nonsense://bucket")
    with pytest.raises(SettingsError, match="the image store"):
        ImageLoader(memory, settings, resolution=None, stop=threading.Event())  # pyrefly: ignore[bad-argument-type]


@pytest.mark.parametrize("library", ["urllib3", "fsspec", "PIL.ImageGrab"])
def test_a_worker_needs_no_library_of_what_it_is_not_allowed(library: str) -> None:
    code = f"""
import sys, threading
sys.modules[{library!r}] = None
from pathlib import Path
from persqa.errors import Rejected, SettingsError
from persqa.images import ImageLimits, read_image
from persqa.settings import load_settings
from worker.images.loader import ImageLoader

ImageLoader(None, load_settings(), resolution=None, stop=threading.Event()).close()
for reference in ("http://host/a", "s3://bucket/a"):
    try:
        read_image(reference, base=Path(), limits=ImageLimits(roots=(), max_pixels=9, max_bytes=9))
    except Rejected as rejected:
        print(rejected.reason)
for setting in ("image_hosts", "image_stores"):
    try:
        settings = load_settings(**{{setting: "host" if setting == "image_hosts" else "memory://a"}})
        ImageLoader(None, settings, resolution=None, stop=threading.Event()).close()
    except SettingsError as error:
        print(error)
"""
    said = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=Path(__file__).parents[2])
    refused, missing = said.splitlines()[:2], said.splitlines()[2:]
    assert refused == ["host_not_allowed", "store_not_allowed"]
    assert len(missing) == (library in {"urllib3", "fsspec"})
    assert all("pip install 'persqa[data]'" in line for line in missing)


def never(*_: object, **__: object) -> Content:
    raise AssertionError("this should not be asked for")


def test_who_asks_is_what_the_setting_says(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSQA_IMAGE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("PERSQA_IMAGE_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("PERSQA_IMAGE_USER_AGENT", "lab-data/1.0 (me@lab.example)")
    with WebServer() as server:
        server.pages["/a"] = page(picture())
        (found,) = load(memory, f"{server.url}/a")
        assert isinstance(found, Picture)
        assert "User-Agent: lab-data/1.0 (me@lab.example)\r\n" in server.asked[0]
