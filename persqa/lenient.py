"""Settings for who looks at them: what is wrong is told, and all else is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from persqa.errors import SettingsError
from persqa.settings import Settings, read_settings
from persqa.variables import mistaken

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class _WithoutFile(Settings):
    """The same without `.env`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as pydantic calls it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by nothing
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """All but the file."""
        return init_settings, env_settings, file_secret_settings


def lenient_settings(**overrides: object) -> tuple[Settings | None, dict[str, str]]:
    """The settings, with the default for each that is wrong; and a sentence for each of these, by its name.

    A sentence about something else than a setting has itself for a name. There are no settings where nothing helps.
    """
    wrong = {sentence: sentence for sentence in mistaken(os.environ, Settings.model_fields)}
    given = {name: value for name, value in overrides.items() if value is not None}
    kind: type[Settings] = Settings
    while True:
        try:
            return read_settings(kind, given), wrong
        except SettingsError as error:
            found = {name: sentence for name, sentence in error.lines.items() if name not in wrong}
            if not found and kind is _WithoutFile:
                return None, wrong | {str(error): str(error)}
            if not found:
                kind = _WithoutFile
                wrong[str(error)] = str(error)
            for name, sentence in found.items():
                wrong[name] = sentence
                field = Settings.model_fields.get(name)
                given[name] = None if field is None else field.get_default(call_default_factory=True)
