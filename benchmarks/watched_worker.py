"""`python -m benchmarks.watched_worker SOCKET ...`: a worker that says where its processor time goes, when asked.

What follows the socket goes to `python -m worker`. Each connection to the socket gets one line of JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

#: Where an interpreter of 3.11 notes which thread holds its lock, in the first bytes of its state.
_STATE_BYTES = 4096


def main() -> None:
    """Listen, and be a worker."""
    from worker.__main__ import _end, main

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    threading.Thread(target=_answer, args=(listener, holder_addresses()), name="watch", daemon=True).start()
    _end(main(sys.argv[2:]))


def holder_addresses() -> list[int]:
    """Where in memory the interpreter notes the thread that holds its lock, or the last one that held it.

    Found by what two threads find there while they hold it: their own state.
    """
    try:
        start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    except ValueError:
        return []
    get = ctypes.PyDLL(None).PyThreadState_Get
    get.restype = ctypes.c_void_p
    found: list[set[int]] = []

    def look() -> None:
        words = (ctypes.c_void_p * (_STATE_BYTES // 8)).from_address(start)
        own = get()
        found.append({start + 8 * index for index, word in enumerate(words) if word == own})

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return sorted(found[0] & found[1])


def _answer(listener: socket.socket, holders: list[int]) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(json.dumps({"holders": holders, **_spent()}).encode())


def _spent() -> dict[str, object]:
    """Processor time so far, in seconds: of this process, its threads and its children."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    threads: dict[str, tuple[str, float]] = {}
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            nanoseconds = int((task / "schedstat").read_text().split()[0])
            name = names.get(int(task.name)) or (task / "comm").read_text().strip()
            threads[task.name] = (name, nanoseconds / 1e9)
    children: dict[str, tuple[str, float]] = {}
    memory = psutil.Process().memory_info().rss
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            children[str(child.pid)] = (" ".join(child.cmdline()).strip(), times.user + times.system)
            memory += child.memory_info().rss
    return {
        "pid": os.getpid(),
        "time": time.monotonic(),
        "process": time.process_time(),
        "threads": threads,
        "children": children,
        "memory": memory / 1e6,
    }


# The guard is needed where the engine's processes import this module again.
if __name__ == "__main__":
    main()
