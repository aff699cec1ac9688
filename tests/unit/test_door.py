"""What the door reads: forms and lines in whatever pieces they come, and who gives up on whom."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.openapi.models import OpenAPI
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from persqa.errors import SettingsError
from persqa.settings import load_settings
from producer.web.door import Tokens
from producer.web.door.bodies import Body, Lines, Spool
from producer.web.door.description import description
from producer.web.door.door import ROOT, WAYS
from producer.web.door.forms import Form, Limits
from producer.web.door.problems import ClientGone, Problem, problem_of
from producer.web.door.room import Room, Space
from producer.web.door.tokens import Right

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue
    from starlette.types import Message

_PLENTY = Limits(file=10**6, text=10**6, files=4)
_HEADER = "multipart/form-data; boundary=XYZ"


def body(pieces: Iterable[bytes], *, cut: bool = False) -> Body:
    """A body that comes in these pieces, and then ends, or whose client goes."""
    remaining = list(pieces)

    async def receive() -> Message:
        if remaining:
            return {"type": "http.request", "body": remaining.pop(0), "more_body": bool(remaining) or cut}
        return {"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False}

    return Body(receive)


def in_pieces(text: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def part(name: str, content: bytes, file: str | None = None) -> bytes:
    said = f'form-data; name="{name}"' + ("" if file is None else f'; filename="{file}"')
    return b"--XYZ\r\nContent-Disposition: " + said.encode() + b"\r\n\r\n" + content + b"\r\n"


def read_form(pieces: list[bytes], limits: Limits = _PLENTY) -> list[tuple[str, str | None, bytes]]:
    space = Space(10**9)
    form = Form(_HEADER, space, limits)
    try:
        parts = asyncio.run(form.read(body(pieces)))
        return [(one.name, one.file, one.content.whole()) for one in parts]
    finally:
        form.close()
        assert space.used == 0


CONTENTS = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\r", b"\n", b"--", b"\r\n--XY", b"-", b"XYZ", b"\r\n", b"\r\n\r\n", b"Z"]), max_size=12
).map(b"".join)


@given(st.lists(CONTENTS.filter(lambda one: b"\r\n--XYZ" not in b"\r\n" + one), max_size=4), st.lists(st.integers(0)))
def test_a_form_is_the_same_in_whatever_pieces_it_comes(contents: list[bytes], places: list[int]) -> None:
    sent = b"before" * 3 + b"\r\n" + b"".join(part(f"n{i}", one, f"f{i}") for i, one in enumerate(contents))
    pieces = in_pieces(sent + b"--XYZ--\r\nbehind", places)
    assert read_form(pieces) == [(f"n{i}", f"f{i}", one) for i, one in enumerate(contents)]


def test_names_in_forms_are_what_programs_write() -> None:
    sent = part("id", b"7") + part("image", b"x", "C:\\\\a\\\\b.png") + part("image", b"", "../../etc/pässwd")
    assert read_form([sent + b"--XYZ--"]) == [("id", None, b"7"), ("image", "b.png", b"x"), ("image", "pässwd", b"")]
    assert read_form([b"--XYZ \t\r\ncontent-disposition: form-data; name=a\r\n\r\n\r\n--XYZ--"]) == [("a", None, b"")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "bad_form"),
        (b"no form at all", "bad_form"),
        (part("a", b"1"), "bad_form"),
        (b"--XYZ\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XYZ--", "bad_form"),
        (b"--XYZ\r\n\r\n1\r\n--XYZ--", "bad_form"),
        (b"--XYZzz\r\n", "bad_form"),
        (b"--XYZ\r\n" + b"a: b\r\n" * 2000 + b"\r\n1\r\n--XYZ--", "too_large"),
        (b"".join(part("a", b"1") for _ in range(101)) + b"--XYZ--", "too_large"),
        (part("a", b"1" * 11) + b"--XYZ--", "too_large"),
        (part("a", b"1" * 31, "f") + b"--XYZ--", "too_large"),
        (part("a", b"1", "f") * 3 + b"--XYZ--", "too_large"),
    ],
    ids=range(11),
)
def test_what_is_no_form_or_too_much_is_refused(sent: bytes, code: str) -> None:
    with pytest.raises(Problem) as refused:
        read_form(in_pieces(sent, range(0, len(sent), 1000)), Limits(file=30, text=10, files=2))
    assert refused.value.code == code


def test_a_form_needs_a_boundary_and_its_client() -> None:
    for header in ("multipart/form-data", f"multipart/form-data; boundary={'x' * 300}", 'a; boundary=""'):
        with pytest.raises(Problem, match="boundary"):
            Form(header, Space(0), _PLENTY)
    with closing(Form(_HEADER, Space(10**6), _PLENTY)) as form, pytest.raises(ClientGone):
        asyncio.run(form.read(body([part("a", b"1")], cut=True)))


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n", b"d\ne\n"]), max_size=30), st.lists(st.integers(0)))
def test_lines_are_whole_whenever_they_are_taken(parts: list[bytes], places: list[int]) -> None:
    sent, space, taken = b"".join(parts), Space(10**9), b""
    lines = Lines(space, most=100)
    for number, piece in enumerate(in_pieces(sent, places)):
        lines.add(piece)
        if number % 2:
            with lines.take() as batch:
                taken += batch.whole()
            assert not taken or taken.endswith(b"\n")
    lines.end()
    with lines.take() as batch:
        taken += batch.whole()
    lines.close()
    assert taken.rstrip(b"\n") == sent.rstrip(b"\n")
    assert space.used == 0


def test_a_line_without_an_end_is_refused_and_others_are_not() -> None:
    lines = Lines(Space(10**9), most=10)
    lines.add(b"x" * 9 + b"\n" + b"y" * 9)
    for more in (b"yy", b"y\n" + b"z" * 11):
        with pytest.raises(Problem) as refused:
            lines.add(more)
        assert (refused.value.status, refused.value.code) == (413, "too_large")
    lines.close()


def test_what_is_large_is_on_the_disk_as_long_as_there_is_space() -> None:
    space = Space(300_000)
    with Spool(space, most=10**6, what="it") as first, Spool(space, most=10**6, what="it") as second:
        first.write(b"x" * 200_000)
        second.write(b"small")
        with pytest.raises(Problem) as full:
            second.write(b"x" * 200_000)
        assert (full.value.status, full.value.headers) == (503, {"retry-after": "10"})
        assert first.whole() == b"x" * 200_000
        with pytest.raises(Problem, match="it has more than 1000000 bytes"):
            first.write(b"x" * 900_000)
    assert space.used == 0


def test_memory_is_given_in_the_order_of_asking_and_comes_back() -> None:
    async def use() -> None:
        room, order = Room(10), list[int]()

        async def take(number: int, size: int, until: asyncio.Event) -> None:
            async with room.of(size):
                order.append(number)
                await until.wait()

        first, rest = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(take(1, 6, first))]
        # More than there is comes alone, and keeps its place before the small one.
        tasks += [asyncio.create_task(take(2, 99, rest)), asyncio.create_task(take(3, 1, rest))]
        await asyncio.wait({asyncio.ensure_future(_idle())})
        assert order == [1]
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        await asyncio.wait({asyncio.ensure_future(_idle())})
        assert order == [1, 3]
        first.set()
        rest.set()
        await asyncio.gather(tasks[0], tasks[2])
        async with room.of(10):
            pass

    asyncio.run(use())


async def _idle() -> None:
    """Let all that can go on do so."""
    for _ in range(5):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future


def test_who_is_silent_in_the_midst_of_a_body_is_given_up() -> None:
    async def use() -> None:
        async def receive() -> Message:
            return await asyncio.get_running_loop().create_future()

        silent = Body(receive, silence=0.01)
        assert await silent.next(0.01) is None
        with pytest.raises(Problem) as given_up:
            await silent.next()
        assert given_up.value.status == 408

    asyncio.run(use())


def test_tokens_are_made_or_taken_and_tell_two_rights_apart() -> None:
    tokens = Tokens.of(load_settings(submit_token="may-submit"))
    assert tokens.made == {"read"}
    assert len(tokens.read) >= 32
    assert tokens.right_of("Bearer may-submit") is Right.SUBMIT
    assert tokens.right_of(f"bearer  {tokens.read}") is Right.READ
    for wrong in ("", "Bearer", "Bearer ", "Bearer may-submi", "may-submit", "Basic may-submit", "Bearer \udcff"):
        assert tokens.right_of(wrong) is Right.NONE
    with pytest.raises(SettingsError, match="PERSQA_READ_TOKEN: is the same as PERSQA_SUBMIT_TOKEN"):
        Tokens.of(load_settings(submit_token="x", read_token="x"))
    assert "may-submit" not in json.dumps(load_settings(submit_token="may-submit").environment())


def test_a_defect_is_no_tale_for_clients(caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_of(ZeroDivisionError("secret"))
    assert (problem.status, problem.code) == (500, "defect")
    assert "secret" not in json.dumps(problem.body)
    assert "ZeroDivisionError" in caplog.text


def test_the_description_is_openapi_and_names_every_way() -> None:
    described: Any = description()
    OpenAPI.model_validate(described)
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    paths = {path: set(ways) - {"parameters"} for path, ways in described["paths"].items()}
    assert described["servers"] == [{"url": ROOT}]
    assert paths == {path: {method.lower() for method in methods} for path, methods in WAYS.items()}
    for found in _references(described):
        _, components, kind, name = found.split("/")
        assert components == "components"
        assert name in described["components"][kind], found


def _references(value: JsonValue) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(found := value.get("$ref"), str):
            yield found
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
