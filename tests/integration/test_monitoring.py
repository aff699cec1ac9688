"""What deploy/ and docs/ say of metrics, held to the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scripts.metrics_docs import DOCS, of_exporter, of_worker, written
from tests.support import dashboards
from tests.support.prometheus import MISSING, promtool_binary

#: What vLLM 0.24 to 0.32 serves of what is asked for; tests/end_to_end holds it to a real one.
_ENDINGS = re.compile(r"_(bucket|sum|count)$")


def promtool(*arguments: str) -> str:
    """What it says, which has to be nothing bad."""
    binary = promtool_binary()
    if binary is None:
        pytest.skip(MISSING)
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tables_of_the_docs_are_those_of_the_code() -> None:
    text = DOCS.read_text()
    assert written(text) == text, "make docs writes them anew"


def test_every_metric_that_is_asked_for_exists() -> None:
    known = set(re.findall(r"`([a-z_]+)`", of_worker() + of_exporter()))
    asked = {name for query in (*dashboards.panel_queries(), *dashboards.alert_queries()) for name in query.names}
    ours = {name if name in known else _ENDINGS.sub("", name) for name in asked if name.startswith("persqa_")}
    assert ours
    assert ours <= known, ours - known


def test_every_panel_has_a_title_a_unit_and_a_description_and_lies_on_no_other() -> None:
    places: set[tuple[int, int]] = set()
    for panel in dashboards.panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            assert (x, at["y"]) not in places, panel["title"]
            places.add((x, at["y"]))


def test_prometheus_takes_the_configuration_and_the_alerts(tmp_path: Path) -> None:
    promtool("check", "config", str(dashboards.CONFIGURATION))
    assert f"{len(dashboards.alert_queries())} rules" in promtool("check", "rules", str(dashboards.ALERTS))
    queries = tmp_path / "queries.yml"
    groups = "\n".join(
        f"  - record: panel:{number}\n    expr: {query.expression!r}"
        for number, query in enumerate(dashboards.panel_queries())
    )
    queries.write_text("groups:\n- name: panels\n  rules:\n" + groups.replace("\\'", "''"))
    promtool("check", "rules", str(queries))


def test_alerts_come_when_they_should_and_only_then(tmp_path: Path) -> None:
    """Items wait in all of them; what differs is what the worker does."""
    cases: dict[str, tuple[str, str, str, list[str]]] = {
        # A worker that answers and is busy: nothing to say.
        "well": ("0+60x240", "0+58x240", "0+0x240", []),
        # It stopped answering half-way, and its engine idles.
        "stuck": (
            "0+60x120 7200x120",
            "0+58x120 6960x120",
            "0+0x240",
            ["PersqaNothingAnswered", "PersqaEngineNotFed"],
        ),
        # It is fed, and its engine dies every ten minutes.
        "dying": ("0+60x240", "0+58x240", "0+0.1x240", ["PersqaEngineRestarts"]),
    }
    for name, (items, busy, restarts, expected) in cases.items():
        series = {
            'persqa_items_total{status="ok",job="persqa-worker",instance="w"}': items,
            'persqa_engine_busy_seconds_total{job="persqa-worker",instance="w"}': busy,
            'persqa_engine_restarts_total{job="persqa-worker",instance="w"}': restarts,
            'persqa_engine_up{job="persqa-worker",instance="w"}': "1x240",
            'persqa_queue_messages{queue="persqa"}': "500x240",
            'persqa_queue_oldest_seconds{queue="persqa"}': "60x240",
            'up{job="persqa-exporter"}': "1x240",
            'persqa_up{service="broker"}': "1x240",
        }
        lines = [f"rule_files: [{dashboards.ALERTS}]", "evaluation_interval: 1m", "tests:", "- interval: 1m"]
        lines += ["  input_series:"]
        lines += [f"  - series: '{one}'\n    values: '{values}'" for one, values in series.items()]
        lines += ["  promql_expr_test:"]
        firing = [f'ALERTS{{alertname="{alert}",alertstate="firing"}}' for alert in sorted(expected)]
        found = 'sort(sum by (alertname) (ALERTS{alertstate="firing"}))'
        lines += [f"  - expr: 'count({found}) or vector(0)'", "    eval_time: 3h", "    exp_samples:"]
        lines += [f"    - labels: '{{}}'\n      value: {len(firing)}"]
        for alert in expected:
            lines += [f'  - expr: \'count(ALERTS{{alertname="{alert}",alertstate="firing"}})\'']
            lines += ["    eval_time: 3h", "    exp_samples:", "    - labels: '{}'\n      value: 1"]
        file = tmp_path / f"{name}.yml"
        file.write_text("\n".join(lines))
        promtool("test", "rules", str(file))
