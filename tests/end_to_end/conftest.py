"""One worker with the demo model for all tests that do not need a process of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from persqa.settings import Settings
from producer.demo.data import records_file, write_demo_data
from tests.conftest import Size
from tests.support.one_process import engines_in_one_process
from tests.support.oracle import check_audits
from tests.support.pages import free_port
from tests.support.servers import broker_process, fresh_database, valkey_binary
from tests.support.workers import WorkerProcess

#: With room for a busy machine.
LOAD_SECONDS = 300


@dataclass
class Demo:
    """A site, people that the demo model has never seen, and one worker at a time that answers about them.

    Attributes:
        settings: the site's.
        people: their folder.
        records: one record for each of them.
        whole: whether its engine has all the processes of a run without any setting.
    """

    settings: Settings
    people: Path
    records: list[dict[str, str]]
    whole: bool
    _stack: ExitStack = field(default_factory=ExitStack)
    _worker: WorkerProcess | None = None

    def worker(self) -> WorkerProcess:
        """The one that runs, ready; a new one where the last has been ended."""
        if self._worker is None or self._worker.process.poll() is not None:
            with nullcontext() if self.whole else engines_in_one_process():
                self._worker = self._stack.enter_context(WorkerProcess(self.settings, self.people))
            self._worker.wait_ready(seconds=LOAD_SECONDS)
        return self._worker

    def close(self) -> None:
        """End it."""
        self._stack.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What kills the worker that all share comes last."""
    ours = Path(__file__).with_name("test_engine_faults.py")
    items.sort(key=lambda item: item.path == ours)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, _postgres: sa.URL, size: Size) -> Iterator[Demo]:
    """With its worker ready; every run's audit must hold at the end."""
    people = tmp_path_factory.mktemp("people")
    list(write_demo_data(size(80, 320), people, seed=1234))
    records = [json.loads(line) for line in records_file(people).read_text().splitlines()]
    with broker_process(valkey_binary()) as broker, fresh_database(_postgres) as database:
        # Commits are smaller than the window, so that some are in flight whenever one is seen.
        settings = Settings(
            broker_url=broker.url,
            database_url=database,
            lease_seconds=5,
            window=64,
            commit_items=16,
            # A busy machine takes seconds for the first step of a new engine, which has all prompts at once.
            hang_seconds=20,
            metrics_port=free_port(),
            # Below it is what any of the tests writes.
            image_roots=[tmp_path_factory.getbasetemp()],
        )
        demo = Demo(settings, people, records, whole=bool(size(False, True)))
        demo.worker()
        yield demo
        demo.close()
        check_audits(settings)
