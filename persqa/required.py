"""What some programs need of the settings, and others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.errors import SettingsError
from persqa.variables import variable
from persqa.words import option

if TYPE_CHECKING:
    from persqa.settings import Settings


def require_broker(settings: Settings) -> str:
    """The broker's URL; raises SettingsError if there is none."""
    if settings.broker_url is None:
        raise SettingsError(
            f"no broker is named: set {option('broker_url')} or {variable('broker_url')}, for instance to "
            "redis://localhost:6379/0, or use `persqa run INPUT`, which brings its own broker and worker"
        )
    return settings.broker_url


def require_roots(settings: Settings) -> None:
    """Raise SettingsError if no folder is named that images may be read from."""
    if not settings.image_roots:
        raise SettingsError(
            f"no folder is named that images may be read from: set {option('image_roots')} or "
            f"{variable('image_roots')}, for instance to "
            "/data/images, or to . for the working directory; otherwise whoever submits could have any file read"
        )
