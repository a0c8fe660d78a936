"""Which functions can be run under a lock: those whose work is done when they have returned, or
have been awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

import consul_lock
from consul_lock._api.decorated import (
    Kept,
    awaitable,
    awaits,
    blocks,
    decorates,
    finished,
    makes_awaitable,
    waiting,
)
from consul_lock.errors import ConfigError, LockLost


def plain(*args: Any) -> None: ...


async def coroutine_function(*args: Any) -> None: ...


def generator_function(*args: Any) -> Any:
    yield


async def async_generator_function(*args: Any) -> Any:
    yield


class Called:
    """An object that is called like a function."""

    def __call__(self, *args: Any) -> None: ...


class CalledAndAwaited:
    """An object that is called like a coroutine function."""

    async def __call__(self, *args: Any) -> None: ...


PLAIN = [plain, functools.partial(plain, 1), Called(), staticmethod(plain), Called, len]
AWAITED = [
    coroutine_function,
    functools.partial(functools.partial(coroutine_function, 1), 2),
    functools.partial(CalledAndAwaited()),
    CalledAndAwaited(),
    staticmethod(coroutine_function),
]
GENERATORS = [
    generator_function,
    async_generator_function,
    functools.partial(generator_function, 1),
    staticmethod(async_generator_function),
]

Check = Callable[[Any, str], None]


def _kind(function: Any) -> str:
    """For the names of tests."""
    inner = function
    while isinstance(inner, functools.partial | staticmethod):
        inner = getattr(inner, "func", None) or inner.__wrapped__
    name = getattr(inner, "__name__", f"{type(inner).__name__}()")
    return name if inner is function else f"{type(function).__name__} of {name}"


@pytest.mark.parametrize("function", PLAIN, ids=_kind)
def test_a_plain_function_is_for_threads(function: Any) -> None:
    """In asyncio it would block the loop, and with it the renewals of its lock."""
    blocks(function, "here")
    for check in (awaits, makes_awaitable):
        with pytest.raises(TypeError, match=r"^here: .* is no coroutine function; .*consul_lock$"):
            check(function, "here")


@pytest.mark.parametrize("function", AWAITED, ids=_kind)
def test_a_coroutine_function_is_for_asyncio(function: Any) -> None:
    """Wrapped or not; in threads it would return at once, and do its work later."""
    awaits(function, "here")
    makes_awaitable(function, "here")
    with pytest.raises(TypeError, match=r"^here: .* is a coroutine function, .*consul_lock\.aio$"):
        blocks(function, "here")


@pytest.mark.parametrize("check", [blocks, awaits, makes_awaitable])
@pytest.mark.parametrize("function", GENERATORS, ids=_kind)
def test_a_generator_function_is_for_neither(check: Check, function: Any) -> None:
    """Its body runs when the lock is released already."""
    with pytest.raises(TypeError, match=r"^here: .* is a generator function"):
        check(function, "here")


@pytest.mark.parametrize("check", [blocks, awaits, makes_awaitable])
@pytest.mark.parametrize(
    "wrong, advice",
    [(7, ""), (None, ""), (classmethod(plain), "; put it below"), (property(plain), "; put it")],
    ids=["int", "None", "classmethod", "property"],
)
def test_an_object_that_is_not_a_function_is_refused(check: Check, wrong: Any, advice: str) -> None:
    """A decorator that is written above `@classmethod` says that it belongs below."""
    with pytest.raises(TypeError, match=f"^here: .*is no function{advice}"):
        check(wrong, "here")


def test_a_lambda_may_make_a_coroutine() -> None:
    """For one call: a decorator still wants a coroutine function."""
    makes_awaitable(lambda: coroutine_function(1), "here")
    with pytest.raises(TypeError, match="is no coroutine function"):
        awaits(lambda: coroutine_function(1), "here")


def test_the_result_of_a_plain_function_is_passed_on_unless_it_is_awaitable() -> None:
    """A coroutine is closed, and what can be cancelled is: it is not to run without the lock."""
    assert finished(7, plain, "here") == 7
    coroutine = coroutine_function()

    class Task(Future[None]):
        """Can be awaited, and cancelled."""

        def __await__(self) -> Any:
            yield

    task = Task()
    for made in (coroutine, task):
        with pytest.raises(TypeError, match=f"plain returned '{type(made).__name__}', which would"):
            finished(made, plain, "here")
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert task.cancelled()


def test_the_result_of_a_lambda_must_be_awaitable() -> None:
    """It cannot be seen before."""
    coroutine = coroutine_function()
    assert awaitable(coroutine, plain, "here") is coroutine
    coroutine.close()
    with pytest.raises(TypeError, match="plain returned 'int', which cannot be awaited"):
        awaitable(7, plain, "here")


@pytest.mark.parametrize(
    "on_busy, timeout, seconds",
    [
        ("wait", None, None),
        ("raise", None, 0.0),
        ("raise", 3.0, 3.0),
        ("skip", None, 0.0),
        ("skip", 0, 0.0),
    ],
)
def test_how_long_a_decorated_function_waits(
    on_busy: Any, timeout: float | None, seconds: float | None
) -> None:
    """For ever by default, and not at all where it does not wait."""
    assert waiting(on_busy, timeout) == seconds


@pytest.mark.parametrize(
    "on_busy, timeout, settings",
    [
        ("explode", None, ("on_busy",)),
        ("wait", 5, ("timeout", "on_busy")),
        ("wait", 0, ("timeout", "on_busy")),
    ],
)
def test_a_wait_that_contradicts_itself_is_refused(
    on_busy: Any, timeout: float | None, settings: tuple[str, ...]
) -> None:
    """With the names of the settings."""
    with pytest.raises(ConfigError) as caught:
        waiting(on_busy, timeout)
    assert caught.value.settings == settings


def test_the_arguments_of_a_decorator_are_checked_where_it_stands() -> None:
    """The name, and which options there are; the error for a function or a lock in place of the
    name says what to write."""
    decorates("locked", "deploy/web", {"ttl": 3}, {"ttl": 1})
    with pytest.raises(TypeError, match=r'^@locked needs a name: write @locked\("name"\) above'):
        decorates("locked", plain, {}, {})
    lock = consul_lock.Lock("deploy/web", client=consul_lock.Client("127.0.0.1:9"))
    with pytest.raises(TypeError, match=r"not a lock: write @locked\('deploy/web'\)$"):
        decorates("locked", lock, {}, {})
    with pytest.raises(ConfigError, match="bad name"):
        decorates("locked", "a//b", {}, {})
    with pytest.raises(TypeError, match=r"^@locked has no option 'tll'; did you mean 'ttl'\?$"):
        decorates("locked", "a", {"tll": 3}, {"ttl": 1})


def test_a_loss_that_is_found_after_the_function_returned_keeps_its_result() -> None:
    """Even None; and a loss before that has none."""
    for results, kept in (([7], 7), ([None], None), ([], None)):
        error = LockLost("lost", key="a")
        with pytest.raises(LockLost) as caught:
            _ends_in(error, results)
        assert caught.value is error
        assert error.result == kept
    with pytest.raises(ValueError, match="its own"):
        _ends_in(ValueError("its own"), [7])


def _ends_in(error: Exception, results: list[Any]) -> None:
    with Kept[Any]() as kept:
        for result in results:
            assert kept(result) is result
        raise error
