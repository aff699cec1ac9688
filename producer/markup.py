"""Markup: elements of pages, made in Python; a text inside of one is escaped, whoever wrote it.

For what has to work wherever PersQA is installed: a page to send, and what a notebook shows. The pages of the gallery
have templates.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Elements without an end.
_VOID = frozenset({"br", "hr", "img", "input", "meta"})


class Markup(str):
    """A text that is markup already, and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *inside: str | None, **attributes: object) -> Markup:
    """An element.

    Args:
        name: that of the element.
        inside: texts, which are escaped, and markup, which is not; None is nothing.
        attributes: by name, with underscores for dashes and one behind a word of Python (`class_`). One that is None or
            False is left out, one that is True has no value.
    """
    given = "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{joined(inside)}</{name}>")


def joined(parts: Iterable[str | None]) -> Markup:
    """Texts and markup, one behind the other."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts if part))


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{escape(str(value))}"'
