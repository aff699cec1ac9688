"""What an error says of this machine, and what of the item."""

from __future__ import annotations

import errno

import pytest

from persqa.errors import Infrastructure, OutOfMemory, shortage


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_may_be_short_because_of_the_item(error: Exception) -> None:
    for found in (error, _caused_by(error)):
        assert isinstance(shortage(found), OutOfMemory)


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
)
def test_other_shortages_blame_no_item(error: Exception) -> None:
    for found in (error, _caused_by(error)):
        assert type(shortage(found)) is Infrastructure


@pytest.mark.parametrize(
    "error",
    [ValueError("out of memory"), OSError("image file is truncated"), TimeoutError(), RuntimeError("shape mismatch")],
)
def test_other_errors_say_nothing_of_the_machine(error: Exception) -> None:
    assert shortage(error) is None


def _caused_by(error: Exception) -> Exception:
    try:
        try:
            raise error
        except Exception as cause:
            raise ValueError("the processor failed") from cause
    except ValueError as wrapped:
        return wrapped
