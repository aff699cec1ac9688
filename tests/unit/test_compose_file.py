"""The Compose files and the Dockerfile: valid, and what they say holds."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
from typer.main import get_command

from persqa.settings import Settings
from producer.cli import app
from tests.support.compose import ROOT, merged, read_compose

_FILES = {"alone": read_compose(), "with compose.cpu.yml": merged(read_compose(), read_compose("compose.cpu.yml"))}
_SERVICES: dict[str, Any] = _FILES["alone"]["services"]
_OURS = ("migrate", "worker", "submit", "persqa", "exporter", "flower")
_DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("which", _FILES)
def test_the_files_follow_the_compose_specification(which: str) -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(_FILES[which], json.loads(schema.read_text()))
    assert "version" not in _FILES[which]


@pytest.mark.parametrize("which", _FILES)
def test_what_a_service_names_is_there(which: str) -> None:
    whole = _FILES[which]
    for name, service in whole["services"].items():
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in whole["secrets"], name
        for network in service["networks"]:
            assert network in whole["networks"], name
        for other in service.get("depends_on", {}):
            assert other in whole["services"], name
        if "build" in service:
            assert f" AS {service['build']['target']}\n" in _DOCKERFILE, name


@pytest.mark.parametrize("which", _FILES)
def test_what_a_service_mounts_is_there(which: str) -> None:
    for name, service in _FILES[which]["services"].items():
        for mount in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount).split(":")[0]
            if not source.startswith("."):
                assert source in _FILES[which]["volumes"], name
            elif source.startswith("./deploy/"):
                assert (ROOT / source).exists(), name


def test_only_this_machine_reaches_what_is_published() -> None:
    published = {name: service["ports"] for name, service in _SERVICES.items() if "ports" in service}
    assert set(published) == {"prometheus", "grafana", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert all(not service.get("network_mode") and not service.get("privileged") for service in _SERVICES.values())


def test_broker_and_database_reach_nothing_outside() -> None:
    networks = _FILES["alone"]["networks"]
    for name in ("redis", "postgres", "migrate", "submit", "persqa", "exporter"):
        assert all(networks[network].get("internal") for network in _SERVICES[name]["networks"]), name


def test_no_secret_stands_in_a_file() -> None:
    files = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    files += [ROOT / name for name in ("docker-compose.yml", "compose.cpu.yml", "Dockerfile")]
    for path in files:
        text = path.read_text(errors="replace")
        assert not re.search(r"://[^:/@\s$]*:[^@/\s{}]+@", text), path
        assert not re.search(r"(?i)(password|token|secret)[\"']?\s*[=:]\s*[\"']?[0-9a-f]{16,}", text), path
    for name, service in _SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", variable):
                # A file, or whatever is set where Compose runs.
                assert value is None or variable.endswith(("_FILE", "__FILE")), (name, variable)
    assert all(str(secret["file"]).startswith("${PERSQA_SECRETS") for secret in _FILES["alone"]["secrets"].values())
    assert {"secrets/"} <= set((ROOT / ".gitignore").read_text().split())
    assert (ROOT / ".dockerignore").read_text().split("\n")[1] == "*"


def test_every_image_is_pinned() -> None:
    for name, service in _SERVICES.items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), name
        else:
            assert "PERSQA_VERSION:-" in service["image"], name
    for base in re.findall(r"^ARG (?:PYTHON|VLLM)=(\S+)$", _DOCKERFILE, re.MULTILINE):
        assert re.search(r":v?\d+\.\d+\.\d+", base), base
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", _DOCKERFILE, re.MULTILINE)) | {"${PYTHON}", "${VLLM}"}
    assert set(re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)) <= stages


def test_every_image_of_ours_runs_without_root_and_is_pinned_to_one_user() -> None:
    for target in ("client", "flower", "worker-cpu", "worker"):
        stage = _DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE)[-1] == "10001:10001", target
        assert "\nHEALTHCHECK " in stage, target
    for name in _OURS:
        service = _SERVICES[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


@pytest.mark.parametrize("which", _FILES)
def test_every_variable_is_a_setting_and_holds_one(which: str) -> None:
    known = {f"PERSQA_{name.upper()}" for name in Settings.model_fields}
    for name, service in _FILES[which]["services"].items():
        variables: dict[str, str | None] = service.get("environment", {})
        given = {key for key in variables if key.startswith("PERSQA_")}
        assert given <= known, name
        secrets: list[str | dict[str, str]] = service.get("secrets", [])
        assert {secret["target"].upper() for secret in secrets if not isinstance(secret, str)} <= known, name


def test_every_command_is_one() -> None:
    commands = set(getattr(get_command(app), "commands", {}))
    for name in ("migrate", "worker", "exporter"):
        assert _SERVICES[name]["command"][0] in commands
    assert _SERVICES["submit"]["entrypoint"] == ["persqa", "submit"]
    assert _SERVICES["persqa"]["entrypoint"] == ["persqa"]


def test_a_worker_has_the_time_to_stop() -> None:
    worker = _SERVICES["worker"]
    drain = int(worker["environment"]["PERSQA_DRAIN_SECONDS"])
    assert _seconds(worker["stop_grace_period"]) > drain + 30
    assert _seconds(worker["healthcheck"]["start_period"]) >= Settings.model_fields["load_seconds"].default
    assert worker["restart"] == "unless-stopped"
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["count"], device["capabilities"]) == ("all", ["gpu"])
    images = next(mount for mount in worker["volumes"] if ":/images" in mount)
    assert images.endswith(":ro")


def test_without_a_gpu_none_is_asked_for() -> None:
    worker = _FILES["with compose.cpu.yml"]["services"]["worker"]
    assert worker["deploy"]["resources"]["reservations"] == {}
    assert worker["environment"]["PERSQA_MODEL"] == "demo"
    assert worker["build"]["target"] == "worker-cpu"


def test_users_in_urls_have_accounts_and_the_password_that_is_theirs() -> None:
    accounts = re.findall(r"^user (\w+)", (ROOT / "deploy" / "redis" / "users.acl").read_text(), re.MULTILINE)
    roles = re.findall(r"^CREATE ROLE (\w+)", (ROOT / "deploy/postgres/init/10-roles.sql").read_text(), re.MULTILINE)
    for name in _OURS:
        environment = _SERVICES[name]["environment"]
        sources = {secret["target"]: secret["source"] for secret in _SERVICES[name]["secrets"]}
        if "PERSQA_BROKER_URL" in environment:
            user = _user(environment["PERSQA_BROKER_URL"])
            assert user in accounts, name
            assert sources["persqa_broker_password"] == f"redis_{user}_password", name
        role = _user(environment["PERSQA_DATABASE_URL"])
        assert role in roles, name
        assert sources["persqa_database_password"] == f"{role.replace('persqa', 'postgres')}_password", name


def test_every_secret_is_made_by_the_script() -> None:
    script = (ROOT / "deploy" / "secrets.sh").read_text()
    for name in _FILES["alone"]["secrets"]:
        assert name.removesuffix("_password") in script


def _user(url: str) -> str:
    found = re.match(r"\w+://(\w+)@", url)
    assert found is not None, url
    return found[1]


def _seconds(text: str) -> int:
    return int(text.removesuffix("s"))
