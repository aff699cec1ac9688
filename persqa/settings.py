"""All settings: from options, the environment (`PERSQA_...`), `.env`, or files in `/run/secrets`."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self, cast

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from persqa.choices import parse_choice
from persqa.complaints import WrongSetting, explained, not_json, together
from persqa.dotenv import DotEnv
from persqa.errors import SettingsError
from persqa.hosts import check_pattern, check_user_agent
from persqa.model_names import model_name
from persqa.system_errors import in_words
from persqa.urls import check_broker, check_database, check_store, put_password, take_password
from persqa.variables import DOTENV, as_text, mistaken, source, split_list, split_paths, variable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic_core import ErrorDetails

#: The folder of a container's secrets; each is a file named like the variable, in lower case.
SECRETS = Path("/run/secrets")
#: The default limit of one image file, in bytes.
MAX_IMAGE_BYTES = 64 * 2**20
#: The default limit of what a model sees of one image, in pixels: 1024 x 1024.
MODEL_PIXELS = 2**20
#: The default limits of one record, in images, and of one message, in bytes.
MAX_IMAGES, MAX_MESSAGE_BYTES = 4, 256 * 2**10

_DATABASE = "sqlite:///persqa.db"
_TOKEN = "What programs show `persqa serve` that {}. Unset: it makes one and prints it."


class LogFormat(StrEnum):
    """The format of log lines."""

    TEXT = "text"  #: for people
    JSON = "json"  #: one object a line, for programs


class Settings(BaseSettings):
    """The settings of a machine or deployment; those of a run are `RunOptions`."""

    model_config = SettingsConfigDict(
        env_prefix="PERSQA_", env_file=DOTENV, extra="ignore", frozen=True, protected_namespaces=()
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read `.env` our way; the order is pydantic's."""
        return init_settings, env_settings, DotEnv(settings_cls, env_file_encoding="utf-8-sig"), file_secret_settings

    broker_url: Annotated[str | None, AfterValidator(check_broker)] = Field(
        default=None,
        description="Redis or Valkey: redis://host:6379/0, or redis+socket:///path. Unset: an embedded Valkey.",
    )
    broker_password: SecretStr | None = Field(
        default=None, description="The password for PERSQA_BROKER_URL, as it is, where the URL itself has none."
    )
    database_url: Annotated[str, AfterValidator(check_database)] = Field(
        default=_DATABASE, description="The SQL database: sqlite:///file.db or postgresql://user@host/name."
    )
    database_password: SecretStr | None = Field(
        default=None, description="The password for PERSQA_DATABASE_URL, as it is, where the URL itself has none."
    )
    model: Annotated[str | None, AfterValidator(model_name)] = Field(
        default=None,
        description=(
            "A Hugging Face name or a folder, or demo: the small model that ships with PersQA. "
            "Unset: Qwen/Qwen2.5-VL-3B-Instruct with a GPU, else demo."
        ),
    )
    engine: str = Field(
        default="worker.engines.vllm_engine:VllmEngine", description="The engine's class, as module:Class."
    )
    engine_args: dict[str, JsonValue] = Field(
        default_factory=dict, description="vLLM engine arguments by name, as a JSON object."
    )
    window: int = Field(
        default=256, ge=1, le=65_536, description="Most items in flight in one worker: waiting, running or uncommitted."
    )
    image_threads: int = Field(default=4, ge=1, le=256, description="Threads that load images in one worker.")
    image_roots: Annotated[list[Path], NoDecode, BeforeValidator(split_paths)] = Field(
        default_factory=list,
        description=(
            "Folders images may be read from, separated by a colon. A worker needs them; empty, `persqa run` and "
            "servings of one machine read from the folder of each run's input."
        ),
    )
    blob_store: str = Field(
        default="persqa-blobs",
        min_length=1,
        description=(
            "Where image bytes go that come inside the data: a folder, or a URL such as s3://bucket/prefix. "
            "The same for producers and workers."
        ),
    )
    image_hosts: Annotated[
        list[Annotated[str, AfterValidator(check_pattern)]], NoDecode, BeforeValidator(split_list)
    ] = Field(
        default_factory=list,
        description=(
            "Hosts whose images may be fetched by http and https, separated by commas: img.example.com, "
            "*.example.com for all below it, * for any. Empty: none."
        ),
    )
    image_stores: Annotated[
        list[Annotated[str, AfterValidator(check_store)]], NoDecode, BeforeValidator(split_list)
    ] = Field(
        default_factory=list,
        description=(
            "Stores whose images may be read, separated by commas, each as the beginning of a URL: "
            "s3://bucket/prefix, gs://bucket. Empty: none."
        ),
    )
    image_allow_private: bool = Field(
        default=False,
        description=(
            "Whether a listed host may be this machine or in a private network. Dangerous: whoever writes a record, or "
            "a name server, can then make workers ask what only they can reach."
        ),
    )
    image_seconds: float = Field(
        default=30, gt=0, description="Longest time for fetching one image, in seconds, including waits and retries."
    )
    image_user_agent: Annotated[str, AfterValidator(check_user_agent)] = Field(
        default="",
        description="What web servers are told that asks: lab-data/1.0 (me@lab.example). Empty: persqa/version.",
    )
    fetch_threads: int = Field(
        default=16, ge=1, le=256, description="Threads that wait for servers of images in one worker."
    )
    max_image_pixels: int = Field(default=50_000_000, ge=1, description="Most pixels of one image that is not refused.")
    model_pixels: int = Field(
        default=MODEL_PIXELS,
        ge=1,
        description=(
            "Most pixels that the model sees of one image, where it takes images whole, as Qwen-VL does; one that has "
            "more is scaled down, not refused. 784 pixels (28 x 28) are about one token."
        ),
    )
    max_image_bytes: int = Field(default=MAX_IMAGE_BYTES, ge=1, description="Most bytes of one image file.")
    image_memory_bytes: int = Field(
        default=4 * 2**30,
        ge=1,
        description="Most bytes of memory for the images that a worker has in hand; items wait for room.",
    )
    max_images: int = Field(default=MAX_IMAGES, ge=1, le=64, description="Most images of one record.")
    commit_items: int = Field(default=64, ge=1, le=4096, description="Most results in one transaction.")
    commit_seconds: float = Field(
        default=0.25, gt=0, le=60, description="Most seconds a result waits for others to share its transaction."
    )
    queue_bound: int = Field(
        default=100_000, ge=1, description="Most items waiting in one queue of Redis; a submit waits for room."
    )
    lease_seconds: float = Field(
        default=30, ge=1, le=3600, description="Seconds until other workers take over the items of a dead worker."
    )
    reconcile_seconds: float = Field(
        default=30, gt=0, description="Seconds between two searches for items that the queue has lost."
    )
    max_message_bytes: int = Field(
        default=MAX_MESSAGE_BYTES,
        ge=1024,
        description=(
            "Most bytes of one message; a record whose message would be larger is invalid. "
            "The same for producers and workers."
        ),
    )
    item_seconds: float = Field(
        default=600,
        gt=0,
        description="Longest time for loading and answering one item, in seconds; then it ends as dead.",
    )
    hang_seconds: float = Field(
        default=180,
        gt=0,
        description="Seconds without a token, with work in flight, after which an engine counts as hanging.",
    )
    load_seconds: float = Field(default=1800, gt=0, description="Longest time for loading the model, in seconds.")
    engine_failures: int = Field(
        default=5, ge=0, description="Deaths of the engine, without an answer in between, after which a worker ends."
    )
    drain_seconds: float = Field(
        default=60, ge=0, description="Longest time after SIGTERM for finishing the items in flight, in seconds."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Port on which a worker serves /healthz, /readyz and /metrics. Unset: it serves nothing.",
    )
    metrics_address: str = Field(
        default="127.0.0.1", min_length=1, description="Address for these; 0.0.0.0 or :: for all. There is no password."
    )
    submit_token: SecretStr | None = Field(default=None, description=_TOKEN.format("open runs, add records and read"))
    read_token: SecretStr | None = Field(default=None, description=_TOKEN.format("only read"))
    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="How a worker writes its log: text, or json for one JSON object a line."
    )

    @model_validator(mode="before")
    @classmethod
    def _passwords_belong_into_their_urls(cls, values: object) -> object:
        """Put passwords into their URLs, the only place to look for them; `environment` separates them again."""
        if not isinstance(values, dict):
            return values
        given = dict(cast("dict[str, object]", values))
        for name, default in (("broker", None), ("database", _DATABASE)):
            password, url = given.pop(f"{name}_password", None), given.get(f"{name}_url", default)
            text = password.get_secret_value() if isinstance(password, SecretStr) else password
            if not text:
                continue
            try:
                if url is None:
                    raise ValueError(f"there is no {name} URL that it could be for ({variable(f'{name}_url')})")
                given[f"{name}_url"] = put_password(str(url), str(text))
            except ValueError as error:
                raise WrongSetting(f"{name}_password", str(error)) from None
        return given

    @model_validator(mode="after")
    def _a_hanging_engine_is_found_before_its_items_are_blamed(self) -> Self:
        if self.hang_seconds >= self.item_seconds:
            hang, item, why = self.hang_seconds, self.item_seconds, "or items die of an engine that hangs"
            # Of the two it is the one that somebody has given.
            if "hang_seconds" in self.model_fields_set:
                raise WrongSetting("hang_seconds", f"must be below {item:g} ({variable('item_seconds')}), {why}")
            raise WrongSetting("item_seconds", f"must be above {hang:g} ({variable('hang_seconds')}), {why}")
        return self

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        values = self.model_dump(mode="json", exclude_none=True, exclude={"submit_token", "read_token"})
        # Separate, since the child also inherits the variable or file that a password came by. An empty password
        # overrides one of these that belongs to another URL.
        for name in ("broker", "database"):
            if (url := values.get(f"{name}_url")) is not None:
                values[f"{name}_url"], password = take_password(url)
                values[f"{name}_password"] = password or ""
        return {variable(name): as_text(name, value) for name, value in values.items()}


def load_settings(**overrides: object) -> Settings:
    """Read the settings; an override that is None counts as not given.

    Raises:
        SettingsError: a setting is wrong or unknown, or a variable is of ours and no setting. The message has a line
            for each, which begins with the option, variable or file that it came by.
    """
    for name in overrides:
        parse_choice(name, Settings.model_fields, name="setting")
    if lines := list(mistaken(os.environ, Settings.model_fields)):
        raise SettingsError(together("wrong settings", lines))
    return read_settings(Settings, {name: value for name, value in overrides.items() if value is not None})


def read_settings(kind: type[Settings], given: Mapping[str, object]) -> Settings:
    """Read the settings, but for these; raises SettingsError as `load_settings`, with the lines by setting if known."""
    try:
        return kind(_secrets_dir=SECRETS if SECRETS.is_dir() else None, **given)  # pyrefly: ignore[bad-argument-type]
    except UnreadableSetting as error:
        # A variable is not JSON; the library's sentence has the field in quotes.
        name = next(iter(re.findall(r'"(\w+)"', str(error))), "settings")
        line = f"{source(name, given, secrets=SECRETS)}: {not_json(error.__cause__ or error)}"
        raise SettingsError(line, {name: line}) from None
    except OSError as error:
        raise SettingsError(f"a file of settings or secrets cannot be read: {in_words(error)}") from None
    except ValidationError as error:
        lines = [(_name(details), _line(details, given)) for details in error.errors()]
        raise SettingsError(together("wrong settings", [line for _, line in lines]), dict(lines)) from None


def _name(error: ErrorDetails) -> str:
    cause = error.get("ctx", {}).get("error")
    return cause.setting if isinstance(cause, WrongSetting) else str(error["loc"][0])


def _line(error: ErrorDetails, given: Collection[str]) -> str:
    """What is wrong, behind the name of what it was given by."""
    name = _name(error)
    return f"{source(name, given, secrets=SECRETS)}: {explained(error, secret=name.endswith(('_password', '_token')))}"
