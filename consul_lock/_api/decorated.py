"""What functions can be run under a lock, and how: for decorators, and for ``run``.

A function that returns before its work is done, as coroutine functions and generators do, would
release the lock first and do its work afterwards.  So each API refuses what belongs to the other
one, where it is decorated if that can be seen there, else at the call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from consul_lock._api.lock_state import LockState
from consul_lock._api.options import known
from consul_lock._protocol.keys import check_name
from consul_lock.errors import ConfigError, LockLost

R = TypeVar("R")

OnBusy = Literal["wait", "raise", "skip"]


def waiting(on_busy: OnBusy, timeout: float | None) -> float | None:
    """Seconds to wait; None: for ever.  Raises `ConfigError` for what contradicts itself."""
    if on_busy not in ("wait", "raise", "skip"):
        raise ConfigError(
            f"on_busy={on_busy!r} is not one of 'wait', 'raise', 'skip'",
            kind="value",
            settings=("on_busy",),
        )
    if on_busy != "wait":
        return timeout or 0.0
    if timeout is not None:
        raise ConfigError(
            f"timeout={timeout!r} needs on_busy='raise' or 'skip', to say what happens after it",
            kind="contradiction",
            settings=("timeout", "on_busy"),
        )
    return None


def decorates(
    decorator: str, name: object, options: Mapping[str, Any], allowed: Mapping[str, Any]
) -> None:
    """Check the arguments of a decorator, but for the values of its options."""
    if isinstance(name, LockState):
        raise TypeError(
            f"@{decorator} takes the name of a lock, not a lock: write @{decorator}({name.name!r})"
        )
    if callable(name):
        raise TypeError(f'@{decorator} needs a name: write @{decorator}("name") above the function')
    check_name(name)
    known(options, allowed, f"@{decorator}")


# -- blocking ------------------------------------------------------------------------------------


def blocks(function: Callable[..., Any], where: str) -> None:
    """Raise `TypeError` for a function whose work is not done when it returns."""
    _callable(function, where)
    if _is(inspect.iscoroutinefunction, function):
        raise TypeError(
            f"{where}: {_name(function)} is a coroutine function, and would run without the lock;"
            " use consul_lock.aio"
        )
    _no_generator(function, where)


def finished(result: R, function: Callable[..., Any], where: str) -> R:
    """The result of a function; `TypeError` for one that is still to be awaited."""
    if not inspect.isawaitable(result):
        return result
    for end in ("close", "cancel"):  # of a coroutine, of a task or future: it is not to run
        stop = getattr(result, end, None)
        if stop is not None:
            stop()
    raise TypeError(
        f"{where}: {_name(function)} returned {type(result).__name__!r}, which would run without"
        " the lock; use consul_lock.aio"
    )


# -- asyncio -------------------------------------------------------------------------------------


def awaits(function: Callable[..., Any], where: str) -> None:
    """Raise `TypeError` for a function that is no coroutine function."""
    _callable(function, where)
    _no_generator(function, where)
    if not _is(inspect.iscoroutinefunction, function):
        raise TypeError(
            f"{where}: {_name(function)} is no coroutine function; write async def, or use"
            " consul_lock"
        )


def makes_awaitable(function: Callable[..., Any], where: str) -> None:
    """The same, but a lambda that makes a coroutine is welcome: it can be of no other use."""
    _callable(function, where)
    _no_generator(function, where)
    if getattr(function, "__name__", "") != "<lambda>":
        awaits(function, where)


def awaitable(made: R, function: Callable[..., Any], where: str) -> R:
    """What a function has made to be awaited; `TypeError` if it has not."""
    if inspect.isawaitable(made):
        return made
    raise TypeError(
        f"{where}: {_name(function)} returned {type(made).__name__!r}, which cannot be awaited"
    )


# -- both ----------------------------------------------------------------------------------------


class Kept(Generic[R]):
    """What a function has returned: a loss that is found after it does not throw it away."""

    def __init__(self) -> None:
        self._results: list[R] = []

    def __call__(self, result: R) -> R:
        self._results.append(result)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._results and isinstance(error, LockLost):
            error.result = self._results[0]


def _callable(function: object, where: str) -> None:
    if not callable(function):
        below = "; put it below" if isinstance(function, classmethod | property) else ""
        raise TypeError(f"{where}: {function!r} is no function{below}")


def _no_generator(function: Callable[..., Any], where: str) -> None:
    if _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function):
        raise TypeError(
            f"{where}: {_name(function)} is a generator function, whose body runs when the lock is"
            " released already; acquire the lock inside it"
        )


def _is(sort: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Whether a function is of this sort; also an object that is called like one."""
    while isinstance(function, functools.partial | staticmethod):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    return sort(function) or (not isinstance(function, type) and sort(type(function).__call__))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
