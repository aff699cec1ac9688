"""Variables of the environment and of `.env`: how settings are written there, and which of ours are mistakes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from persqa.words import nearest, option

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic import JsonValue

#: The file of variables in the working directory.
DOTENV: Final = ".env"

_PREFIX = "PERSQA_"
#: Those of docker-compose.yml, and what our programs tell the processes that they start.
_OTHERS = frozenset({"EXPORTS", "IMAGES", "REDIS_MEMORY", "REGISTRY", "SECRETS", "VERSION", "WORKERS"}) | frozenset(
    {"ENGINE_OF", "READY_FD"}
)
#: How Kubernetes tells every pod of services whose names begin with `persqa`; and the values of some of them.
_OF_SERVICES = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def variable(name: str) -> str:
    """The variable of a setting."""
    return f"{_PREFIX}{name.upper()}"


def source(name: str, given: Collection[str], *, secrets: Path) -> str:
    """What a setting was given by: an option, a variable, or a file.

    Args:
        name: of the setting.
        given: the settings that this program was given itself.
        secrets: the folder whose files are settings, too.
    """
    own = variable(name)
    if name in given:
        return option(name)
    if any(one.upper() == own for one in os.environ):
        return own
    file = Path(DOTENV)
    if file.is_file() and own in file.read_text("utf-8", errors="replace").upper():
        return f"{own} in {file.absolute()}"
    secret = secrets / own.lower()
    return str(secret) if secret.is_file() else own


def split_paths(value: object) -> object:
    """Split paths, which are separated as in PATH; what is no text stays."""
    return [part for part in value.split(":") if part] if isinstance(value, str) else value


def split_list(value: object) -> object:
    """Split names, which are separated by commas; what is no text stays."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def as_text(name: str, value: JsonValue) -> str:
    """A setting as the value of its variable."""
    match value:
        case str():
            return value
        case list():
            return (":" if name == "image_roots" else ",").join(str(part) for part in value)
        case _:
            return json.dumps(value)


def mistaken(variables: Mapping[str, str | None], settings: Collection[str]) -> Iterator[str]:
    """A sentence for each of these variables that has our prefix and is no setting, whatever its case."""
    for given, value in variables.items():
        name = given.upper().removeprefix(_PREFIX)
        ours = given.upper().startswith(_PREFIX)
        if ours and name.lower() not in settings and not _is_of_others(name, value or ""):
            near = nearest(name, settings)
            hint = "docs/settings.md has all that there are" if near is None else f"did you mean {variable(near)}?"
            yield f"{variable(name)}: there is no such setting; {hint}"


def _is_of_others(name: str, value: str) -> bool:
    is_address = name.endswith("PORT") and _ADDRESS.match(value) is not None
    return name in _OTHERS or is_address or _OF_SERVICES.fullmatch(name) is not None
