"""Pictures: images of items, scaled and encoded anew, so that no byte of a stranger's file reaches a browser.

They are asked for by item only, and read through the same door as the worker's, with the same limits.
"""

from __future__ import annotations

import io
import os
import time
from collections import OrderedDict, deque
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from anyio import CapacityLimiter

from persqa.blobs import BlobStore
from persqa.images import Content, ImageLimits, Resolution, decode_image, decoding_bytes, is_remote, read_image

if TYPE_CHECKING:
    from collections.abc import Generator

    from persqa.runs import Run
    from persqa.settings import Settings

#: Longest sides, in pixels.
SIDES = {"thumb": 320, "screen": 1600, "full": 8000}
_QUALITY = {"thumb": 80, "screen": 88, "full": 92}
#: Encoded pictures in memory.
_KEPT_BYTES = 64 * 2**20
#: Addresses whose picture is known, and for how long it is taken to be still the same.
_KNOWN = 20_000
_KNOWN_SECONDS = 60
#: Memory in which images are decoded at once; one that takes more is decoded alone.
_DECODING_BYTES = 192 * 2**20
#: Threads that wait for web servers.
_FAR = 16
#: Nobody looks at a page for longer to see a picture come from a web server.
_PATIENCE_SECONDS = 10


class Place(NamedTuple):
    """Where a picture is: the run's name, the item, the picture's place in the item from 0, and one of `SIDES`."""

    run: str
    item: int
    place: int
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture.

    Attributes:
        data: a JPEG without any metadata.
        name: one that changes with the picture.
    """

    data: bytes
    name: str


class Pictures:
    """Makes pictures, and keeps those that were asked for last."""

    def __init__(self, settings: Settings) -> None:
        limits = ImageLimits.of(settings)
        self._limits = replace(limits, seconds=min(limits.seconds, _PATIENCE_SECONDS))
        self._blobs = BlobStore(settings.blob_store)
        self._kept = _Kept()
        self._room = _Room(_DECODING_BYTES)
        self._lock = Lock()
        #: Those being made, each once, whoever asks for it.
        self._made: dict[tuple[str, str, str], Future[Picture]] = {}
        self._stop = Event()
        self._near, self._far = CapacityLimiter(os.cpu_count() or 1), CapacityLimiter(_FAR)

    def threads(self, reference: str) -> CapacityLimiter:
        """How many pictures are made at once; those of slow servers keep neither pages nor other pictures waiting."""
        return self._far if is_remote(reference) else self._near

    def close(self) -> None:
        """Wait for no server any longer."""
        self._stop.set()

    def known(self, place: Place) -> Picture | None:
        """The picture that was given for this place a short while ago, at once."""
        return self._kept.at(place)

    def get(self, place: Place, run: Run, reference: str) -> Picture:
        """The picture that a reference of an item of this run names.

        Args:
            place: where it is asked for.
            run: its folder is where relative paths start.
            reference: one of `items.images`.

        Raises:
            Rejected: it names nothing that may be shown, or no image.
            Infrastructure: the blob store or this machine fails.
        """
        key = run.key, reference, place.size
        with self._lock:
            made = self._made.get(key)
            is_ours = made is None
            if made is None:
                made = self._made[key] = Future()
        if not is_ours:
            return made.result()
        try:
            made.set_result(self._get(place, run, reference))
        except BaseException as error:
            made.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._made[key]
        return made.result()

    def _get(self, place: Place, run: Run, reference: str) -> Picture:
        base = Path(run.base)
        content = read_image(reference, base=base, limits=self._limits, blobs=self._blobs, stop=self._stop)
        # By what is in it, so that a file that changes is seen, and one that many items have is decoded once.
        name = f"{content.digest[:32]}-{place.size}"
        made = self._kept.named(name) or Picture(data=self._encoded(content, reference, place.size), name=name)
        self._kept.keep(place, made, seconds=_KNOWN_SECONDS * (10 if is_remote(reference) else 1))
        return made

    def _encoded(self, content: Content, reference: str, size: str) -> bytes:
        # What is decoded has at most twice the resolution, and that is what is wanted.
        wanted, limit = Resolution(edge=SIDES[size] // 2), self._limits.max_pixels
        with self._room.of(decoding_bytes(content.data, max_pixels=limit, resolution=wanted)):
            image = decode_image(content, reference, limits=self._limits, resolution=wanted)
            file = io.BytesIO()
            image.save(file, "JPEG", quality=_QUALITY[size])
        return file.getvalue()


class _Kept:
    """Encoded pictures by name, and which one is at which place; those not asked for are let go."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._places: OrderedDict[Place, tuple[str, float]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def named(self, name: str) -> Picture | None:
        with self._lock:
            return self._found(name)

    def at(self, place: Place) -> Picture | None:
        with self._lock:
            name, end = self._places.get(place, ("", 0.0))
            return self._found(name) if time.monotonic() < end else None

    def keep(self, place: Place, picture: Picture, *, seconds: float) -> None:
        with self._lock:
            self._places[place] = picture.name, time.monotonic() + seconds
            self._places.move_to_end(place)
            if len(self._places) > _KNOWN:
                self._places.popitem(last=False)
            if picture.name not in self._pictures:
                self._pictures[picture.name] = picture
                self._bytes += len(picture.data)
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._pictures.popitem(last=False)[1].data)

    def _found(self, name: str) -> Picture | None:
        if name not in self._pictures:
            return None
        self._pictures.move_to_end(name)
        return self._pictures[name]


class _Room:
    """Memory, given in the order of asking; what asks for more than all of it gets it alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def of(self, size: int) -> Generator[None]:
        share, ticket = min(size, self._most), object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._used + share <= self._most)
            self._waiting.popleft()
            self._used += share
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used -= share
                self._changed.notify_all()
