"""Forms: `multipart/form-data`, part by part, as RFC 7578 says; what a part holds is never wholly in memory."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING

from producer.web.door.bodies import Spool
from producer.web.door.problems import Problem, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.web.door.bodies import Body
    from producer.web.door.room import Space

#: Bytes of the head of a part, and of a boundary.
_MOST_HEAD, _MOST_BOUNDARY = 8 * 2**10, 200
_MOST_PARTS = 100
_LONGEST_NAME = 200
_END_OF_HEAD = b"\r\n\r\n"
_PADDING = re.compile(rb"[ \t]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    Attributes:
        name: of the field.
        file: the name of the file, its last component; None where it is no file.
        content: what it holds.
    """

    name: str
    file: str | None
    content: Spool


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a file and of a text, and how many files there may be."""

    file: int
    text: int
    files: int


class Form:
    """A form that is read; it holds its parts until it is closed."""

    def __init__(self, content_type: str, space: Space, limits: Limits) -> None:
        """Prepare; raises a `Problem` where the header names no boundary."""
        boundary = _header(content_type).get_param("boundary")
        if not isinstance(boundary, str) or not 0 < len(boundary) <= _MOST_BOUNDARY or not boundary.isascii():
            raise _broken("its header names no boundary")
        self._mark = b"\r\n--" + boundary.encode()
        self._space, self._limits = space, limits
        self._held = ExitStack()
        self._files = 0
        # As if a line had ended before the first boundary.
        self._buffer = bytearray(b"\r\n")
        self.parts: list[Part] = []

    def close(self) -> None:
        """Let go of all parts."""
        self._held.close()

    async def read(self, body: Body) -> list[Part]:
        """The parts; raises a `Problem` where it is no form, or has too much of something."""
        # What comes before the first boundary has no meaning.
        await self._content(body, None)
        while not await self._is_last(body):
            if len(self.parts) == _MOST_PARTS:
                raise too_large(f"the form has more than {_MOST_PARTS} parts")
            part = self._part(await self._head(body))
            await self._content(body, part.content)
            self.parts.append(part)
        async for _ in body:
            # Nor has what comes behind the last one.
            pass
        return self.parts

    async def _more(self, body: Body) -> None:
        if not (piece := await body.next()):
            raise _broken("it ends in the midst of a part")
        self._buffer += piece

    async def _content(self, body: Body, spool: Spool | None) -> None:
        """Take what comes before the next boundary, and the boundary."""
        while (end := self._buffer.find(self._mark)) < 0:
            # A boundary may have begun at the end of what is here.
            sure = len(self._buffer) - len(self._mark) + 1
            if sure > 0:
                self._take(sure, spool)
            await self._more(body)
        self._take(end, spool)
        del self._buffer[: len(self._mark)]

    def _take(self, size: int, spool: Spool | None) -> None:
        if spool is not None:
            spool.write(self._buffer[:size])
        del self._buffer[:size]

    async def _is_last(self, body: Body) -> bool:
        """Whether the boundary that was taken is the last one; takes the end of its line."""
        while True:
            if self._buffer.startswith(b"--"):
                return True
            padding = _PADDING.match(self._buffer)
            after = 0 if padding is None else padding.end()
            if len(self._buffer) >= after + 2:
                if self._buffer[after : after + 2] != b"\r\n" or after > _MOST_BOUNDARY:
                    raise _broken("a boundary is no line of its own")
                # The end of its line stays: a head may be empty.
                del self._buffer[:after]
                return False
            await self._more(body)

    async def _head(self, body: Body) -> bytes:
        while (end := self._buffer.find(_END_OF_HEAD)) < 0:
            if len(self._buffer) > _MOST_HEAD:
                raise too_large(f"the head of a part has more than {_MOST_HEAD} bytes")
            await self._more(body)
        head = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END_OF_HEAD)]
        return head

    def _part(self, head: bytes) -> Part:
        said = dict(_fields(head)).get("content-disposition", "")
        disposition = _header(said)
        name, file = disposition.get_param("name"), disposition.get_param("filename")
        if not said.lower().startswith("form-data") or not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise _broken("a part has no name")
        if file is None:
            content = Spool(self._space, most=self._limits.text, what=f"the field {name!r}")
        else:
            self._files += 1
            if self._files > self._limits.files:
                raise too_large(f"the form has more than {self._limits.files} files (PERSQA_MAX_IMAGES)")
            most = self._limits.file
            content = Spool(self._space, most=most, what=f"the file in {name!r} (PERSQA_MAX_IMAGE_BYTES)")
        self._held.enter_context(content)
        return Part(name, None if file is None else _last_component(collapse_rfc2231_value(file)), content)


def _fields(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _header(value: str) -> Message:
    """A header with parameters, for its parser."""
    message = Message()
    message["content-type"] = value.replace("\r", " ").replace("\n", " ")
    return message


def _last_component(file: str) -> str:
    """The name without folders, which are the client's own."""
    return re.split(r"[/\\]", file.replace("\0", ""))[-1][-_LONGEST_NAME:]


def _broken(why: str) -> Problem:
    return Problem(400, "bad_form", f"the body is no multipart/form-data: {why}")
