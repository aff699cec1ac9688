"""The Compose files, as trees of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Knows the tag by which an override takes something away."""


#: What stands where something was taken away.
_GONE = object()


def _gone(_loader: yaml.SafeLoader, _node: yaml.Node) -> object:
    return _GONE


_Loader.add_constructor("!reset", _gone)


def read_compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    """One file, its anchors resolved."""
    return yaml.load((ROOT / name).read_text(), _Loader)


def merged(below: Any, above: Any) -> Any:
    """Two trees as Compose merges them, as far as ours need it: mappings by name, the rest replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    both: dict[str, Any] = {**below}
    for name, value in cast("dict[str, Any]", above).items():
        if value is _GONE:
            both.pop(name, None)
        else:
            both[name] = merged(both[name], value) if name in both else value
    return both


def environment_of(service: str) -> dict[str, str]:
    """The variables of a service, but for those that come from outside."""
    given: dict[str, str | None] = read_compose()["services"][service]["environment"]
    return {name: value for name, value in given.items() if value is not None and "${" not in value}
