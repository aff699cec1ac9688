"""The Compose files, as trees of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Reset(yaml.SafeLoader):
    """Knows the tag by which an override takes something away."""


def _nothing(_loader: yaml.SafeLoader, _node: yaml.Node) -> None:
    return None


_Reset.add_constructor("!reset", _nothing)


def read_compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    """One file, its anchors resolved."""
    return yaml.load((ROOT / name).read_text(), _Reset)  # noqa: S506 - a safe loader


def merged(below: Any, above: Any) -> Any:
    """Two trees as Compose merges them, as far as ours need it: mappings by name, the rest replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        names: list[str] = [*below, *(name for name in above if name not in below)]
        return {name: merged(below[name], above[name]) if name in below and name in above
                else above.get(name, below.get(name)) for name in names}  # fmt: skip
    return above


def environment_of(service: str) -> dict[str, str]:
    """The variables of a service, but for those that come from outside."""
    given: dict[str, str | None] = read_compose()["services"][service]["environment"]
    return {name: value for name, value in given.items() if value is not None and "${" not in value}
