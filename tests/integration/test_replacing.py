"""A name that was used in vain can be used again: of a run that has no answer, another submit takes the place."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.keys import QUEUE
from persqa.broker.leases import Leases
from persqa.controls import remove_unanswered
from persqa.errors import RunConflict, RunNotFound, RunStopped
from persqa.policies import Rung
from persqa.results import Outcome, Result, Status
from persqa.runs import RunState
from persqa.verdicts import ViolationKind
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.builders import a_stored_run, a_violation, an_outcome, answer_one, write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.queues import held, waiting
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from persqa.runs import RunId
    from persqa.store import Store
    from persqa.store.deletion import Deletion, Rows
    from producer import RunHandle
    from tests.conftest import Site


def replaced(run: RunHandle) -> bool:
    assert run.submission is not None
    return run.submission.replaced


@pytest.mark.parametrize("state", list(RunState))
def test_what_was_not_answered_is_replaced_with_its_messages(site: Site, tmp_path: Path, state: RunState) -> None:
    settings = scripted(site.settings, "reads_colour")
    data = write_images(tmp_path / "data", 5)
    with Client(settings) as client:
        old = client.submit(data, tag="bob", seed=3)
        if state is not RunState.ACTIVE:
            old.pause() if state is RunState.PAUSED else old.cancel()
        new = client.submit(data)
        assert (replaced(new), replaced(client.submit(data)), waiting(settings)) == (True, False, 5)
        assert [run.run.id for run in client.runs()] == [new.run.id]
        assert new.run.id != old.run.id, "nobody takes the items of the one for those of the other"
        with pytest.raises(RunNotFound, match="another submit has replaced it"):
            old.wait(display=quiet)
        with WorkerProcess(settings, tmp_path):
            new.wait(timeout_seconds=60, display=quiet)
        check_rows(new, 5)
        assert client.store.dead_letters.counts() == {}
    check_empty(settings)


def test_a_run_of_wrong_records_of_a_program_is_replaced_by_the_mended_one(site: Site) -> None:
    names = [f"{number}.png" for number in range(3)]
    with Client(site.settings) as client:
        old = client.submit([{"image": f"\0{name}"} for name in names], run="people")
        assert (counts(old), old.run.broker) == ({"invalid": 3}, None)
        new = client.submit([{"image": name} for name in names], run="people", questions_per_image=2)
        assert (replaced(new), new.progress().pending, new.progress().submitted) == (True, 6, 6)


def test_what_ended_without_a_generation_is_replaced_too(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    data = write_images(tmp_path / "data", 3)
    for image in (tmp_path / "data" / "images").iterdir():
        image.unlink()
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        old = client.submit(data)
        old.wait(timeout_seconds=60, display=quiet)
        assert counts(old) == {"invalid": 3}
        assert replaced(client.submit(data, tag="bob"))
        client.run("records").wait(timeout_seconds=60, display=quiet)


def test_one_answer_keeps_the_run_and_so_does_a_broken_one_that_was_taken_back(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    with Client(site.settings) as client:
        run = client.submit(data)
        item = next(client.store.ledger.pending(run.run.id))[0]
        broken = Result(item_id=item.id, run_id=item.run_id, status=Status.NONCOMPLIANT, generations=1)
        violation = a_violation(item, Rung.FREE, ViolationKind.MISSING_TAG)
        client.store.results.commit([Outcome(broken, violations=(violation,))])
        for taken_back in (False, True):
            if taken_back:
                assert run.requeue("noncompliant").taken_back == 1
            with pytest.raises(RunConflict, match="the run 'records' exists and differs in: tag"):
                client.submit(data, tag="bob")
            assert run.progress().submitted == 3
            assert run.audit().holds


def test_what_workers_have_begun_is_not_taken_from_them(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 4)
    with Client(site.settings) as client, closing(Leases(site.broker.url, worker="w", seconds=30)) as leases:
        run = client.submit(data)
        (claimed,) = leases.claim([QUEUE], 1)
        with pytest.raises(RunConflict, match=r"workers have begun it.*persqa cancel records"):
            client.submit(data, tag="bob")
        assert (held(site.settings), waiting(site.settings)) == (1, 3)
        assert client.store.runs.reread(run.run).state is RunState.ACTIVE
        leases.put_back([claimed.tag], count=False)
        assert replaced(client.submit(data, tag="bob"))


def test_a_run_that_is_answered_at_the_last_moment_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_images(tmp_path / "data", 4)
    with Client(site.settings) as client:
        run = client.submit(data)

        def answered_after_the_look(*_: object) -> bool:
            answer_one(client, run)
            return False

        monkeypatch.setattr(type(client.store.deletion), "is_answered", answered_after_the_look)
        with pytest.raises(RunConflict, match="differs in: tag"):
            client.submit(data, tag="bob")
        now = client.store.runs.reread(run.run)
        assert (now.state, run.progress().pending) == (RunState.ACTIVE, 3)
        assert run.submission is not None
        assert client.submit(data).submission is not None
        assert waiting(site.settings) == 3, "what was taken out of the queue is there again"


def test_a_run_of_another_folder_is_somebody_elses(site: Site, tmp_path: Path) -> None:
    mine, yours = write_images(tmp_path / "mine", 2), write_images(tmp_path / "yours", 3)
    with Client(site.settings) as client:
        client.submit(mine)
        with pytest.raises(RunConflict, match="differs in: the data; choose another name with run"):
            client.submit(yours)
        assert client.run("records").progress().submitted == 2


def test_a_late_answer_brings_nothing_back(store: Store) -> None:
    run, batch = a_stored_run(store, 3)
    assert remove_unanswered(store, run, None)
    assert remove_unanswered(store, run, None), "safe to repeat"
    assert store.results.commit([an_outcome(batch[0])]) == set()
    assert (store.runs.all(), store.ledger.chosen([item.id for item in batch])) == ([], [])


def test_what_a_replacement_that_was_broken_off_leaves_can_be_deleted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_images(tmp_path / "data", 5)
    with Client(site.settings) as client:
        client.submit(data, tag="bob")
        monkeypatch.setattr("persqa.store.deletion._AT_ONCE", 2)
        with monkeypatch.context() as patched:
            patched.setattr(type(client.store.deletion), "steps", broken_off(type(client.store.deletion).steps))
            with pytest.raises(KeyboardInterrupt):
                client.submit(data)
        assert (client.run("records").progress().submitted, waiting(site.settings)) == (3, 0)
        with pytest.raises(RunStopped, match="is being deleted; to delete the rest of it: persqa delete records"):
            client.submit(data)
        client.run("records").delete()
        assert client.submit(data).progress().pending == 5


def broken_off(steps: Callable[[Deletion, RunId], Iterator[Rows]]) -> Callable[[Deletion, RunId], Iterator[Rows]]:
    """The same steps, with Ctrl-C after the first of them."""

    def one(deletion: Deletion, run_id: RunId) -> Iterator[Rows]:
        yield next(steps(deletion, run_id))
        raise KeyboardInterrupt

    return one
