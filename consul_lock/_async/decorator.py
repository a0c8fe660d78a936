"""``@locked("name")``: a coroutine function that runs under a lock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from consul_lock._api.decorated import Kept, OnBusy, awaitable, awaits, decorates, waiting
from consul_lock._async.lock import Lock, LockOptions, check_options
from consul_lock.errors import LockTimeout

P = ParamSpec("P")
R = TypeVar("R")


@overload
def locked(
    name: str,
    *,
    on_busy: Literal["skip"],
    timeout: float | None = None,
    **options: Unpack[LockOptions],
) -> Callable[
    [Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R | None]]
]: ...


@overload
def locked(
    name: str,
    *,
    on_busy: Literal["wait", "raise"] = "wait",
    timeout: float | None = None,
    **options: Unpack[LockOptions],
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]: ...


def locked(
    name: str,
    *,
    on_busy: OnBusy = "wait",
    timeout: float | None = None,
    **options: Unpack[LockOptions],
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R | None]]]:
    """Run the coroutine function under the lock ``name``; ``options`` are those of `Lock`.

    While the lock is taken, ``on_busy="wait"`` waits for ever, ``"raise"`` raises `LockTimeout`
    and ``"skip"`` returns None without running the function, the latter two after ``timeout``
    seconds (none by default).  Raises `LockLost` after the function if the lock was lost while
    it ran, with what the function has returned as its ``result``, and whatever `Lock.acquire`
    raises.  Options that are unknown or contradict each other, and functions that would return
    before their work is done, are refused where they are decorated.
    """
    decorates("locked", name, options, LockOptions.__annotations__)
    wait = waiting(on_busy, timeout)
    check_options(name, options)
    where = f"@locked({name!r})"

    def decorate(
        function: Callable[P, Coroutine[Any, Any, R]],
    ) -> Callable[P, Coroutine[Any, Any, R | None]]:
        awaits(function, where)

        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            lock = Lock(name, **options)
            began, kept = False, Kept[R]()
            try:
                with kept:
                    async with lock(timeout=wait):
                        began = True
                        return kept(await awaitable(function(*args, **kwargs), function, where))
            except BaseException as error:
                if lock.held:
                    # A signal has struck before the end of the block had begun.
                    await lock.__aexit__(type(error), error, error.__traceback__)
                # The function's own timeouts are its caller's business.
                if began or on_busy != "skip" or not isinstance(error, LockTimeout):
                    raise
                return None

        return run

    return decorate
