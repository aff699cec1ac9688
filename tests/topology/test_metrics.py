"""A real Prometheus, as docker-compose.yml has it, scrapes the fleet; the dashboard and the alerts ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.conftest import Size
from tests.support.dashboards import alert_queries, panel_queries
from tests.support.prometheus import MISSING, prometheus_binary
from tests.support.wait import wait_until
from tests.topology.conftest import Deployment
from tests.topology.services import facts

pytestmark = pytest.mark.xdist_group("topology")

#: The number of the worker that has one.
_REAL_ENGINE = 9


@pytest.fixture
def prometheus(deployment: Deployment, size: Size) -> Iterator[str]:
    """The address of the one that scrapes the fleet; in a long test, a worker with a real engine is part of that."""
    if prometheus_binary() is None:
        pytest.skip(MISSING)
    services = deployment.services
    real = services.start("worker-cpu", _REAL_ENGINE, seconds=300) if size(0, 1) else []
    yield f"http://{services.host('prometheus').address}:9090"
    for container in real:
        services.remove(container.host.name)


def test_every_panel_and_every_alert_is_answered(deployment: Deployment, prometheus: str, size: Size) -> None:
    services = deployment.services
    running = {f"{services.host(name).address}:9700" for name in services.running("worker")}
    there = {*running, "exporter:9750"}
    wait_until(lambda: _targets(prometheus) == dict.fromkeys(there, "up"), describe="all are scraped", seconds=90)
    deployment.take(0.01)
    facts(services.run("submit", "records.jsonl", "--run", "metrics", "--json", host="producer"))
    for query in panel_queries(interval="1m"):
        # The short test has no vLLM; tests/end_to_end holds these to what a real one serves.
        if size(0, 1) or not any(name.startswith("vllm:") for name in query.names):
            wait_until(
                lambda query=query: _ask(prometheus, query.expression),
                describe=f"data for {query.title!r}: {query.expression}",
                seconds=60,
            )
    for query in alert_queries():
        _ask(prometheus, query.expression)
    rules = [rule for group in _get(prometheus, "rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules] == [query.title for query in alert_queries()]
    assert all(not rule.get("lastError") for rule in rules)


def _targets(prometheus: str) -> dict[str, str]:
    """What is scraped, and whether it answers."""
    active = _get(prometheus, "targets")["activeTargets"]
    return {target["labels"]["instance"]: target["health"] for target in active}


def _ask(prometheus: str, expression: str) -> list[Any]:
    return _get(prometheus, f"query?query={quote(expression)}")["result"]


def _get(prometheus: str, path: str) -> dict[str, Any]:
    with urlopen(f"{prometheus}/api/v1/{path}", timeout=10) as answer:
        found = json.load(answer)
    assert found["status"] == "success", found
    return found["data"]
