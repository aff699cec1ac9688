"""`persqa exporter`: queue depths and progress of runs, for Prometheus."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer
from prometheus_client import REGISTRY

from persqa.http_pages import PageServer, facts_page, metrics_page
from persqa.logs import format_logs
from persqa.required import require_broker
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.fleet_metrics import FleetMetrics

if TYPE_CHECKING:
    from persqa.http_pages import Page

logger = logging.getLogger(__name__)


@expanded
def command(
    *,
    port: Annotated[
        int, typer.Option("--port", metavar="N", parser=whole("--port", 1, 65_535), help="The port to listen on.")
    ] = 9750,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="IP", help="Where to listen: 127.0.0.1 (default), or 0.0.0.0 for all."),
    ] = None,
    log_format: options.LogFormat = None,
    where: options.Where,
) -> None:
    """Serve metrics of queues and runs to Prometheus.

    The page is /metrics: how much waits, for how long, and how far the runs are. It only reads, so accounts that may
    only read are enough, and it goes on while Redis or the database is away. What workers know they serve themselves
    (PERSQA_METRICS_PORT).

    Examples:
        persqa exporter --broker-url redis://localhost:6379/0
        persqa exporter --address 0.0.0.0 --port 9750 --log-format json
    """
    settings = where.settings(log_format=log_format, metrics_address=address)
    broker = require_broker(settings)
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s: %(levelname)s] %(message)s")
    format_logs(logging.getLogger().handlers, settings.log_format)
    REGISTRY.register(FleetMetrics(settings, broker_url=broker))
    pages = {"/metrics": metrics_page, "/healthz": _alive}
    address = settings.metrics_address
    with PageServer(pages, address=address, port=port, setting="--port", address_setting="--address") as server:
        logger.info("serving /metrics on %s, port %d", address, port)
        server.serve_forever()


def _alive() -> Page:
    """Answers while any service is away."""
    return facts_page({"exporter": "ok"}, well=True)
