"""Code that would run without its lock is refused where it is made: objects of the other API,
functions that return before their work is done, and options that do not exist."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import consul
import pytest

import consul_lock
import consul_lock.aio
from consul_lock import ConfigError, LockLost
from tests.contract.fixture import Room
from tests.support.apis import Asyncio, Face, Threads

in_threads = pytest.mark.parametrize("face", [Threads], indirect=True, ids=["threads"])
in_asyncio = pytest.mark.parametrize("face", [Asyncio], indirect=True, ids=["asyncio"])

ADDRESS = "http://127.0.0.1:9"
"""Nothing is sent there."""

WITH_CLIENT: dict[str, Callable[[ModuleType, Any], Any]] = {
    "Session": lambda api, client: api.Session(client),
    "Lock": lambda api, client: api.Lock("a", client=client),
    "Lock.on_key": lambda api, client: api.Lock.on_key("a", client=client),
    "RLock": lambda api, client: api.RLock("a", client=client),
    "MultiLock": lambda api, client: api.MultiLock(["a", "b"], client=client),
    "Semaphore": lambda api, client: api.Semaphore("a", 2, client=client),
    "ReadWriteLock": lambda api, client: api.ReadWriteLock("a", client=client),
    "Election": lambda api, client: api.Election("a", client=client),
    "CronGuard": lambda api, client: api.CronGuard("a", every=60, client=client),
    "CronRecords": lambda api, client: api.CronRecords(client),
    "Survey": lambda api, client: api.Survey(client),
    "locked": lambda api, client: api.locked("a", client=client),
    "once_per": lambda api, client: api.once_per("a", every=60, client=client),
}

WITH_SESSION: dict[str, Callable[[ModuleType, Any], Any]] = {
    "Lock": lambda api, session: api.Lock("a", session=session),
    "Lock.on_key": lambda api, session: api.Lock.on_key("a", session=session),
    "RLock": lambda api, session: api.RLock("a", session=session),
    "MultiLock": lambda api, session: api.MultiLock(["a", "b"], session=session),
    "Semaphore": lambda api, session: api.Semaphore("a", 2, session=session),
    "ReadWriteLock": lambda api, session: api.ReadWriteLock("a", session=session),
    "Election": lambda api, session: api.Election("a", session=session),
    "locked": lambda api, session: api.locked("a", session=session),
}


def other(face: Face) -> ModuleType:
    return consul_lock if face.api is consul_lock.aio else consul_lock.aio


# -- things of the other API, and of others


@pytest.mark.parametrize("make", WITH_CLIENT.values(), ids=WITH_CLIENT)
def test_a_client_of_the_other_api_is_refused(face: Face, make: Callable[..., Any]) -> None:
    """Its calls would be coroutines that nobody awaits, or block the loop; the text says so."""
    client = other(face).Client(ADDRESS)
    with pytest.raises(TypeError, match=rf"{other(face).__name__}\.Client.*use") as caught:
        make(face.api, client)
    assert f"give a {face.api.__name__}.Client" in str(caught.value)


@pytest.mark.parametrize("make", WITH_SESSION.values(), ids=WITH_SESSION)
def test_a_session_of_the_other_api_is_refused(face: Face, make: Callable[..., Any]) -> None:
    """As a client is."""
    api = other(face)
    session = api.Session(api.Client(ADDRESS))
    with pytest.raises(TypeError, match=f"give a {face.api.__name__}.Session"):
        make(face.api, session)


@pytest.mark.parametrize("make", WITH_CLIENT.values(), ids=WITH_CLIENT)
def test_a_client_of_python_consul2_is_refused(face: Face, make: Callable[..., Any]) -> None:
    """The text says how to make a `Client` from it."""

    class Own(consul.Consul):  # type: ignore[misc] # it has no types
        """Also what is derived from it."""

    for client in (consul.Consul(), Own()):
        with pytest.raises(TypeError, match=r"Client\.from_consul"):
            make(face.api, client)


@pytest.mark.parametrize("make", WITH_CLIENT.values(), ids=WITH_CLIENT)
def test_an_object_that_is_not_a_client_is_refused(face: Face, make: Callable[..., Any]) -> None:
    """A lock, a session, an address: the text names its type."""
    lock = face.api.Lock("a", client=face.api.Client(ADDRESS))
    for wrong in (lock, face.api.Session(face.api.Client(ADDRESS)), ADDRESS, face.api.Client):
        with pytest.raises(TypeError, match="client="):
            make(face.api, wrong)


def test_a_client_is_made_from_an_address_or_from_python_consul2(face: Face) -> None:
    """Each by its own constructor."""
    with pytest.raises(TypeError, match="from_consul"):
        face.api.Client(consul.Consul())
    with pytest.raises(TypeError, match="python-consul2"):
        face.api.Client.from_consul(face.api.Client(ADDRESS))
    assert face.api.Client.from_consul(consul.Consul(port=9)).config.port == 9


# -- options


@pytest.mark.parametrize(
    "make",
    [
        lambda api, client: api.locked("a", client=client, tll=3),
        lambda api, client: api.Lock.on_key("a", client=client, tll=3),
        lambda api, client: api.RLock("a", client=client, tll=3),
        lambda api, client: api.Semaphore("a", 2, client=client, tll=3),
        lambda api, client: api.CronGuard("a", client=client, every=60, tll=3),
        lambda api, client: api.once_per("a", client=client, every=60, tll=3),
    ],
    ids=["locked", "on_key", "RLock", "Semaphore", "CronGuard", "once_per"],
)
def test_an_option_that_does_not_exist_is_refused_at_once(
    face: Face, make: Callable[..., Any]
) -> None:
    """Where it is written, with what was meant; a decorator does not wait for the call."""
    with pytest.raises(TypeError, match="tll"):
        make(face.api, face.api.Client(ADDRESS))


@pytest.mark.parametrize(
    "options",
    [
        {"lock_delay": 100},
        {"ttl": 1},
        {"on_lost": 7},
        {"meta": {"a": 1}},
        {"tree": True, "name": "/".join("abcdefghijklmnopq")},
        {"name": "a//b"},
    ],
    ids=str,
)
def test_options_that_a_lock_refuses_are_refused_by_the_decorator(
    face: Face, options: dict[str, Any]
) -> None:
    """When the module is imported; no client is made for that."""
    name = options.get("name", "a")
    rest = {option: value for option, value in options.items() if option != "name"}
    with pytest.raises((ConfigError, TypeError)):
        face.api.locked(name, **rest)


@pytest.mark.parametrize("decorator", ["locked", "once_per"])
def test_a_decorator_without_its_name_says_what_is_missing(face: Face, decorator: str) -> None:
    """`@locked` alone gives it the function, as a name."""

    def nightly() -> None: ...

    decorate = getattr(face.api, decorator)
    with pytest.raises(TypeError, match=rf'write @{decorator}\("name"\)'):
        decorate(nightly)
    lock = face.api.Lock("deploy/web", client=face.api.Client(ADDRESS))
    with pytest.raises(TypeError, match=rf"write @{decorator}\('deploy/web'\)"):
        decorate(lock)


# -- functions


async def coroutine_function(*args: Any) -> None: ...


def generator_function(*args: Any) -> Any:
    yield


class Called:
    """An object that is called like a coroutine function."""

    async def __call__(self, *args: Any) -> None: ...


def plain(*args: Any) -> None: ...


def kind_of(function: Any) -> str:
    """For the names of tests."""
    return str(getattr(function, "__name__", type(function).__name__))


def decorators(room: Room) -> list[Callable[[Any], Any]]:
    """Each way to run a function under a lock; those that ask Consul do so at the call."""
    client = room.client()
    guard = client.actor.do(room.api.CronGuard, room.name, every=60, client=client.thing)
    election = client.actor.do(room.api.Election, room.name, client=client.thing)
    return [
        room.api.locked(room.name, client=client.thing),
        room.api.once_per(room.name, every=60, client=client.thing),
        lambda function: client.actor.do(guard.run, function),
        lambda function: client.actor.do(election.run, function),
    ]


@in_threads
@pytest.mark.parametrize("function", [coroutine_function, generator_function], ids=kind_of)
def test_functions_whose_work_comes_later_are_refused_in_threads(room: Room, function: Any) -> None:
    """They would return at once, and do their work when the lock is released again."""
    for decorate in decorators(room):
        with pytest.raises(TypeError, match=r"is a (coroutine|generator) function"):
            decorate(function)
    assert room.operator.keys(room.name) == {}


@in_asyncio
@pytest.mark.parametrize("function", [plain, generator_function], ids=kind_of)
def test_a_function_that_is_not_a_coroutine_function_is_refused_in_asyncio(
    room: Room, function: Any
) -> None:
    """It would block the loop, and with it the renewals of its lock, or do its work later."""
    for decorate in decorators(room):
        with pytest.raises(TypeError, match=r"no coroutine function|is a generator function"):
            decorate(function)
    assert room.operator.keys(room.name) == {}


@in_asyncio
@pytest.mark.parametrize("function", [coroutine_function, Called()], ids=kind_of)
def test_every_sort_of_coroutine_function_is_run_in_asyncio(room: Room, function: Any) -> None:
    """Wrapped or not."""
    client = room.client()
    for decorate in decorators(room)[:2]:
        decorated = decorate(function)
        assert inspect.iscoroutinefunction(decorated)
    election = client.actor.do(room.api.Election, room.name, client=client.thing)
    assert client.actor.do(election.run, function) is None
    assert client.actor.do(election.run, lambda own: coroutine_function(own, 7)) is None


def test_an_object_that_is_not_a_function_is_refused(room: Room) -> None:
    """Such as a class method whose decorator is written above `@classmethod`."""
    for decorate in decorators(room):
        for wrong in (7, None, classmethod(plain)):
            with pytest.raises(TypeError, match="is no function"):
                decorate(wrong)


@in_threads
def test_a_plain_function_that_returns_an_awaitable_is_refused_at_the_call(room: Room) -> None:
    """Its result is closed, and not run without the lock; the run is recorded as failed."""
    ran, made = list[Any](), list[Any]()

    async def work(*args: Any) -> None:
        ran.append(args)

    def later(*args: Any) -> Any:
        made.append(work(*args))
        return made[-1]

    client = room.client()
    locked, once_per, run_guard, run_election = decorators(room)
    calls: list[Callable[[], Any]] = [
        lambda: client.actor.do(locked(later)),
        lambda: client.actor.do(once_per(later)),
        lambda: run_election(later),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="would run without the lock"):
            call()
    assert [inspect.getcoroutinestate(coroutine) for coroutine in made] == ["CORO_CLOSED"] * 3
    assert ran == []
    record = client.actor.do(room.api.CronRecords(client.thing).record, room.name)
    assert record.state is room.api.CronState.FAILED
    assert run_guard(plain) is None  # the slot is taken
    room.left.add(f"{room.name}/.cron")


@in_asyncio
def test_a_lambda_that_makes_nothing_to_await_is_refused_at_the_call(room: Room) -> None:
    """It cannot be seen before."""
    _, _, run_guard, run_election = decorators(room)
    for run in (run_guard, run_election):
        with pytest.raises(TypeError, match="cannot be awaited"):
            run(lambda own: 7)
    room.left.add(f"{room.name}/.cron")


# -- results


def test_a_result_that_was_there_before_the_loss_was_found_is_kept(room: Room) -> None:
    """In the error that says that it may be worth nothing; pickled, too."""
    client = room.client()

    def work(*args: Any) -> dict[str, int]:
        room.operator.delete(room.key)
        return {"rows": 7}

    def once(*args: Any) -> dict[str, int]:
        room.operator.delete(f"{room.name}/once/.lock")
        return {"rows": 8}

    options: dict[str, Any] = {"client": client.thing, "lock_delay": 6}
    locked = room.api.locked(room.name, **options)(room.face.function(work))
    per = room.api.once_per(f"{room.name}/once", slot="a", **options)(room.face.function(once))
    for decorated, result in ((locked, {"rows": 7}), (per, {"rows": 8})):
        with pytest.raises(LockLost) as caught:
            client.actor.do(decorated)
        assert caught.value.result == result
        assert pickle.loads(pickle.dumps(caught.value)).result == result
    room.left.add(f"{room.name}/once/.cron")


def test_a_loss_without_a_result_has_none(room: Room) -> None:
    """The function has raised it itself, or there was no function."""
    client = room.client()

    def work() -> None:
        raise LockLost("of another lock", key="other")

    locked = room.api.locked(room.name, client=client.thing)(room.face.function(work))
    with pytest.raises(LockLost, match="of another lock") as caught:
        client.actor.do(locked)
    assert caught.value.result is None


@in_asyncio
def test_a_decorated_function_can_be_made_a_task(room: Room) -> None:
    """It is a coroutine function, as what it decorates."""
    client = room.client()

    @room.api.locked(room.name, client=client.thing)
    async def work() -> int:
        return 7

    async def scenario() -> int:
        return int(await asyncio.create_task(work()))

    assert client.actor.do(scenario) == 7
