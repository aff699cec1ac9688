"""Optional libraries, which only some inputs and stores need."""

from __future__ import annotations

import importlib
from typing import Any

from persqa.errors import InputError


def library(name: str, purpose: str) -> Any:
    """Import a module of the extra `data`; `purpose` says in the message what needs it.

    Raises:
        InputError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(not_installed(f"{purpose} needs the library {name.partition('.')[0]}", error)) from None


def not_installed(sentence: str, error: ImportError, *, extra: str = "data") -> str:
    """The sentence, with the command that installs the extra."""
    return f"{sentence} ({error}); pip install 'persqa[{extra}]'"
