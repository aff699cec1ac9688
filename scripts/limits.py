"""What `make check` holds in place: words, names of a package, lengths of modules and functions, parameters."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULE_LINES = 300
_FUNCTION_LINES = 60
_PARAMETERS = 8
#: Modules and rooms at the top of a package.
_NAMES = {"worker": 20}
#: Has the glossary, and of these packages each module in it, by itself or with its room.
_GLOSSARY = Path("CONTRIBUTING.md")
_EXPLAINED = frozenset({"persqa", "producer", "worker"})
#: Each makes the tables at once, so that one file tells what it changes.
_MIGRATIONS = Path("persqa/store/migrations")
#: The signatures are the original's.
_FACADE = Path("producer/dataflow")


def excesses(path: Path) -> Iterator[str]:
    """What is too long or has too many parameters in a module; none in a migration."""
    if path.is_relative_to(_MIGRATIONS):
        return
    text = path.read_text()
    if (lines := text.count("\n")) > _MODULE_LINES:
        yield f"{path}: {lines} lines, {_MODULE_LINES} at most"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{path}:{node.lineno}: {node.name}"
            if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > _FUNCTION_LINES:
                yield f"{where}: {lines} lines, {_FUNCTION_LINES} at most"
            if (count := _parameters(node.args)) > _PARAMETERS and not path.is_relative_to(_FACADE):
                yield f"{where}: {count} parameters, {_PARAMETERS} at most"


def crowds(folder: Path) -> Iterator[str]:
    """What a package shows too much of at its top."""
    names = sum(path.suffix == ".py" or (path / "__init__.py").exists() for path in folder.iterdir())
    if names > (most := _NAMES.get(folder.name, names)):
        yield f"{folder}: {names} names, {most} at most: find a room for one"


def unexplained(folder: Path, files: str) -> Iterator[str]:
    """The modules of a package whose word is not in the glossary."""
    if folder.name not in _EXPLAINED:
        return
    for path in sorted(folder.rglob("[!_]*.py")):
        if not any(f"`{place}`" in files for place in (path, *(f"{room}/" for room in path.parents))):
            yield f"{path}: nobody finds its word in the glossary of {_GLOSSARY}"


def _parameters(given: ast.arguments) -> int:
    """All but the object or class that a method is called on."""
    plain = [*given.posonlyargs, *given.args]
    own = bool(plain) and plain[0].arg in ("self", "cls")
    return len(plain) - own + len(given.kwonlyargs) + sum(star is not None for star in (given.vararg, given.kwarg))


def main(folders: list[str]) -> int:
    """Print what goes beyond a limit in these folders; returns whether anything does."""
    explained = _GLOSSARY.read_text().partition("## Glossary")[2]
    found = [line for folder in map(Path, folders) for line in (*crowds(folder), *unexplained(folder, explained))]
    found += [line for folder in folders for path in sorted(Path(folder).rglob("*.py")) for line in excesses(path)]
    for line in found:
        sys.stdout.write(f"{line}\n")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
