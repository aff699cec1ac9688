"""Own code: what is ours comes from our own folder, never from the one that somebody stands in, with their data."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

_HOME = Path(__file__).parents[1]


def own_code_only(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process whose Python, and that of all it starts, takes no module from the working directory.

    What is left of `PYTHONPATH` are its absolute entries. An empty or relative one means whatever folder one stands in.
    """
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    named = os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": named}


def own_module(name: str) -> ModuleType:
    """Import a module of a package that lies beside `persqa`, such as `producer`.

    A file `producer.py` beside somebody's program comes before it in Python's own order.

    Raises:
        ImportError: the program itself has already loaded another package of that name.
    """
    package = name.partition(".")[0]
    ours = _HOME / package / "__init__.py"
    if package not in sys.modules:
        _load_package(package, ours)
    taken = sys.modules[package].__file__
    if taken is None or not ours.samefile(taken):
        raise ImportError(f"{taken} has the name of PersQA's own package {package!r}: give it another name")
    return import_module(name)


def _load_package(name: str, file: Path) -> None:
    spec = spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
