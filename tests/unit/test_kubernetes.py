"""The manifests: valid by Kubernetes' own schema, and what they say holds."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from persqa.broker.keys import HELD, queue_for, turns_of
from persqa.runs import Priority
from persqa.settings import Settings
from tests.support.compose import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kubernetes_validate

_FOLDER = ROOT / "deploy" / "kubernetes"
_VERSION = "1.34"

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}


def _object(required: list[str], **properties: object) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


#: Of what others than Kubernetes define, the fields that are used here; written from their documentation.
_FOREIGN: dict[str, dict[str, object]] = {
    "ScaledObject": _object(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=_object(["name"], name=_TEXT),
        minReplicaCount=_COUNT,
        maxReplicaCount=_COUNT,
        pollingInterval=_COUNT,
        cooldownPeriod=_COUNT,
        advanced=_object([], horizontalPodAutoscalerConfig=_object([], behavior={"type": "object"})),
        triggers={
            "type": "array",
            "minItems": 1,
            "items": _object(
                ["type", "metadata"],
                type={"const": "redis"},
                # Every value is a string, numbers, too.
                metadata=_object(
                    ["address", "listName", "listLength"],
                    # KEDA asks from a namespace of its own, so a bare name is not found.
                    address={"type": "string", "pattern": r"^[^:/.]+(\.[^:/.]+)+:[0-9]+$"},
                    listName=_TEXT,
                    listLength={"type": "string", "pattern": "^[0-9]+$"},
                    activationListLength={"type": "string", "pattern": "^[0-9]+$"},
                ),
                authenticationRef=_object(["name"], name=_TEXT),
            ),
        },
    ),
    "TriggerAuthentication": _object(
        ["secretTargetRef"],
        secretTargetRef={
            "type": "array",
            "items": _object(["parameter", "name", "key"], parameter=_TEXT, name=_TEXT, key=_TEXT),
        },
    ),
    "PodMonitor": _object(
        ["selector", "podMetricsEndpoints"], selector={"type": "object"}, podMetricsEndpoints={"type": "array"}
    ),
    "ServiceMonitor": _object(["selector", "endpoints"], selector={"type": "object"}, endpoints={"type": "array"}),
}


@cache
def _built(folder: str) -> list[dict[str, Any]]:
    """What `kubectl kustomize` makes of a folder; without it, the files that its kustomizations name, as they are."""
    if shutil.which("kubectl"):
        ended = subprocess.run(
            ["kubectl", "kustomize", str(_FOLDER / folder)], capture_output=True, text=True, check=True
        )
        return [document for document in yaml.safe_load_all(ended.stdout) if document]
    return list(_named(_FOLDER / folder))


def _named(folder: Path) -> list[dict[str, Any]]:
    """The resources of a kustomization, and of those it stands on."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[dict[str, Any]] = []
    for name in [*kustomization.get("resources", []), *kustomization.get("components", [])]:
        path = (folder / name).resolve()
        found += _named(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    return found


def _one(kind: str, name: str, folder: str = "overlays/example") -> dict[str, Any]:
    (found,) = [one for one in _built(folder) if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def _pods(folder: str = "overlays/example") -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in _built(folder)
        if one["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("folder", ["base", "overlays/example"])
def test_everything_follows_its_schema(folder: str) -> None:
    built = _built(folder)
    assert len(built) > 10
    for document in built:
        if document["apiVersion"].startswith(("keda.sh/", "monitoring.coreos.com/")):
            jsonschema.validate(document["spec"], _FOREIGN[document["kind"]])
        else:
            kubernetes_validate.validate(document, _VERSION, strict=True)


def test_the_schema_would_notice() -> None:
    broken = {**_one("PodDisruptionBudget", "persqa-worker"), "spec": {"maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, _VERSION, strict=True)


def test_a_worker_that_loads_is_told_from_one_that_is_stuck() -> None:
    (container,) = _pods()["persqa-worker"]["containers"]
    startup, live, ready = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert startup["httpGet"]["path"] == ready["httpGet"]["path"] == "/readyz"
    assert live["httpGet"]["path"] == "/healthz"
    load_seconds = int(_one("ConfigMap", "persqa-worker")["data"]["PERSQA_LOAD_SECONDS"])
    assert startup["periodSeconds"] * startup["failureThreshold"] >= load_seconds
    (port,) = container["ports"]
    assert str(port["containerPort"]) == _one("ConfigMap", "persqa-worker")["data"]["PERSQA_METRICS_PORT"]
    assert {probe["httpGet"]["port"] for probe in (startup, live, ready)} == {port["name"]}


def test_a_worker_has_the_time_to_stop() -> None:
    pod = _pods()["persqa-worker"]
    drain = int(_one("ConfigMap", "persqa-worker")["data"]["PERSQA_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain + 30
    assert "lifecycle" not in pod["containers"][0]


def test_a_worker_has_one_gpu_and_its_folders() -> None:
    pod = _pods()["persqa-worker"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    assert mounts["images"]["readOnly"]
    (shm,) = [volume for volume in pod["volumes"] if volume["name"] == "shm"]
    assert shm["emptyDir"]["medium"] == "Memory"


def test_every_pod_is_restricted_and_speaks_to_nobody_by_default() -> None:
    for name, pod in _pods().items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True), name
    policy = _one("NetworkPolicy", "persqa-nothing")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert "egress" not in policy


def test_no_pod_is_left_out_by_the_policies() -> None:
    for document in _built("overlays/example"):
        if document["kind"] in ("Deployment", "Job"):
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "persqa", document["metadata"]["name"]


def test_what_is_scraped_has_the_jobs_that_alerts_ask_for() -> None:
    (endpoint,) = _one("PodMonitor", "persqa-worker")["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "persqa-worker"}]
    # A ServiceMonitor's job is the Service's name.
    _one("Service", "persqa-exporter")


def test_secrets_come_by_reference_only() -> None:
    assert not [one for one in _built("overlays/example") if one["kind"] == "Secret"]
    for name, pod in _pods().items():
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if re.search("PASSWORD|TOKEN", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"], name


def test_every_variable_is_a_setting() -> None:
    known = {f"PERSQA_{name.upper()}" for name in Settings.model_fields}
    for document in _built("overlays/example"):
        if document["kind"] == "ConfigMap":
            assert set(document["data"]) <= known
    for pod in _pods().values():
        for variable in pod["containers"][0].get("env", []):
            assert variable["name"] in known | {"HF_HOME", "HF_TOKEN"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="images are named by kustomize, and kubectl is not here")
def test_every_image_is_pinned() -> None:
    for pod in _pods().values():
        for container in pod["containers"]:
            assert re.search(r":\d+\.\d+\.\d+$", container["image"])


def test_the_fleet_grows_with_every_queue_and_stays_for_what_is_in_hand() -> None:
    spec = _one("ScaledObject", "persqa-worker")["spec"]
    lists = {trigger["metadata"]["listName"] for trigger in spec["triggers"]}
    queues = {queue_for(None, priority) for priority in Priority}
    assert lists == queues | {turns_of(queue) for queue in queues} | {HELD}
    assert spec["minReplicaCount"] == 0
    (authentication,) = {trigger["authenticationRef"]["name"] for trigger in spec["triggers"]}
    references = _one("TriggerAuthentication", authentication)["spec"]["secretTargetRef"]
    assert {reference["parameter"] for reference in references} == {"username", "password"}
    # Who else sets the number would undo what is scaled.
    if shutil.which("kubectl"):
        assert "replicas" not in _one("Deployment", "persqa-worker")["spec"]


def test_whoever_may_reach_the_broker_is_one_of_ours() -> None:
    expressions = _one("NetworkPolicy", "persqa-broker")["spec"]["podSelector"]["matchExpressions"]
    # `producer` is for your own pods that submit.
    assert set(expressions[0]["values"]) == {"worker", "exporter", "producer"}
    labels = {
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for one in _built("overlays/example")
        if one["kind"] == "Deployment"
    }
    assert labels <= set(expressions[0]["values"])
