"""The messages of a worker to the process that started it: its engine is loaded, or cannot be started."""

from __future__ import annotations

from typing import Final

from persqa.errors import PersqaError, SettingsError, UserError, WorkerDied

#: The variable with the inherited end of a pipe, into which a worker writes one of the messages below.
READY_FD: Final = "PERSQA_READY_FD"
READY: Final = b"ready\n"
#: Longest message; a pipe passes that much in one piece.
WORD_BYTES: Final = 4096

_REFUSED = b"refused "
_FAILED = b"failed "


def encode_failure(error: PersqaError) -> bytes:
    """The message of a worker whose engine cannot be started."""
    word = _REFUSED if isinstance(error, UserError) else _FAILED
    return (word + str(error).encode(errors="replace"))[:WORD_BYTES]


def decode_failure(word: bytes, *, more: str) -> PersqaError:
    """The error in a message; `more` is a sentence to add.

    Returns:
        A SettingsError if a person has to change something, else a WorkerDied.
    """
    kind = SettingsError if word.startswith(_REFUSED) else WorkerDied
    sentence = word.removeprefix(_REFUSED).removeprefix(_FAILED).decode(errors="replace")
    return kind(f"{sentence}\n  {more}")
