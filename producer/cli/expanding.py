"""Groups of options: a dataclass that a command takes as one parameter."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

_Returned = TypeVar("_Returned")


def expanded(command: Callable[..., _Returned]) -> Callable[..., _Returned]:
    """Show Typer the fields of each dataclass parameter as options of the command."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        group = groups.get(parameter.name)
        parameters += [parameter.replace(annotation=hints[parameter.name])] if group is None else _options(group)

    @wraps(command)
    def collected(*given: object, **named: object) -> _Returned:
        for name, group in groups.items():
            own = {field.name: named.pop(field.name) for field in fields(group) if field.name in named}
            named[name] = group(**own)
        return command(*given, **named)

    # Typer reads both.
    collected.__dict__["__signature__"] = signature.replace(parameters=parameters)
    collected.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return collected


def _options(group: type[Any]) -> list[inspect.Parameter]:
    """One parameter for each field of a dataclass; every field has a default."""
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]
