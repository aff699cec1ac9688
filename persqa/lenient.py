"""Settings for who looks at them: what is wrong is told, and all else is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic_settings import EnvSettingsSource

from persqa.errors import SettingsError
from persqa.settings import Settings, read_settings
from persqa.variables import mistaken, variable

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


def lenient_settings(**overrides: object) -> tuple[Settings | None, dict[str, str]]:
    """The settings, with the default for each that is wrong; and a sentence for each of these, by its name.

    A sentence about something else than a setting has itself for a name. There are no settings where nothing helps.
    """
    wrong = {sentence: sentence for sentence in mistaken(os.environ, Settings.model_fields)}
    given = {name: value for name, value in overrides.items() if value is not None}
    with_file = True
    while True:
        try:
            return read_settings(_kind(wrong, with_file=with_file), given), wrong
        except SettingsError as error:
            found = {name: sentence for name, sentence in error.lines.items() if name not in wrong}
            if not found:
                wrong[str(error)] = str(error)
                if not with_file:
                    return None, wrong
                # It is about the file, of which nothing is read then.
                with_file = False
            for name, sentence in found.items():
                wrong[name] = sentence
                field = Settings.model_fields.get(name)
                given[name] = None if field is None else field.get_default(call_default_factory=True)


def _kind(wrong: Collection[str], *, with_file: bool) -> type[Settings]:
    """Settings that do not look at the variables of these."""
    variables = {variable(name) for name in wrong}

    class Lenient(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            given, environment, file, secrets = super().settings_customise_sources(
                settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
            )
            for source in (environment, file):
                assert isinstance(source, EnvSettingsSource)
                kept = {name: value for name, value in source.env_vars.items() if name.upper() not in variables}
                source.env_vars = kept
            return (given, environment, file, secrets) if with_file else (given, environment, secrets)

    return Lenient
