"""Settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from kombu import Connection as KombuConnection

from persqa.broker.connection import connect
from persqa.errors import SettingsError
from persqa.runs import parse_options
from persqa.settings import Settings, load_settings
from persqa.urls import without_password


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    Path(".env").write_text("\ufeffPERSQA_WINDOW=5\nPERSQA_MAX_IMAGES=6\n", encoding="utf-8")
    assert (load_settings().window, load_settings().max_images) == (5, 6)


def test_flags_override_the_environment_and_the_environment_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PERSQA_WINDOW=5\nPERSQA_QUEUE_BOUND=5\nPERSQA_MAX_IMAGES=5\n")
    monkeypatch.setenv("PERSQA_QUEUE_BOUND", "6")
    monkeypatch.setenv("PERSQA_WINDOW", "6")
    found = load_settings(window=7, queue_bound=None)
    assert (found.window, found.queue_bound, found.max_images) == (7, 6, 5)


@pytest.mark.parametrize("name", ["PERSQA_ENGINE", "PERSQA_ENGINE_ARGS", "PERSQA_MODEL", "persqa_model"])
def test_the_file_has_no_say_in_what_code_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f'{name}={{"trust_remote_code": true}}\n')
    with pytest.raises(SettingsError, match=rf"{Path.cwd()}/.env: {name.upper()} decides what code runs"):
        load_settings()
    monkeypatch.setenv(name.upper(), '{"max_model_len": 5}')
    overridden = load_settings()
    assert "trust" not in repr(overridden)
    monkeypatch.delenv(name.upper())
    given = {name.lower().removeprefix("persqa_"): {"seed": 1} if "ARGS" in name else "given"}
    assert "trust" not in repr(load_settings(**given))


@pytest.mark.parametrize("given", ["/models/x", "/models/x/", "/models//x", "/models/./x/."])
def test_a_folder_with_a_model_has_one_name(given: str) -> None:
    assert load_settings(model=given).model == parse_options(model=given).model == "/models/x"


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-VL-3B-Instruct", "demo", "s3://bucket/model", "../x", "a/../b"])
def test_other_names_of_models_stay_as_they_are(name: str) -> None:
    assert load_settings(model=name).model == parse_options(model=name).model == name


def test_no_name_is_no_model() -> None:
    assert load_settings(model="").model is parse_options(model="").model is None


def test_a_process_started_with_the_settings_environment_has_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(
        broker_url="redis://h/1",
        engine_args={"a": [1, {"b": None}]},
        image_roots=[Path("/a"), Path("/b")],
        image_hosts=["*.a.example", "::1"],
        image_stores=["s3://a/b", "gs://c"],
        image_allow_private=True,
        window=3,
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_every_wrong_setting_is_named_with_what_is_wrong() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(window=0, engine_args="{")
    assert str(caught.value).splitlines() == [
        "wrong settings",
        "  engine_args: '{' is no JSON object",
        "  window: 0 is too small: write 1 or more",
    ]


def test_a_hang_has_to_be_found_before_its_items_time_out() -> None:
    with pytest.raises(SettingsError, match=r"hang_seconds: must be below 60 \(PERSQA_ITEM_SECONDS\)"):
        load_settings(hang_seconds=60, item_seconds=60)
    with pytest.raises(SettingsError, match=r"item_seconds: must be above 180 \(PERSQA_HANG_SECONDS\)"):
        load_settings(item_seconds=60)


def test_a_setting_in_the_environment_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSQA_ENGINE_ARGS", "{")
    with pytest.raises(SettingsError, match=r"^PERSQA_ENGINE_ARGS: not valid JSON, at column 2: expecting"):
        load_settings()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_and_stands_in_the_docs(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description is not None
    docs = Path(__file__).parents[2] / "docs" / "settings.md"
    assert f"`PERSQA_{name.upper()}`" in docs.read_text()
    assert field.description in docs.read_text(), "run `make docs`"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
        ("postgresql://u:p@h/x", "postgresql://u:***@h/x"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis+socket:///a@b", "redis+socket:///a@b"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("redis://u:p@p@h/0", "redis://u:***@h/0"),
        ("postgresql://u@h/x?password=p&sslmode=require", "postgresql://u@h/x?password=***&sslmode=require"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


#: What a URL cannot hold as it is.
_PASSWORD = "a:/@?#[]% é+"


@pytest.mark.parametrize("how", ["variable", "file"])
def test_a_password_is_put_into_its_url_and_can_be_read_there_by_everybody(
    how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if how == "variable":
        monkeypatch.setenv("PERSQA_BROKER_PASSWORD", _PASSWORD)
        monkeypatch.setenv("PERSQA_DATABASE_PASSWORD", _PASSWORD)
    else:
        monkeypatch.setattr("persqa.settings.SECRETS", tmp_path)
        for name in ("broker", "database"):
            (tmp_path / f"persqa_{name}_password").write_text(f"{_PASSWORD}\n")
    found = load_settings(
        broker_url="redis://worker@h:6379/0", database_url="postgresql://persqa_writer@h/persqa?sslmode=require"
    )
    assert found.broker_url is not None
    options = connect(found.broker_url).connection_pool.connection_kwargs
    assert options["password"] == _PASSWORD
    assert KombuConnection(found.broker_url).password == _PASSWORD
    assert sa.make_url(found.database_url).password == _PASSWORD
    assert without_password(found.broker_url) == "redis://worker:***@h:6379/0"
    assert without_password(found.database_url) == "postgresql://persqa_writer:***@h/persqa?sslmode=require"
    # Nor does anything else show it.
    assert found.broker_password is None
    assert found.database_password is None


def test_a_process_inherits_a_password_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERSQA_BROKER_PASSWORD", _PASSWORD)
    monkeypatch.setattr("persqa.settings.SECRETS", tmp_path)
    (tmp_path / "persqa_database_password").write_text(_PASSWORD)
    settings = load_settings(broker_url="redis://worker@h/0", database_url="postgresql://u@h/persqa")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_process_with_another_broker_does_not_inherit_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSQA_BROKER_URL", "redis://worker@h/0")
    monkeypatch.setenv("PERSQA_BROKER_PASSWORD", _PASSWORD)
    settings = load_settings().model_copy(update={"broker_url": "redis+socket:///a/socket"})
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"broker_url": "redis://worker:one@h/0", "broker_password": "two"}, "broker_password: .*one only"),
        ({"broker_password": "two"}, "broker_password: there is no broker URL .*PERSQA_BROKER_URL"),
        ({"database_password": "two"}, "database_password: sqlite without a host"),
    ],
)
def test_a_password_without_its_place_is_refused_and_not_shown(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load_settings(**given)
    assert "two" not in str(caught.value)


def test_a_secret_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("persqa.settings.SECRETS", tmp_path)
    (tmp_path / "persqa_broker_password").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="broker_password"):
        load_settings(broker_url="redis://worker@h/0")


def test_hosts_and_stores_are_kept_as_they_are_compared() -> None:
    found = load_settings(
        image_hosts="Img.Example.COM., *.bücher.example ,[::0:1],*,a_b.example", image_stores="S3://Bucket/P,gs://b"
    )
    assert found.image_hosts == ["img.example.com", "*.xn--bcher-kva.example", "::1", "*", "a_b.example"]
    assert found.image_stores == ["s3://Bucket/P", "gs://b"]


@pytest.mark.parametrize(
    "host", ["http://a", "a/b", "a:80", "*.", "a.*", "**", "a b", "user@a", "::g", "a..b", "." * 70]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="image_hosts: "):
        load_settings(image_hosts=host)


@pytest.mark.parametrize(
    "store", ["bucket", "/data", "http://a", "HTTPS://a", "file:///a", "simplecache::s3://a", "data://x", "blob://x"]
)
def test_what_is_no_store_is_refused(store: str) -> None:
    with pytest.raises(SettingsError, match="image_stores: "):
        load_settings(image_stores=store)


@pytest.mark.parametrize("name", ["a\r\nX: b", "a\0", "a\tb", "größe", "a" * 257])
def test_what_web_servers_are_told_is_one_header(name: str) -> None:
    with pytest.raises(SettingsError, match=r"image_user_agent: '.* cannot be sent to web servers: write up to 256"):
        load_settings(image_user_agent=name)


@pytest.mark.parametrize("name", ["", "lab-data/1.0 (https://lab.example/bot; me@lab.example) python/3", " a "])
def test_what_web_servers_are_told(name: str) -> None:
    assert load_settings(image_user_agent=name).image_user_agent == name.strip()
