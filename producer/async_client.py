"""AsyncClient: the client for programs of asyncio, with the same names; `async_client.pyi` has them for type checkers.

There is no second implementation: what is asked of one of these objects is asked of the one that it stands for, in a
thread. What is a method there has to be awaited here; what gives rows one by one there is for `async for` here.
Functions that are given, such as `on_full`, are called in such threads.
"""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial, wraps
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from producer.client import Client
from producer.following import Followed
from producer.open_run import OpenRun
from producer.run_handle import RunHandle
from producer.tickets import Ticket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from persqa.pairs import PairRow

Found = TypeVar("Found")

#: Threads for all that does not wait for long.
_THREADS = 32
#: What may wait as long as it likes gets a thread of its own, so that nothing else has to wait for one.
_LONG = frozenset({"wait", "wait_ready"})
_ROWS_AT_ONCE = 1000


class Asked:
    """An object of the client that is asked from a loop."""

    def __init__(self, asked: object, threads: ThreadPoolExecutor) -> None:
        """Stand for this one."""
        self._asked = asked
        self._threads = threads

    def __getattr__(self, name: str) -> object:
        """What the object has by this name, to be awaited where that may take time."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        declared = inspect.getattr_static(type(self._asked), name, None)
        if isinstance(declared, property) and reads(declared):
            return self._in_thread(partial(getattr, self._asked, name))
        found: object = getattr(self._asked, name)
        if not inspect.ismethod(found):
            return self._wrapped(found)
        return self._rows_of(found) if gives_rows(found) else self._awaitable(found)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._asked) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<async {self._asked!r}>"

    def _awaitable(self, method: Callable[..., object]) -> Callable[..., object]:
        @wraps(method)
        async def called(*given: object, **named: object) -> object:
            call = partial(method, *given, **named)
            found = in_own_thread(call) if method.__name__ in _LONG else self._in_thread(call)
            return self._wrapped(await found)

        return called

    def _rows_of(self, method: Callable[..., Iterator[object]]) -> Callable[..., object]:
        @wraps(method)
        def called(*given: object, **named: object) -> AsyncGenerator[object]:
            return _rows(partial(method, *given, **named))

        return called

    async def _in_thread(self, call: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _wrapped(self, found: object) -> object:
        """The same for a loop, if it is or has any of ours."""
        if isinstance(found, list):
            return [self._wrapped(one) for one in cast("list[object]", found)]
        for kind, standing in _KINDS:
            if isinstance(found, kind):
                return standing(found, self._threads)
        return found


class AsyncRunHandle(Asked):
    """`RunHandle` for a loop."""


class AsyncOpenRun(AsyncRunHandle):
    """`OpenRun` for a loop."""


class AsyncTicket(Asked):
    """`Ticket` for a loop; no thread waits for it, but that of the watch, which all tickets share."""

    _asked: Ticket  # pyrefly: ignore[bad-override-mutable-attribute] - it is never another one

    def __await__(self) -> Generator[Any, None, PairRow]:
        """Wait for `result`."""
        return self._asked.__await__()

    async def result(self, timeout: float | None = None) -> PairRow:
        """As `Ticket.result`."""
        return (await self._asked.arrive([self._asked.first], timeout))[0]

    async def results(self, timeout: float | None = None) -> list[PairRow]:
        """As `Ticket.results`."""
        return await self._asked.arrive(self._asked.items, timeout)


class AsyncClient(Asked):
    """`Client` for a loop."""

    _asked: Client  # pyrefly: ignore[bad-override-mutable-attribute] - it is never another one

    def __init__(self, *given: Any, **named: Any) -> None:
        """Prepare, without connecting, as `Client` does."""
        super().__init__(Client(*given, **named), ThreadPoolExecutor(_THREADS, thread_name_prefix="persqa-async"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Client.close`; the threads end, too."""
        try:
            await self._in_thread(self._asked.close)
        finally:
            self._threads.shutdown(wait=False)


#: What stands for what; of two that fit, the first one.
_KINDS: tuple[tuple[type[object], type[Asked]], ...] = (
    (OpenRun, AsyncOpenRun),
    (RunHandle, AsyncRunHandle),
    (Ticket, AsyncTicket),
)


def gives_rows(method: Callable[..., object]) -> bool:
    """Whether a method gives rows one by one, by what it says of itself."""
    return str(inspect.signature(method).return_annotation).startswith("Iterator[")


def reads(declared: property) -> bool:
    """Whether a property reads the database: then that may fail, and it says so."""
    return "Raises:" in (declared.__doc__ or "")


async def in_own_thread(call: Callable[[], Found]) -> Found:
    """What is called, in a thread that nothing else waits for, and that nobody waits for who does not await this."""
    future: Future[Found] = Future()

    def run() -> None:
        try:
            found = call()
        except BaseException as error:  # noqa: BLE001 - whoever awaits it raises it
            with suppress(Exception):
                future.set_exception(error)
        else:
            with suppress(Exception):
                future.set_result(found)

    Thread(target=run, name="persqa-async-own", daemon=True).start()
    return await asyncio.wrap_future(future)


async def _rows(read: Callable[[], Iterator[object]]) -> AsyncGenerator[object]:
    rows = await in_own_thread(read)
    try:
        while some := await in_own_thread(partial(_some, rows)):
            for row in some:
                yield row
    finally:
        close = getattr(rows, "close", None)
        # A generator cannot be closed while a thread is in it; that one ends with the batch it reads.
        with suppress(ValueError):
            _ = close and close()


def _some(rows: Iterator[object]) -> list[object]:
    """The next rows, as many as can be had at once."""
    first = list(islice(rows, 1))
    more = rows.at_hand if isinstance(rows, Followed) else _ROWS_AT_ONCE
    return first + list(islice(rows, more)) if first else []
