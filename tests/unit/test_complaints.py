"""What is wrong with a setting or an option is said in words of ours, and begins with what it was given by."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.errors import SettingsError
from persqa.runs import RunOptions, Sampling, parse_options
from persqa.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

WRONG: tuple[object, ...] = (
    *("abc", "", " ", "{", "[1]", "a\0b", b"x", -1, 0, 1.5, float("nan"), float("inf"), 10**30, True),
    *([], [1], {}, {"a": object()}, {1: 2}, object()),
)
#: How pydantic and its core begin their sentences.
LIBRARY = re.compile(r"[Ii]nput|Extra|[Ff]ield required|Value error|[Uu]nable to|valid (integer|string|number)")


def complaint(check: Callable[..., object], **given: object) -> str:
    """What is said of the values; empty where they can be used."""
    try:
        check(**given)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", Settings.model_fields)
def test_whatever_is_wrong_with_a_setting_is_said_in_our_words(name: str) -> None:
    said = [complaint(load_settings, **{name: value}) for value in WRONG]
    for sentence in filter(None, said):
        assert sentence.startswith((f"{name}: ", "wrong settings")), sentence
        assert LIBRARY.search(sentence) is None, sentence
    assert any(said), "something is wrong for every setting"


@pytest.mark.parametrize("name", RunOptions.model_fields)
def test_whatever_is_wrong_with_an_option_of_a_run_is_said_in_our_words(name: str) -> None:
    said = [complaint(parse_options, **{name: value}) for value in WRONG]
    assert any(said), "something is wrong for every option"
    assert not [sentence for sentence in said if LIBRARY.search(sentence)]


@pytest.mark.parametrize("name", Sampling.model_fields)
def test_so_is_a_parameter_of_the_sampling(name: str) -> None:
    for sentence in filter(None, (complaint(parse_options, sampling={name: value}) for value in WRONG)):
        assert sentence.startswith((f"sampling: {name}: ", "wrong options")), sentence
        assert LIBRARY.search(sentence) is None, sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tag_policy": "fix"}, "tag_policy: 'fix' is none of check, repair, prefill"),
        ({"sampling": {"temperatur": 0}}, "sampling: there is no parameter 'temperatur'; did you mean temperature?"),
        ({"sampling": {"zz": 0}}, "sampling: there is no parameter 'zz'; choose temperature, top_p, "),
        ({"sampling": {"top_p": 2}}, "sampling: top_p: 2 is too large: write 1 or less"),
        ({"questions_per_image": "x"}, "questions_per_image: 'x' is no whole number"),
        ({"imagecolumn": "x"}, "there is no option of a run 'imagecolumn'; did you mean image_column?"),
        ({"seed": -1, "limit": 0}, "wrong options\n  seed: -1 is too small: write 0 or more\n  limit: 0 is too small"),
    ],
)
def test_the_sentence_has_what_can_be_written_instead(options: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_options(**options)
    assert str(caught.value).startswith(words)


def test_a_setting_is_called_by_what_it_was_given_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = "use sqlite:///file.db or postgresql://user@host/name, not 'mysql://u:***@h/x'"
    wrong = "mysql://u:geheim@h/x"
    monkeypatch.setattr("persqa.settings.SECRETS", tmp_path / "secrets")
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "persqa_database_url"
    secret.write_text(wrong)
    for source in (secret, f"PERSQA_DATABASE_URL in {tmp_path}/.env", "PERSQA_DATABASE_URL", "database_url"):
        match source:
            case "PERSQA_DATABASE_URL":
                monkeypatch.setenv("PERSQA_DATABASE_URL", wrong)
            case str() if source.endswith(".env"):
                Path(".env").write_text(f"PERSQA_DATABASE_URL={wrong}\n")
            case _:
                pass
        given = {"database_url": wrong} if source == "database_url" else {}
        with pytest.raises(SettingsError) as caught:
            load_settings(**given)
        assert str(caught.value) == f"{source}: {said}"


@pytest.mark.parametrize("url", ["amqp://u:geheim@h", "localhost:6379", "", "http://h"])
def test_a_broker_that_is_none_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(SettingsError, match=r"broker_url: use redis://host:6379/0 or redis\+socket:///path") as caught:
        load_settings(broker_url=url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://x/y"])
def test_so_is_a_database_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="database_url: use sqlite:///"):
        load_settings(database_url=url)


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PERSQA_WINDW", "PERSQA_WINDW: there is no such setting; did you mean PERSQA_WINDOW?"),
        ("persqa_broker_ulr", "PERSQA_BROKER_ULR: there is no such setting; did you mean PERSQA_BROKER_URL?"),
        ("PERSQA_METRIC_PORT", "did you mean PERSQA_METRICS_PORT?"),
        ("PERSQA_QQQ", "PERSQA_QQQ: there is no such setting; docs/settings.md has all that there are"),
        ("PERSQA_", "there is no such setting"),
    ],
)
def test_a_variable_of_ours_that_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, where: str, name: str, words: str
) -> None:
    if where == "environment":
        monkeypatch.setenv(name, "3")
    else:
        Path(".env").write_text(f"{name}=3\n")
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        load_settings()
    assert (f"{Path.cwd()}/.env: " in str(caught.value)) is (where == "file")


def test_variables_of_our_other_programs_and_of_kubernetes_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    compose = (root / "docker-compose.yml").read_text() + (root / "compose.cpu.yml").read_text()
    for name in set(re.findall(r"\$\{(PERSQA_\w+)", compose)) - {
        f"PERSQA_{name.upper()}" for name in Settings.model_fields
    }:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PERSQA_READY_FD", "3")
    for name, value in {
        "SERVICE_HOST": "10.0.0.1",
        "PORT": "tcp://10.0.0.1:80",
        "EXPORTER_SERVICE_HOST": "10.0.0.1",
        "EXPORTER_SERVICE_PORT": "9750",
        "EXPORTER_SERVICE_PORT_METRICS": "9750",
        "EXPORTER_PORT": "tcp://10.0.0.1:9750",
        "EXPORTER_PORT_9750_TCP": "tcp://10.0.0.1:9750",
        "EXPORTER_PORT_9750_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(f"PERSQA_{name}", value)
    Path(".env").write_text("PERSQA_IMAGES=/data\nPERSQA_WORKERS=2\nOTHER=1\n")
    monkeypatch.setenv("MY_PERSQA_THING", "1")
    assert load_settings().window == 256
    assert "PERSQA_IMAGES" in os.environ
