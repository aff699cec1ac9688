"""The words of messages: counts, lists, near names, and options as the person of this program writes them."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from pydantic import JsonValue

#: More names than these are cut, or not listed where a near one is known.
_MOST_LISTED = 20
_FEW = 10
#: Longest part of a wrong value that is shown, in characters.
_SHOWN = 60
#: Flags that are not the name with dashes.
_FLAGS = {
    "input_format": "--format",
    "file_format": "--format",
    "metrics_address": "--address",
    "items": "--item",
    "model_pixels": "--max-pixels",
    "sure": "--yes",
}

#: Whether the person of this program writes flags on a command line, and not keywords in Python.
_writes_flags = False
#: The same for who asks from elsewhere, and has typed nothing here.
_asks_by_name: ContextVar[bool] = ContextVar("asks_by_name", default=False)
#: What the person has typed to say where things are.
_typed = ""


def write_flags() -> None:
    """From now on `option` gives flags: the command line says so when it starts."""
    global _writes_flags
    _writes_flags = True


@contextmanager
def without_flags() -> Generator[None]:
    """As long as this lasts, `option` gives names: for who asks this program from elsewhere."""
    before = _asks_by_name.set(True)
    try:
        yield
    finally:
        _asks_by_name.reset(before)


def option(name: str) -> str:
    """An option as it is written here: `--tag-policy` on the command line, `tag_policy` in Python."""
    with_flags = _writes_flags and not _asks_by_name.get()
    return _FLAGS.get(name, f"--{name.replace('_', '-')}") if with_flags else name


def switch(name: str) -> str:
    """An option that is on or off, as it is put on: `--overwrite` on the command line, `overwrite=True` in Python."""
    return option(name) if _writes_flags else f"{name}=True"


def repeat_options(typed: str) -> None:
    """From now on `to_type` gives commands with these options, which say where things are."""
    global _typed
    _typed = typed


def to_type(command: str) -> str:
    """A command that works as it is printed: with the options that the person gave to say where things are."""
    return f"{command} {_typed}" if _typed else command


def shown_value(value: object) -> str:
    """A wrong value, for a message: the beginning is enough."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """The beginning of a text that may be long."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def kind_of_json(value: JsonValue) -> str:
    """What a value of JSON is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text" if value.strip() else "blank text" if value else "an empty text"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return f"an object with {listed(map(shown_value, value), 'and')}" if value else "an empty object"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, and perhaps a verb: `counted(1, "item has", "items have")`.

    Args:
        number: how many.
        one: the words for one.
        many: those for any other number; by default the word for one with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def listed(names: Iterable[object], word: str = "or") -> str:
    """The names with commas, and the word before the last: `high, normal or low`; long lists are cut."""
    shown = [str(name) for name in names]
    if len(shown) > _MOST_LISTED:
        shown = [*shown[: _MOST_LISTED - 1], f"{len(shown) - _MOST_LISTED + 1} more"]
    *others, last = shown
    return f"{', '.join(others)} {word} {last}" if others else last


def in_percent(number: str) -> str:
    """What is meant by a number that lacks its %: `20%` by 20, and by 0.2."""
    value = float(number)
    return f"{100 * value if value < 1 else value:.6g}%"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, whatever its case; None where none is near."""
    # Imported here: only who has mistyped something needs it.
    from difflib import get_close_matches

    known = {one.lower(): one for one in names}
    found = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


def no_such(what: str, name: str, names: Collection[str]) -> str:
    """A sentence: there is no such thing; with the name that was probably meant, or the names that there are."""
    near = nearest(name, names)
    if near is None:
        return f"there is no {what} {name!r}; choose {listed(names)}"
    others = "" if len(names) > _FEW else f" There are {listed(names, 'and')}"
    return f"there is no {what} {name!r}; did you mean {near}?{others}"
