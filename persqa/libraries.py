"""Libraries that only some inputs and stores need; they are installed on request."""

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
        raise InputError(not_installed(f"{purpose} needs the library {name.partition('.')[0]}", error)) from None


def not_installed(said: str, error: ImportError, *, extra: str = "data") -> str:
    """What is needed for what, and what to type to get it."""
    return f"{said} ({error}); pip install 'persqa[{extra}]'"
