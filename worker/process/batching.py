"""Batcher: turns many small calls from the event loop into few large ones in a thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Collects elements and passes them on in batches, one batch at a time, in the order of submission."""

    def __init__(
        self,
        flush: Callable[[Sequence[In]], Sequence[Out]],
        *,
        name: str,
        size: int,
        seconds: float,
        in_flight: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; a batch goes out when it has `size` elements, or when the first one has waited so many `seconds`.

        A thread called `name` hands each batch to `flush`, which returns one answer for each element. `in_flight` says
        how many elements there are, with those that may still come: where they are too few for a batch, the first one
        waits for less, in proportion, and for nobody where nobody else is.
        """
        self._flush = flush
        self._size = size
        self._seconds = seconds
        self._in_flight = in_flight
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: list[tuple[In, asyncio.Future[Out]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._batches: set[asyncio.Task[None]] = set()

    async def submit(self, element: In) -> Out:
        """Get the answer for one element; what `flush` raises is raised for all elements of the batch."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Out] = loop.create_future()
        self._waiting.append((element, answer))
        most = self._size if self._in_flight is None else min(self._size, self._in_flight())
        if len(self._waiting) >= most:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._seconds * most / self._size, self._send)
        return await answer

    def close(self) -> None:
        """End the thread after the current batch."""
        self._thread.shutdown(wait=True)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        # The loop keeps only a weak reference to a task.
        task = asyncio.ensure_future(self._run(batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _run(self, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        elements = [element for element, _ in batch]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._flush, elements)
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
