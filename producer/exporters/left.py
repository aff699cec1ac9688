"""Left: what an export does not carry as it is, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An image that is not copied; in dialogues an answer that is left out; or a row that an option leaves out.

    Attributes:
        reference: that of the image, as the record has it; empty where a text is at fault, and for rows.
        why: a sentence that begins with the reference, or with the place of the record.
        remote: whether a server would have to be asked for it, which an export never does.
        dropped: whether the dialogue of the image, or the answer, is left out of the export.
        rules: why an option leaves out the row, in a few words each, as in `refusal`; empty for anything else.
    """

    reference: str
    why: str
    remote: bool = False
    dropped: bool = False
    rules: tuple[str, ...] = ()


OnLeft: TypeAlias = Callable[[Left], None]


def nobody(_left: Left) -> None:
    """For who asks for nothing that may be left."""


class LeftOut(Exception):
    """A dialogue cannot have its image."""

    def __init__(self, left: Left) -> None:
        super().__init__(left.why)
        self.left = left
