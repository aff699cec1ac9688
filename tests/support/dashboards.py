"""What deploy/ asks Prometheus: the panels of the dashboard, and the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
CONFIGURATION = DEPLOY / "prometheus" / "prometheus.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"

_NAME = re.compile(r"\b(?:persqa_|vllm:|process_)[a-z0-9_:]+")


class Query(NamedTuple):
    """One expression in PromQL, and where it stands."""

    title: str
    expression: str

    @property
    def names(self) -> set[str]:
        """The metrics it asks for."""
        return set(_NAME.findall(self.expression))


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, rows left out."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def panel_queries(*, interval: str = "1m") -> list[Query]:
    """All queries of all panels, ready for Prometheus: Grafana's variables are replaced."""
    return [
        Query(panel["title"], target["expr"].replace("$__rate_interval", interval))
        for panel in panels()
        for target in panel["targets"]
    ]


def alert_queries() -> list[Query]:
    """The expressions of all alerts."""
    groups = cast("list[dict[str, Any]]", yaml.safe_load(ALERTS.read_text())["groups"])
    return [Query(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]
