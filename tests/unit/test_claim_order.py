"""In which order a worker takes from its queues."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persqa.broker.keys import priority_of, queue_for
from persqa.runs import Priority
from worker.leases.claiming import claim_order

#: What a worker can be told to consume: any queue of ours, and whatever somebody names with `-Q`.
models = st.none() | st.sampled_from(["org/model", "high", "low", "persqa:high"])
ours = st.builds(queue_for, models, st.sampled_from(Priority))
queues = st.lists(ours | st.sampled_from(["foreign", "persqa-high", "highest"]), min_size=1, max_size=12, unique=True)


@given(queues, st.integers(min_value=0))
def test_all_queues_are_there_and_none_stands_before_one_of_a_higher_priority(names: list[str], turn: int) -> None:
    ordered = claim_order(names, turn)
    assert sorted(ordered) == sorted(names)
    ranks = [list(Priority).index(priority_of(name)) for name in ordered]
    assert ranks == sorted(ranks)


@given(queues, st.integers(min_value=0))
def test_each_is_the_first_of_its_priority_in_as_many_turns_as_there_are_such(names: list[str], turn: int) -> None:
    for priority in Priority:
        same = {name for name in names if priority_of(name) is priority}
        first = [
            next(name for name in claim_order(names, turn + later) if priority_of(name) is priority)
            for later in range(len(same))
        ]
        assert set(first) == same


@given(models, st.sampled_from(Priority))
def test_a_queue_says_its_priority_whatever_its_model_is_called(model: str | None, priority: Priority) -> None:
    assert priority_of(queue_for(model, priority)) is priority
