"""``@locked("name")``: a coroutine function that runs under a lock."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Literal, ParamSpec, TypeVar, overload

from consul_lock._async.lock import Lock
from consul_lock._decorated import OnBusy, waiting
from consul_lock.errors import LockTimeout

P = ParamSpec("P")
R = TypeVar("R")


@overload
def locked(
    name: str,
    *,
    on_busy: Literal["skip"],
    timeout: float | None = None,
    **options: Any,
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R | None]]]: ...


@overload
def locked(
    name: str,
    *,
    on_busy: Literal["wait", "raise"] = "wait",
    timeout: float | None = None,
    **options: Any,
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]: ...


def locked(
    name: str, *, on_busy: OnBusy = "wait", timeout: float | None = None, **options: Any
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R | None]]]:
    """Run the coroutine function under the lock ``name``; ``options`` are those of `Lock`.

    While the lock is taken, ``on_busy="wait"`` waits for ever, ``"raise"`` raises `LockTimeout`
    and ``"skip"`` returns None without running the function, the latter two after ``timeout``
    seconds (none by default).  Raises `LockLost` after the function if the lock was lost while
    it ran, and whatever `Lock.acquire` raises.
    """
    wait = waiting(on_busy, timeout)

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R | None]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            lock = Lock(name, **options)
            began = False
            try:
                async with lock(timeout=wait):
                    began = True
                    return await function(*args, **kwargs)
            except LockTimeout:
                # The function's own time-outs are its caller's business.
                if began or on_busy != "skip":
                    raise
                return None

        return run

    return decorate
