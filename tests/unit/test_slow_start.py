"""How much of a queue one worker takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.leases.claiming import FIRST_CLAIM, NOTICE_SECONDS, SlowStart


def hold_all(start: SlowStart, *, room: int, looks: int) -> list[int]:
    """What is in hand after each look at a queue without end, one a `NOTICE_SECONDS`, while nothing is finished."""
    held, found = 0, list[int]()
    for look in range(looks):
        now = look * NOTICE_SECONDS
        free = start.free(room=room, held=held, now=now)
        held += free
        if free:
            start.note(more=True, held=held, now=now)
        found.append(held)
    return found


def test_a_long_queue_fills_the_window_within_a_second() -> None:
    assert hold_all(SlowStart(), room=256, looks=5) == [32, 64, 128, 256, 256]


def test_looking_often_takes_no_more() -> None:
    start = SlowStart()
    start.note(more=True, held=FIRST_CLAIM, now=0.0)
    assert [start.free(room=256, held=FIRST_CLAIM, now=look / 1000) for look in range(249)] == [0] * 249


def test_a_queue_that_was_empty_is_shared_anew() -> None:
    start = SlowStart()
    hold_all(start, room=256, looks=5)
    start.note(more=False, held=10, now=9.0)
    assert start.free(room=256, held=10, now=9.0) == FIRST_CLAIM - 10
    assert start.free(room=256, held=0, now=99.0) == FIRST_CLAIM


def test_a_very_large_window_is_filled_in_several_claims() -> None:
    start = SlowStart()
    hold_all(start, room=65_536, looks=20)
    assert start.free(room=65_536, held=0, now=5.0) == start.free(room=65_536, held=60_000, now=5.0) == 1000


@given(room=st.integers(1, 5000), looks=st.integers(1, 20))
def test_no_more_than_there_is_room_for_and_all_of_it_in_the_end(room: int, looks: int) -> None:
    found = hold_all(SlowStart(), room=room, looks=looks)
    assert max(found) <= room
    assert found == sorted(found)
    assert hold_all(SlowStart(), room=room, looks=20)[-1] == room
