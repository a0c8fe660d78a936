"""`consul_lock` and `consul_lock.aio` are one API: the one for threads is generated from the other.

So names, parameters and docs agree by themselves.  Here is what the generator cannot promise: that
it was run, what only one of the APIs has, and what is written by hand for each.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import consul_lock
import consul_lock.aio
from consul_lock._async import runtime as of_asyncio
from consul_lock._blocking import runtime as of_threads
from scripts import unasync

BOTH = [consul_lock, consul_lock.aio]

# What only one of the APIs has, and why: names, parameters, and options by keyword.
ONE_ONLY = {
    "Election.running": "in asyncio: in threads it is a thread of the program's own around `run`",
    "Lock.__init__(cancel_on_loss)": "in asyncio: a thread cannot be stopped from outside",
    "options(cancel_on_loss)": "the same, for all that can be held",
}


def test_the_generated_files_are_fresh() -> None:
    """`make generate` was run after the last change to what they are made from."""
    unasync.main(["--check"])


def _public(api: types.ModuleType) -> Iterator[str]:
    """The public names, dotted, with the parameters of each and the options by keyword."""
    for name in api.__all__:
        thing = getattr(api, name)
        yield name
        if inspect.isclass(thing) and thing.__module__.startswith("consul_lock._"):
            for member in inspect.classify_class_attrs(thing):
                if not member.name.startswith("_") and member.defining_class is not object:
                    yield f"{name}.{member.name}"
                    yield from _parameters(f"{name}.{member.name}", member.object)
    for name in ("Client", "Session", "Lock", "Semaphore"):
        for special in ("__init__", "__call__", "__bool__"):
            found = inspect.getattr_static(getattr(api, name), special, None)
            yield from _parameters(f"{name}.{special}", found)
    yield from (f"options({option})" for option in _options(api))


def _parameters(name: str, thing: Any) -> Iterator[str]:
    function = getattr(thing, "__func__", thing)
    if inspect.isfunction(function):
        yield from (f"{name}({parameter})" for parameter in inspect.signature(function).parameters)


def _options(api: types.ModuleType) -> set[str]:
    """The options that each kind takes by keyword, as type checkers see them."""
    found = set[str]()
    for name in ("RLock", "MultiLock", "Semaphore", "ReadWriteLock", "Election", "CronGuard"):
        for function in (getattr(api, name).__init__, api.locked, api.Lock.on_key):
            unpacked = typing.get_type_hints(function)["options"]
            found |= typing.get_type_hints(typing.get_args(unpacked)[0]).keys()
    return found


def test_only_one_of_the_apis_has_what_is_listed_and_nothing_else() -> None:
    """`import consul_lock` can be changed to `consul_lock.aio` and back without a missing name."""
    threads, tasks = set(_public(consul_lock)), set(_public(consul_lock.aio))
    assert threads - tasks == set()
    alone = {name for name in tasks - threads if name.partition("(")[0] not in tasks - threads}
    assert alone | {name for name in tasks - threads if "(" not in name} == ONE_ONLY.keys()


@pytest.mark.parametrize("api", BOTH, ids=["threads", "asyncio"])
def test_every_exported_name_is_there(api: types.ModuleType) -> None:
    """`__all__` promises nothing that does not exist, and says it in order."""
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert list(api.__all__) == sorted(api.__all__)


def test_the_hand_written_parts_of_both_have_the_same_names_and_parameters() -> None:
    """As far as both APIs use it; the rest is for what only asyncio has."""
    names = set(of_threads.__all__) - {"Options"}
    assert names == {"DefaultClient", "current_owner", "make_driver"}
    for name in names:
        threads, tasks = getattr(of_threads, name), getattr(of_asyncio, name)
        assert inspect.signature(threads).parameters == inspect.signature(tasks).parameters
    assert inspect.signature(of_threads.DefaultClient.get) == inspect.signature(
        of_asyncio.DefaultClient.get
    )


@pytest.mark.parametrize("name", ["Client", "Session", "Lock", "Survey", "CronRecords"])
def test_exactly_the_awaited_calls_of_asyncio_block_in_threads(name: str) -> None:
    """In threads there is no coroutine function; in asyncio each public method that talks to
    Consul is one."""
    threads, tasks = (getattr(api, name) for api in BOTH)
    at_once = {"from_consul", "on_key", "remaining", "ensure_held"}
    for method, function in inspect.getmembers(tasks, inspect.isroutine):
        if not method.startswith("_"):
            waits = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            assert waits is (method not in at_once), method
            assert not inspect.iscoroutinefunction(getattr(threads, method))
            assert not inspect.isasyncgenfunction(getattr(threads, method))
