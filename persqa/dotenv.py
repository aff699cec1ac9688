"""DotEnv: settings from the file `.env` in the working directory, which may have come with somebody's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_settings import DotEnvSettingsSource

from persqa.errors import SettingsError
from persqa.variables import DOTENV, mistaken, variable

#: The settings that decide which code runs; the file has no say in them.
_CODE = ("engine", "engine_args", "model")


class DotEnv(DotEnvSettingsSource):
    """Reads all settings but those that decide which code runs."""

    def __call__(self) -> dict[str, Any]:
        """The settings of the file.

        Raises:
            SettingsError: it says what code runs, and nothing of higher rank does; or it has a variable of ours that
                is no setting.
        """
        for sentence in mistaken(self.env_vars, self.settings_cls.model_fields):
            raise SettingsError(f"{_place()}: {sentence}")
        found = super().__call__()
        for name in _CODE:
            # Removed even where it is overridden, because pydantic would merge two JSON objects.
            if found.pop(name, None) and name not in self.current_state:
                raise SettingsError(
                    f"{_place()}: {variable(name)} decides what code runs, so it is not taken from a file "
                    "that may have come with the data: set it in the environment, and remove it there"
                )
        return found


def _place() -> Path:
    """Where the file lies; asked only if there is one, since the working directory may be gone."""
    return Path(DOTENV).absolute()
