"""Programs add to one run, and they, the workers and the broker die: each record is there once, with its answer."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from producer import Client
from tests.faults.tools import finish, quick
from tests.support.builders import write_images
from tests.support.oracle import check_audits, check_empty, check_rows
from tests.support.programs import Program
from tests.support.servers import broker_process, valkey_binary
from tests.support.wait import spend, wait_until
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.settings import Settings
    from tests.conftest import Site, Size


#: How likely a follower leaves after a row.
_LEAVES = 0.01


class Producers:
    """Programs that each add a part of the records, of which each is added by two."""

    def __init__(self, settings: Settings, folder: Path, *, number: int, records: int) -> None:
        self._settings, self._folder = settings, folder
        part = records // number
        self._parts = [(at * part, min(records, (at + 2) * part)) for at in range(number - 1)]
        self._parts.append(((number - 1) * part, records))
        self.programs = [self._start(at) for at in range(number)]

    def _start(self, at: int) -> Program:
        environment = {**os.environ, **self._settings.environment()}
        first, last = map(str, self._parts[at])
        arguments = ["tests.support.adding", "camera", str(self._folder), first, last]
        with (self._folder.parent / f"producer-{at}.log").open("ab") as log:
            return Program(arguments, env=environment, cwd=Path.cwd(), stdout=log, stderr=log)

    def kill_one(self) -> None:
        """Kill one that is at work, if there is one, and start it again."""
        at_work = [at for at, program in enumerate(self.programs) if program.poll() is None]
        if at_work:
            victim = random.choice(at_work)
            self.programs[victim].kill()
            self.programs[victim].wait()
            self.programs[victim] = self._start(victim)

    def finish(self, seconds: float) -> None:
        """All that there is was added, some of it twice."""
        assert [program.wait(seconds) for program in self.programs] == [0] * len(self.programs)


def follow(settings: Settings, seen: list[int]) -> None:
    """Follow the run to its end, and stop again and again to go on behind the last row; collect the records."""
    cursor, ended = 0, False
    while not ended:
        with Client(settings, local_worker=False) as client:
            for row in client.run("camera").results(follow=True, after=cursor):
                cursor = row.cursor
                seen.append(cast("int", row.record["id"]))
                if random.random() < _LEAVES:
                    break
            else:
                ended = True


def kill_a_worker(workers: list[WorkerProcess], settings: Settings, folder: Path, stack: ExitStack) -> None:
    victim = random.randrange(len(workers))
    workers[victim].wait_ready()
    workers[victim].process.kill()
    workers[victim] = stack.enter_context(WorkerProcess(settings, folder))


def steps(kills: int) -> Sequence[str]:
    """Whom it hits, in random order; the broker twice."""
    chosen = [*random.choices(["producer", "producer", "worker"], k=kills), "broker", "broker"]
    random.shuffle(chosen)
    return chosen


@pytest.mark.parametrize("site", ["valkey+sqlite", "redis+postgresql"], indirect=True)
def test_programs_workers_and_the_broker_die_and_each_record_is_answered_once(
    site: Site, tmp_path: Path, size: Size
) -> None:
    records, programs = size(1000, 50_000), size(5, 20)
    folder = write_images(tmp_path / "data", records).parent / "images"
    with broker_process(valkey_binary()) as broker, ExitStack() as stack:
        settings = quick(site, "reads_colour", window=32).model_copy(update={"broker_url": broker.url})
        client = stack.enter_context(Client(settings))
        run = client.open_run("camera", key="id")
        seen: list[int] = []
        follower = stack.enter_context(ThreadPoolExecutor(1)).submit(follow, settings, seen)
        producers = Producers(settings, folder, number=programs, records=records)
        workers = [stack.enter_context(WorkerProcess(settings, tmp_path)) for _ in range(size(2, 3))]
        for step in steps(size(8, 100)):
            spend(random.uniform(0.1, 0.6))
            if step == "producer":
                producers.kill_one()
            elif step == "worker":
                kill_a_worker(workers, settings, tmp_path, stack)
            else:
                # It keeps nothing.
                broker.kill()
                broker.start()
        producers.finish(size(60, 900))
        run.close()
        finish(run, seconds=size(120, 900))
        check_rows(run, records)
        follower.result(size(60, 900))
        assert sorted(seen) == list(range(records)), "each followed row comes once"
        wait_until(lambda: client.run("camera").audit().holds, describe="nothing is missing")
        check_audits(settings)
        check_empty(settings)
