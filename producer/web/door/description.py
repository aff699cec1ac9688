"""Description: what programs can ask for, in the words of OpenAPI 3.1."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import persqa

if TYPE_CHECKING:
    from pydantic import JsonValue

_FILE = Path(__file__).with_name("openapi.json")


@cache
def description() -> dict[str, JsonValue]:
    """The description, with the version of this program."""
    value = cast("dict[str, JsonValue]", json.loads(_FILE.read_text()))
    return {**value, "info": {**cast("dict[str, JsonValue]", value["info"]), "version": persqa.__version__}}
