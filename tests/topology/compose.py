"""Reads Compose files the way Compose does, as far as ours go: what a service runs, with what, and what it awaits."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import yaml

from tests.topology.container import Mount

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What YAML gives: a mapping of names.
Tree: TypeAlias = dict[str, Any]

_VARIABLE = re.compile(r"\$(?:\$|(?P<bare>\w+)|\{(?P<name>\w+)(?:(?P<how>:?[-?+])(?P<word>[^}]*))?\})")
_SECRETS = Path("/run/secrets")
_RESET = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        name: as others call it.
        image: what it is an image of; None where it is built here.
        target: the stage of the Dockerfile it is built to; None where it is not.
        entrypoint: replaces that of the image; None where the image's stays.
        command: replaces that of the image; None where the image's stays.
        environment: its variables.
        mounts: files and folders of this machine's, at their places in the container.
        volumes: named volumes, by their places in the container.
        own: folders that are in memory, and gone with the container.
        read_only: whether nothing else can be written.
        directory: where it starts; None where the image's stays.
        user: a name or a number; None where the image's stays.
        health: the command that says whether it is well; empty where there is none.
        waits_for: other services, each with the condition that must hold first.
        publishes: the ports that are open to others than services.
    """

    name: str
    image: str | None
    target: str | None
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    volumes: Mapping[Path, str]
    own: tuple[Path, ...]
    read_only: bool
    directory: str | None
    user: str | None
    health: tuple[str, ...]
    waits_for: Mapping[str, str]
    publishes: tuple[str, ...]


def read_services(files: Sequence[Path], variables: Mapping[str, str]) -> dict[str, Service]:
    """The services of a Compose file, and of others that are laid over it.

    Args:
        files: relative paths in them start from the folder of the first.
        variables: what stands for `${NAME}`.

    Raises:
        KeyError: a variable is asked for that has no value, and Compose would refuse.
    """
    whole: Tree = {}
    for file in files:
        tree = yaml.load(file.read_text(), _Loader)
        whole = _laid_over(whole, cast("Tree", _interpolated(tree, variables)))
    reader = _Reader(whole, files[0].parent, variables)
    return {name: reader.service(name, tree) for name, tree in whole["services"].items()}


class _Loader(yaml.SafeLoader):
    """Knows Compose's own tag for what the file below says and this one takes back."""


def _reset(_loader: yaml.SafeLoader, _node: yaml.Node) -> object:
    return _RESET


_Loader.add_constructor("!reset", _reset)


@dataclass(frozen=True, slots=True)
class _Reader:
    whole: Tree
    folder: Path
    variables: Mapping[str, str]

    def service(self, name: str, tree: Tree) -> Service:
        build = cast("Tree", tree.get("build", {}))
        mounts = [mount for mount in map(self._mount, tree.get("volumes", [])) if mount]
        return Service(
            name=name,
            image=tree.get("image") if not build else None,
            target=build.get("target"),
            entrypoint=_words(tree.get("entrypoint")),
            command=_words(tree.get("command")),
            environment=_environment(tree.get("environment", {}), self.variables),
            mounts=(*mounts, *self._files("secrets", tree), *self._files("configs", tree)),
            volumes=dict(filter(None, map(self._volume, tree.get("volumes", [])))),
            own=tuple(Path(entry.partition(":")[0]) for entry in _listed(tree.get("tmpfs", []))),
            read_only=tree.get("read_only", False),
            directory=tree.get("working_dir"),
            user=str(tree["user"]) if "user" in tree else None,
            health=_health(tree.get("healthcheck", {})),
            waits_for=_waits_for(tree.get("depends_on", {})),
            publishes=tuple(map(str, tree.get("ports", []))),
        )

    def _mount(self, volume: str | Tree) -> Mount | None:
        source, target, mode = _parts(volume)
        if self._is_named(source):
            return None
        return Mount(source=self._path(source), target=Path(target), read_only="ro" in mode.split(","))

    def _volume(self, volume: str | Tree) -> tuple[Path, str] | None:
        source, target, _ = _parts(volume)
        return (Path(target), source) if self._is_named(source) else None

    def _is_named(self, source: str) -> bool:
        return source in (self.whole.get("volumes") or {})

    def _files(self, kind: str, tree: Tree) -> Iterator[Mount]:
        """Secrets or configs: files that are named at the top level."""
        for entry in tree.get(kind, []):
            used = {"source": entry} if isinstance(entry, str) else cast("Tree", entry)
            source = used["source"]
            default = _SECRETS / source if kind == "secrets" else Path("/") / source
            target = _SECRETS / used.get("target", default) if kind == "secrets" else Path(used.get("target", default))
            yield Mount(source=self._path(self.whole[kind][source]["file"]), target=target)

    def _path(self, source: str) -> Path:
        return (self.folder / Path(source).expanduser()).resolve()


def _parts(volume: str | Tree) -> tuple[str, str, str]:
    """Source, target and mode of a volume in either notation."""
    if isinstance(volume, str):
        source, target, *mode = volume.split(":")
        return source, target, ",".join(mode)
    return volume.get("source", ""), volume["target"], "ro" if volume.get("read_only") else "rw"


def _laid_over(below: Tree, above: Tree) -> Tree:
    """Mappings are merged, and everything else is replaced; Compose joins some lists, of which ours has none."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.pop(name, None)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = _laid_over(cast("Tree", old), cast("Tree", value))
        elif value is not _RESET:
            merged[name] = value
    return merged


def _interpolated(value: object, variables: Mapping[str, str]) -> object:
    match value:
        case str():
            return _VARIABLE.sub(lambda match: _value(match, variables), value)
        case dict():
            return {name: _interpolated(one, variables) for name, one in cast("Tree", value).items()}
        case list():
            return [_interpolated(one, variables) for one in cast("list[object]", value)]
        case _:
            return value


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, how, word = match["bare"] or match["name"], match["how"] or "", match["word"] or ""
    value = variables.get(name)
    # With a colon, empty counts as not given.
    given = bool(value) if how.startswith(":") else value is not None
    match how[-1:]:
        case "+":
            return word if given else ""
        case "-":
            return value or "" if given else word
        case "?" if not given:
            raise KeyError(f"{name}: {word}")
        case _:
            return value or ""


def _listed(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _words(command: str | list[str] | None) -> tuple[str, ...] | None:
    if command is None:
        return None
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(map(str, command))


def _environment(given: Tree | list[str], variables: Mapping[str, str]) -> dict[str, str]:
    if isinstance(given, list):
        pairs = (entry.partition("=") for entry in given)
        given = {name: value if equals else None for name, equals, value in pairs}
    # A name alone passes on what is set where Compose runs.
    passed = {name: variables.get(name) if value is None else value for name, value in given.items()}
    return {name: _text(value) for name, value in passed.items() if value is not None}


def _text(value: object) -> str:
    """YAML's own words for true and false reach the program as Compose writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _health(check: Tree) -> tuple[str, ...]:
    test = check.get("test", [])
    if isinstance(test, str):
        return ("/bin/sh", "-c", test)
    match test:
        case ["CMD", *words]:
            return tuple(words)
        case ["CMD-SHELL", line]:
            return ("/bin/sh", "-c", line)
        case _:
            return ()


def _waits_for(given: Tree | list[str]) -> dict[str, str]:
    if isinstance(given, list):
        return dict.fromkeys(given, "service_started")
    return {name: entry["condition"] for name, entry in given.items()}
