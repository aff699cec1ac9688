"""Write producer/async_client.pyi: what `AsyncClient` and its objects have, from those that they stand for."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from producer.async_client import AsyncClient, AsyncOpenRun, AsyncRunHandle, AsyncTicket
from producer.client import Client
from producer.open_run import OpenRun
from producer.run_handle import RunHandle
from producer.tickets import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

STUB = Path(__file__).parents[1] / "producer" / "async_client.pyi"

_KINDS: dict[type[object], type[object]] = {
    Client: AsyncClient, RunHandle: AsyncRunHandle, OpenRun: AsyncOpenRun, Ticket: AsyncTicket
}  # fmt: skip
_NAMES = {kind.__name__: standing.__name__ for kind, standing in _KINDS.items()}
_HEAD = '''"""The client for programs of asyncio, with the names of the client. Written by `make docs`."""

'''
#: What of a class says nothing of how it is used, or is used otherwise here.
_LEFT_OUT = {"__enter__", "__exit__", "arrive"}
_KEPT = {"__init__"}
_OF_STUBS = {
    **dict.fromkeys(("AsyncGenerator", "Awaitable", "Generator"), "collections.abc"),
    **dict.fromkeys(("Any", "Self", "overload"), "typing"),
}
_WITH = "async def __aenter__(self) -> Self: ...\nasync def __aexit__(self, *_: object) -> None: ...\n"
_AWAIT = "def __await__(self) -> Generator[Any, None, PairRow]: ...\n"


def written() -> str:
    """The whole text."""
    stubs = [_Stub(kind) for kind in _KINDS]
    known = _OF_STUBS | {name: stub.imports[name] for stub in stubs for name in stub.names & stub.imports.keys()}
    used = set(_OF_STUBS).union(*(stub.names for stub in stubs))
    lines = [f"from {known[name]} import {name}\n" for name in sorted(used & known.keys())]
    return _tidy("".join([_HEAD, *lines, *(stub.text for stub in stubs)]))


class _Stub:
    """The stub of one class."""

    def __init__(self, kind: type[object]) -> None:
        #: From which modules names come.
        self.imports: dict[str, str] = {}
        # What another of ours has, that stands for its base, is said there.
        base = next((one for one in kind.__mro__[1:] if one in _KINDS), None)
        body: dict[str, str] = {}
        for one in reversed(kind.__mro__):
            if one is not object and not (base is not None and issubclass(base, one)):
                self._take(one, body)
        if base is not None:
            body.pop("__init__", None)
        body |= {"with": _WITH} if kind is Client else {}
        body |= {"await": _AWAIT} if kind is Ticket else {}
        if kind is not Client:
            body.pop("__init__", None)
        bases = "" if base is None else f"({_NAMES[base.__name__]})"
        about = f'"""`{kind.__name__}` for a loop."""'
        self.text = f"\nclass {_NAMES[kind.__name__]}{bases}:\n" + indent("\n".join([about, *body.values()]), "    ")

        #: The names in it.
        self.names = {one.id for one in ast.walk(ast.parse(self.text)) if isinstance(one, ast.Name)}

    def _take(self, kind: type[object], body: dict[str, str]) -> None:
        module = import_module(kind.__module__)
        tree = ast.parse(inspect.getsource(module))
        self.imports |= dict(_imported(tree, kind.__module__))
        (found,) = (one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == kind.__name__)
        for one in found.body:
            if not isinstance(one, ast.FunctionDef):
                continue
            if one.name == "__init__":
                body |= {name: f"{name}: {self._type(hint)}\n" for name, hint in _attributes(one)}
            if one.name in _KEPT or not (one.name in _LEFT_OUT or one.name.startswith("_")):
                self._add(one, body)

    def _add(self, method: ast.FunctionDef, body: dict[str, str]) -> None:
        decorators = [ast.unparse(one) for one in method.decorator_list]
        if "overload" in decorators:
            body[method.name] = body.get(method.name, "") + self._method(method, "@overload\n")
        elif "property" in decorators:
            body[method.name] = self._property(method)
        elif method.name in body and "@overload" in body[method.name]:
            # Editors show what the first one says.
            body[method.name] = body[method.name].replace(": ...\n", f":\n{_about(method)}", 1)
        else:
            body[method.name] = self._method(method, "", _about(method))

    def _property(self, method: ast.FunctionDef) -> str:
        found = self._type(method.returns)
        # As the client finds it at run time.
        if "Raises:" in (ast.get_docstring(method) or ""):
            found = f"Awaitable[{found}]"
        return f"@property\ndef {method.name}(self) -> {found}:\n{_about(method)}"

    def _method(self, method: ast.FunctionDef, before: str, about: str = "") -> str:
        returned = self._type(method.returns)
        arguments = method.args
        for one in [*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
            if one is not None and one.annotation is not None:
                self._type(one.annotation)
        # What is no plain value says nothing to readers.
        arguments.defaults = [_plain(one) for one in arguments.defaults]
        arguments.kw_defaults = [None if one is None else _plain(one) for one in arguments.kw_defaults]
        kind = "async def"
        if returned.startswith("Iterator[") or method.name == "__init__":
            kind, returned = "def", returned.replace("Iterator[", "AsyncGenerator[", 1)
        ending = f":\n{about}" if about else ": ...\n"
        return f"{before}{kind} {method.name}({ast.unparse(arguments)}) -> {returned}{ending}"

    def _type(self, annotation: ast.expr | None) -> str:
        """The annotation, with our names for those that they stand for."""
        assert annotation is not None
        for one in ast.walk(annotation):
            if isinstance(one, ast.Name):
                one.id = _NAMES.get(one.id, one.id)
        return ast.unparse(annotation)


def _plain(default: ast.expr) -> ast.expr:
    return default if isinstance(default, ast.Constant) else ast.Constant(...)


def _about(method: ast.FunctionDef) -> str:
    said = ast.get_docstring(method, clean=True) or ""
    return indent(f'"""{said}"""\n' if "\n" not in said else f'"""{said}\n"""\n', "    ")


def _attributes(init: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The public attributes whose types are written down, or are those of parameters."""
    hints = {one.arg: one.annotation for one in [*init.args.args, *init.args.kwonlyargs]}
    for one in init.body:
        target = (
            one.target if isinstance(one, ast.AnnAssign) else one.targets[0] if isinstance(one, ast.Assign) else None
        )
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_"):
            continue
        if isinstance(one, ast.AnnAssign):
            yield target.attr, one.annotation
        elif isinstance(one, ast.Assign) and isinstance(one.value, ast.Name) and (hint := hints.get(one.value.id)):
            yield target.attr, hint


def _imported(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom) and one.module is not None:
            yield from ((alias.name, one.module) for alias in one.names)
    for one in tree.body:
        if isinstance(one, ast.ClassDef):
            yield one.name, module


def _tidy(text: str) -> str:
    """As the formatter has it."""
    name = str(STUB)
    for arguments in (["check", "--quiet", "--fix", "--select", "I"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    STUB.write_text(written())
