"""What type checkers know of `AsyncClient`: the names of the client, and no others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from producer.client import Client
from producer.open_run import OpenRun
from producer.run_handle import RunHandle
from producer.tickets import Ticket
from scripts.async_stub import STUB, written

if TYPE_CHECKING:
    from collections.abc import Iterator


def names_of(body: list[ast.stmt]) -> Iterator[str]:
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one.name


def test_the_types_are_those_that_the_client_has_now() -> None:
    assert STUB.read_text() == written(), "run `make docs`"


@pytest.mark.parametrize("kind", [Client, RunHandle, OpenRun, Ticket])
def test_every_name_is_there(kind: type[object]) -> None:
    classes = {one.name: one for one in ast.parse(STUB.read_text()).body if isinstance(one, ast.ClassDef)}
    known = set(names_of(classes[f"Async{kind.__name__}"].body))
    if kind is OpenRun:
        known |= set(names_of(classes["AsyncRunHandle"].body))
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public - known == ({"arrive"} if kind is Ticket else set())
