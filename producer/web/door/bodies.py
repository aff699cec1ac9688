"""Bodies: what clients send, piece by piece, with an end to their silence; beyond a few kilobytes it is on the disk."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from typing import IO, TYPE_CHECKING, Self

from producer.web.door.problems import ClientGone, Problem, busy, too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import Receive

    from producer.web.door.room import Space

#: How long a client may say nothing in the midst of a body, in seconds.
SILENCE_SECONDS = 60.0
#: What of one body is in memory, in bytes.
_IN_MEMORY = 64 * 2**10
_CHUNK = 64 * 2**10
#: What is still read of a body that nobody wants, until its sender has seen the answer: bytes, and seconds.
_DRAINED_BYTES, _DRAINED_SECONDS = 16 * 2**20, 2.0


class Body:
    """The body of one request."""

    def __init__(self, receive: Receive, *, silence: float = SILENCE_SECONDS) -> None:
        self._receive = receive
        self._silence = silence
        #: Whether the client is sending it, and whether all of it was read.
        self.begun = self.ended = False
        self._stopped = False
        self._timer: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Wait for no more of it: the server ends."""
        self._stopped = True
        if self._timer is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())

    async def next(self, patience: float | None = None) -> bytes | None:
        """The next piece, empty at the end; None where the client pauses for longer than `patience`, in seconds.

        Raises:
            Problem: the client has been silent for too long.
            ClientGone: it has gone.
        """
        self.begun = True
        while not self.ended:
            if self._stopped:
                raise busy("the server ends: send this again in a while")
            try:
                async with asyncio.timeout(self._silence if patience is None else patience) as self._timer:
                    message = await self._receive()
            except TimeoutError:
                if self._stopped:
                    continue
                if patience is not None:
                    return None
                said = f"nothing came for {self._silence:g} seconds in the midst of the body"
                raise Problem(408, "silent", said) from None
            finally:
                self._timer = None
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.ended = not message.get("more_body", False)
            if message.get("body"):
                return message["body"]
        return b""

    async def drain(self) -> None:
        """Read on for a moment, so that a client which is still sending comes to read the answer."""
        left, end = _DRAINED_BYTES, asyncio.get_running_loop().time() + _DRAINED_SECONDS
        while self.begun and not self.ended and left > 0 and (time := end - asyncio.get_running_loop().time()) > 0:
            if (piece := await self.next(time)) is None:
                return
            left -= len(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.next():
            yield piece


class Spool:
    """Bytes that are kept until they are read: in memory, and from some size on in a file without a name."""

    def __init__(self, space: Space, *, most: int, what: str) -> None:
        """Prepare.

        Args:
            space: what of them is on the disk is taken from it.
            most: how many bytes may be kept.
            what: they are, for the sentence where there are more.
        """
        self._space, self._most, self._what = space, most, what
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._on_disk = 0
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep more; raises a `Problem` where it is too much."""
        if self.size + len(data) > self._most:
            raise too_large(f"{self._what} has more than {self._most} bytes")
        if self.size + len(data) > _IN_MEMORY:
            more = self.size + len(data) - self._on_disk
            self._space.take(more)
            self._on_disk += more
        self._file.write(data)
        self.size += len(data)

    async def fill(self, body: Body) -> Self:
        """Keep a whole body."""
        async for piece in body:
            self.write(piece)
        return self

    def open(self) -> IO[bytes]:
        """What is kept, from its beginning."""
        self._file.seek(0)
        return self._file

    def whole(self) -> bytes:
        """All of it, in memory."""
        return self.open().read()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._space.give_back(self._on_disk)
        self._on_disk = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    """So many bytes of a file, piece by piece."""
    while size > 0 and (piece := file.read(min(size, _CHUNK))):
        size -= len(piece)
        yield piece


class Lines:
    """Lines that have arrived, and the beginning of the next one."""

    def __init__(self, space: Space, *, most: int) -> None:
        """Prepare; `most` are the bytes of one line."""
        self._space, self._most = space, most
        self._spool = self._new()
        #: Of the lines that are whole: how many there are, and their bytes.
        self.number = self.size = 0

    def add(self, piece: bytes) -> None:
        """Take what has come; raises a `Problem` where a line is too long."""
        last = piece.rfind(b"\n") + 1
        ending = piece.find(b"\n") + 1 if last else len(piece)
        if self._spool.size - self.size + ending > self._most or len(piece) - last > self._most:
            raise too_large(f"a line has more than {self._most} bytes")
        self._spool.write(piece)
        if last:
            self.number += piece.count(b"\n")
            self.size = self._spool.size - (len(piece) - last)

    def end(self) -> None:
        """No more comes: what there is of a last line is whole, too."""
        if self._spool.size > self.size:
            self.add(b"\n")

    def take(self) -> Spool:
        """The whole lines; from now on there is only the beginning of the next one."""
        whole, rest = self._spool, self._new()
        file = whole.open()
        file.seek(self.size)
        try:
            for piece in pieces(file, whole.size - self.size):
                rest.write(piece)
        except BaseException:
            rest.close()
            raise
        file.truncate(self.size)
        whole.size = self.size
        self._spool, self.number, self.size = rest, 0, 0
        return whole

    def close(self) -> None:
        """Let go of all."""
        self._spool.close()

    def _new(self) -> Spool:
        # However many whole lines there are: they are taken as soon as there are enough.
        return Spool(self._space, most=2**63, what="a batch")


def lines_of(spool: Spool) -> Iterator[bytes]:
    """The lines of a spool, which is closed at their end."""
    with closing(spool):
        yield from spool.open()
