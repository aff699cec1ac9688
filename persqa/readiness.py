"""What a worker tells the process that started it: that its engine is loaded, or why it never will be."""

from __future__ import annotations

from typing import Final

from persqa.errors import PersqaError, SettingsError, UserError, WorkerDied

#: Names the end of a pipe, inherited from the parent, into which a worker writes one of the words below.
READY_FD: Final = "PERSQA_READY_FD"
READY: Final = b"ready\n"
#: So much is read at once, and goes through a pipe in one piece.
WORD_BYTES: Final = 4096

_REFUSED = b"refused "
_FAILED = b"failed "


def encode_failure(error: PersqaError) -> bytes:
    """The word for an engine that cannot be started."""
    word = _REFUSED if isinstance(error, UserError) else _FAILED
    return (word + str(error).encode(errors="replace"))[:WORD_BYTES]


def decode_failure(word: bytes, *, more: str) -> PersqaError:
    """The error that a word stands for.

    Args:
        word: what `encode_failure` gave.
        more: where the person who reads the error finds more.

    Returns:
        A SettingsError where a person has to change something, else a WorkerDied.
    """
    kind = SettingsError if word.startswith(_REFUSED) else WorkerDied
    sentence = word.removeprefix(_REFUSED).removeprefix(_FAILED).decode(errors="replace")
    return kind(f"{sentence}\n  {more}")
