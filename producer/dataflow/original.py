"""Registers our classes with the original package, where that is installed."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

#: The modules of the abstract base classes in `open-dataflow` and DataFlow-MM.
_HOMES = {
    "LLMServingABC": "dataflow.core",
    "VLMServingABC": "dataflow.core",
    "OperatorABC": "dataflow.core",
    "DataFlowStorage": "dataflow.utils.storage",
}

#: The modules whose import has failed.
_unusable: set[str] = set()


class _Abstract(Protocol):
    def register(self, subclass: type) -> type: ...


def register(ours: type, names: Sequence[str]) -> None:
    """Make a class of ours a virtual subclass of the original's classes of these names.

    Importing the original takes a second or two, so this is called when an object is made and not when PersQA is
    imported. A program that imports the original later finds our classes registered. Safe to repeat.
    """
    for name in names:
        abstract = _find(name)
        if abstract is not None and not issubclass(ours, cast("type", abstract)):
            abstract.register(ours)


def _find(name: str) -> _Abstract | None:
    home = _HOMES[name]
    if home not in sys.modules and not _imported(home):
        return None
    return cast("_Abstract | None", getattr(sys.modules[home], name, None))


def _imported(home: str) -> bool:
    if home in _unusable or find_spec(home.partition(".")[0]) is None:
        return False
    try:
        import_module(home)
    except Exception as error:  # noqa: BLE001 - another package's import can fail in any way, and we work without
        # One warning is enough, and none for a folder that only happens to have this name.
        _unusable.add(home)
        if not (isinstance(error, ModuleNotFoundError) and home.startswith(error.name or "?")):
            logger.warning("DataFlow is installed, but %s cannot be imported: %s", home, error)
        return False
    return True
