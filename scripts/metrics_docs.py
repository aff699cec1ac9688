"""Write the tables of docs/metrics.md from the metrics themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from persqa.settings import Settings
from producer.fleet_metrics import FleetMetrics
from worker.process import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"

_HEAD = "| metric | kind | labels | meaning |\n|---|---|---|---|\n"
#: What a page adds to the name of a metric of some kind.
_ENDINGS = {"counter": "_total", "info": "_info"}


def of_worker() -> str:
    """The table of what a worker serves."""
    # Only what the worker's module registers: nothing of vLLM or of Python.
    return _table(family for family in metrics.REGISTRY.collect() if family.name.startswith("persqa_"))


def of_exporter() -> str:
    """The table of what the exporter serves."""
    settings = Settings(database_url="sqlite:///nowhere.db")
    return _table(FleetMetrics(settings, broker_url="redis://nowhere").describe())


def written(text: str) -> str:
    """The text with both tables written anew."""
    for name, table in (("worker", of_worker()), ("exporter", of_exporter())):
        start = text.index(f"<!-- {name} -->\n") + len(f"<!-- {name} -->\n")
        text = text[:start] + table + text[text.index("<!-- end -->", start) :]
    return text


def _table(families: Iterable[Metric]) -> str:
    rows = sorted(
        f"| `{family.name}{_ENDINGS.get(family.type, '')}` | {family.type} | {_labels(family)} "
        f"| {family.documentation} |\n"
        for family in families
    )
    return _HEAD + "".join(rows)


def _labels(family: Metric) -> str:
    declared: Iterable[str] = getattr(family, "_labelnames", ())
    found = {name for sample in family.samples for name in sample.labels} | set(declared)
    return ", ".join(f"`{name}`" for name in sorted(found - {"le"}))


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text()))
