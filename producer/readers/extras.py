"""Libraries that only some inputs need; they are installed on request."""

from __future__ import annotations

import importlib
from typing import Any

from persqa.errors import InputError


def library(name: str, purpose: str) -> Any:
    """Import a library of the extra `data`.

    Args:
        name: of the module.
        purpose: what needs it, for the message.

    Raises:
        InputError: it is not installed; the message says what to type.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        wanted = name.partition(".")[0]
        raise InputError(f"{purpose} needs the library {wanted} ({error}): pip install 'persqa[data]'") from None
