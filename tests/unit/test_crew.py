"""Members of a crew are started, watched and started again; times are given, processes are real."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wait import wait_until
from worker.crew.crew import Crew
from worker.crew.member import SERVED_SECONDS, Member
from worker.crew.output import Output, OwnLines
from worker.crew.places import Place

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_DIES = ("sh", "-c", "exit 3")
_REFUSES = ("sh", "-c", "exit 2")
_SAYS_ITS_CODE = ("sh", "-c", 'exit "$(cat "$CODE")"')
_SERVES = ("sh", "-c", 'echo ready > "/dev/fd/$PERSQA_READY_FD"; exec sleep 600')


@pytest.fixture
def output(tmp_path: Path) -> Iterator[tuple[Output, Path]]:
    """An output and the file it goes to."""
    file = tmp_path / "output"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    yield Output(["crew", "gpu0", "gpu10"], as_json=False, file=descriptor), file
    os.close(descriptor)


@pytest.fixture
def _own_signals() -> Iterator[None]:
    """A crew takes signals over; afterwards they are as before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def wait_end(member: Member, now: float) -> None:
    """Look until it has ended, with the clock standing still."""

    def ended() -> bool:
        member.look(now)
        return not member.running

    wait_until(ended, describe="the process is seen to have ended")


def wait_ready(member: Member, now: float) -> None:
    def ready() -> bool:
        member.look(now)
        return member.ready

    wait_until(ready, describe="the process says that it is ready")


def fill(writing: int) -> None:
    """Let the next one who writes to this pipe stand still."""
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)


def test_pauses_grow_to_a_minute_for_one_that_dies_at_once(output: tuple[Output, Path]) -> None:
    member = Member(Place("gpu0", {}), _DIES, output[0])
    now = 1000.0
    pauses: list[float] = []
    for _ in range(9):
        member.look(now)
        wait_end(member, now)
        pause = 0.0
        while not member.running:
            pause += 0.5
            member.look(now + pause)
        pauses.append(pause)
        now += pause
    wait_end(member, now)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert member.failures == 10
    assert not member.refused


def test_one_that_has_served_starts_again_as_if_for_the_first_time(output: tuple[Output, Path]) -> None:
    member = Member(Place("gpu0", {}), _SERVES, output[0])
    member.look(0)
    wait_ready(member, 100)
    member.kill()
    wait_end(member, 100 + SERVED_SECONDS - 1)
    assert member.failures == 1
    member.look(200)
    wait_ready(member, 300)
    member.kill()
    wait_end(member, 300 + SERVED_SECONDS)
    assert member.failures == 1


def test_one_that_is_told_to_stop_is_not_started_again(output: tuple[Output, Path]) -> None:
    serving = Member(Place("gpu0", {}), _SERVES, output[0])
    waiting = Member(Place("gpu10", {}), _DIES, output[0])
    for member in (serving, waiting):
        member.look(0)
    wait_ready(serving, 1)
    wait_end(waiting, 1)
    for member in (serving, waiting):
        member.stop(signal.SIGTERM)
    wait_end(serving, 2)
    for member in (serving, waiting):
        member.look(1000)
        assert not member.running
    assert serving.code == -signal.SIGTERM
    assert waiting.code is None


def test_a_command_that_cannot_be_started_is_tried_again(output: tuple[Output, Path], tmp_path: Path) -> None:
    command = tmp_path / "worker"
    member = Member(Place("gpu0", {}), [str(command)], output[0])
    member.look(0)
    assert not member.running
    command.write_text("#!/bin/sh\nexit 3\n")
    command.chmod(0o755)
    member.look(1)
    assert member.running
    wait_end(member, 1)


def test_one_is_refused_after_the_third_time_in_a_row(output: tuple[Output, Path], tmp_path: Path) -> None:
    code = tmp_path / "code"
    member = Member(Place("gpu0", {"CODE": str(code)}), _SAYS_ITS_CODE, output[0])
    refused: list[bool] = []
    for number in (2, 2, 3, 2, 2, 2, 2, 3):
        code.write_text(str(number))
        member.look(1000 * len(refused))
        assert member.running
        wait_end(member, 1000 * len(refused))
        refused.append(member.refused)
    assert refused == [False, False, False, False, False, True, True, False]


def test_one_that_was_ready_once_is_never_refused(output: tuple[Output, Path], tmp_path: Path) -> None:
    script = f'[ -e {tmp_path}/used ] && exit 2; touch {tmp_path}/used; echo ready > "/dev/fd/$PERSQA_READY_FD"; exit 3'
    member = Member(Place("gpu0", {}), ("sh", "-c", script), output[0])
    for now in (0, 1000, 2000, 3000, 4000):
        member.look(now)
        assert member.running
        wait_end(member, now)
        assert not member.refused


def test_one_that_says_why_it_cannot_start_is_not_ready(output: tuple[Output, Path]) -> None:
    script = 'echo refused: no such model, ready or not > "/dev/fd/$PERSQA_READY_FD"; exit 2'
    member = Member(Place("gpu0", {}), ("sh", "-c", script), output[0])
    for now in (0, 1000, 2000):
        assert not member.refused
        member.look(now)
        wait_end(member, now)
    assert member.refused


@pytest.mark.usefixtures("_own_signals")
def test_settings_that_nobody_can_use_end_the_crew(output: tuple[Output, Path]) -> None:
    members = [Member(Place(label, {}), _REFUSES, output[0]) for label in ("gpu0", "gpu10")]
    assert Crew(members, drain_seconds=1).run() == 2
    assert [member.failures for member in members] == [3, 3]


@pytest.mark.usefixtures("_own_signals")
def test_a_crew_outlives_what_hinders_all_its_workers_twice(output: tuple[Output, Path], tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    script = f"echo >> {tries}; [ $(wc -l < {tries}) -ge 3 ] || exit 2; kill -TERM $PPID; exec sleep 600"
    assert Crew([Member(Place("gpu0", {}), ("sh", "-c", script), output[0])], drain_seconds=60).run() == 0


@pytest.mark.usefixtures("_own_signals")
def test_a_reader_that_stands_still_keeps_no_worker_from_being_told_to_stop() -> None:
    reading, writing = os.pipe()
    fill(writing)
    output = Output(["crew", "gpu0"], as_json=False, file=writing)
    own = OwnLines(output, "crew")
    script = "echo this stands still; kill -TERM $PPID; exec sleep 600"
    member = Member(Place("gpu0", {}), ("sh", "-c", script), output)
    logger = logging.getLogger("worker.crew")
    before = logger.level
    logger.addHandler(own)
    logger.setLevel(logging.INFO)
    try:
        assert Crew([member], drain_seconds=60).run() == 0
        assert member.code == -signal.SIGTERM
        own.close()
    finally:
        logger.removeHandler(own)
        logger.setLevel(before)
        # Its threads stand still in a write, and now end of it.
        os.close(reading)


def test_the_crews_own_lines_come_in_order_and_the_last_one_is_waited_for(output: tuple[Output, Path]) -> None:
    own = OwnLines(output[0], "crew")
    for number in range(500):
        own.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    own.close()
    assert output[1].read_text().splitlines() == [f"crew  | line {number}" for number in range(500)]


@pytest.mark.usefixtures("_own_signals")
def test_what_does_not_end_is_killed(output: tuple[Output, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.crew.crew.GRACE_SECONDS", 0.3)
    deaf = ("sh", "-c", "trap '' TERM QUIT; kill -TERM $PPID; while :; do sleep 0.1; done")
    members = [Member(Place("gpu0", {}), deaf, output[0])]
    assert Crew(members, drain_seconds=0.2).run() == 3


@pytest.mark.usefixtures("_own_signals")
def test_what_does_not_end_is_killed_while_nobody_reads(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker.crew.crew.GRACE_SECONDS", 0.3)
    reading, writing = os.pipe()
    fill(writing)
    deaf = ("sh", "-c", "trap '' TERM QUIT; echo this stands still; kill -TERM $PPID; while :; do sleep 0.1; done")
    member = Member(Place("gpu0", {}), deaf, Output(["gpu0"], as_json=False, file=writing))
    try:
        assert Crew([member], drain_seconds=0.2).run() == 3
        assert caplog.text.count("not ended in time") == 1
    finally:
        os.close(reading)


def test_lines_come_whole_with_who_says_them(output: tuple[Output, Path]) -> None:
    for label in ("gpu0", "gpu10"):
        line = f"{label} " + "x" * 5000
        command = ("sh", "-c", f'for _ in 1 2 3 4 5 6 7 8 9; do echo "{line}"; echo; done')
        member = Member(Place(label, {}), command, output[0])
        member.look(0)
        wait_end(member, 0)
    lines = output[1].read_text().splitlines()
    assert lines == [f"{label:5} | {label} " + "x" * 5000 for label in ("gpu0", "gpu10") for _ in range(9)]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")))
def test_what_is_no_json_becomes_json(line: str) -> None:
    reading, writing = os.pipe()
    try:
        output = Output(["gpu0"], as_json=True, file=writing)
        output.say("gpu0", line)
        output.say("gpu0", json.dumps({"message": line, "level": "INFO"}))
        first, second, rest = os.read(reading, 2**16).decode().split("\n")
    finally:
        os.close(reading)
        os.close(writing)
    assert rest == ""
    assert json.loads(second) == {"label": "gpu0", "message": line, "level": "INFO"}
    fields = json.loads(first)
    assert fields["label"] == "gpu0"


@pytest.mark.parametrize("where", ["pipe", "terminal", "disk"])
def test_an_output_that_is_gone_stops_nobody(where: str) -> None:
    """A pipe whose reader has ended, a terminal that is closed, a file on a full disk."""
    if where == "disk":
        writing = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, writing = os.pipe() if where == "pipe" else os.openpty()
        os.close(reading)
    output = Output(["gpu0"], as_json=False, file=writing)
    output.say("gpu0", "nobody hears this")
    source = io.BytesIO(b"nor this\n" * 3)
    output.relay("gpu0", source).join()
    assert source.closed
    os.close(writing)
