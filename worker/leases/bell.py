"""Bell: a thread and a connection by which an idle worker hears of new messages at once.

Losing the connection costs nothing but time: the keeper looks by itself a few times a second.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from persqa.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.broker.pushes import Pushes

#: How often the thread looks whether it is still needed.
_LOOK_SECONDS = 0.5
#: What is pushed within so long rings once.
_TOGETHER_SECONDS = 0.005
_PAUSE_SECONDS = 5.0


class Bell:
    """Rings when something is pushed. The thread begins when it is first needed; at rest it has no connection."""

    def __init__(self, pushes: Pushes, ring: Callable[[], object]) -> None:
        """Prepare; `ring` is called in the thread, also when it begins to listen: something may have come before."""
        self._pushes = pushes
        self._ring = ring
        self._queues: Sequence[str] = ()
        self._needed = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, queues: Sequence[str]) -> None:
        """Listen to what is pushed into these queues; to nothing if there are none."""
        if queues == self._queues or self._ending.is_set():
            return
        self._queues = queues
        if not queues:
            self._needed.clear()
            return
        self._needed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="persqa-bell", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, within a second."""
        self._ending.set()
        self._needed.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._needed.wait()
            try:
                self._listen(self._queues)
            except BrokerUnavailable:
                self._ending.wait(_PAUSE_SECONDS)
            finally:
                self._pushes.close()

    def _listen(self, queues: Sequence[str]) -> None:
        if not queues:
            return
        self._pushes.listen(queues)
        while queues == self._queues and not self._ending.is_set():
            if self._pushes.wait(_LOOK_SECONDS):
                self._ring()
                self._ending.wait(_TOGETHER_SECONDS)
