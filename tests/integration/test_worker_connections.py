"""How many connections to PostgreSQL a worker opens, with all its parts at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from producer import Client
from tests.support.builders import write_images
from tests.support.pages import facts, free_port
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted
from worker.worker import DATABASE_CONNECTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Site

ITEMS = 1000


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_worker_under_load_opens_no_more_connections_than_it_says(site: Site, tmp_path: Path) -> None:
    port = free_port()
    settings = scripted(site.settings, "reads_colour").model_copy(
        update={"window": 64, "metrics_port": port, "reconcile_seconds": 1.0}
    )
    data = write_images(tmp_path / "data", ITEMS)
    for number in range(0, ITEMS, 10):
        (tmp_path / "data" / "images" / f"{number}.png").write_text("no image")
    with Client(settings) as client:
        client.submit(data)
    redis = connect(settings.broker_url or "")
    redis.lpush(QUEUE, *[f"no message {number}" for number in range(100)])
    redis.close()
    admin = sa.create_engine(settings.database_url.replace("postgresql:", "postgresql+psycopg:"))
    seen: set[int] = set()

    def is_done() -> bool:
        facts(port, "readyz")
        with admin.connect() as connection:
            of_worker = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'persqa'"
            seen.add(connection.exec_driver_sql(f"{of_worker} AND datname = current_database()").scalar_one())
            ended = connection.exec_driver_sql("SELECT count(*) FROM results").scalar_one()
            letters = connection.exec_driver_sql("SELECT count(*) FROM dead_letters").scalar_one()
        return (ended, letters) == (ITEMS, 100)

    with WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        wait_until(is_done, describe="all items have ended and all dead letters are written", seconds=60)
    admin.dispose()
    # One alone would be no load; how many more a look meets is chance.
    assert 1 < max(seen) <= DATABASE_CONNECTIONS, seen
