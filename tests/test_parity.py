"""`consul_lock` and `consul_lock.aio` are one API: same names, parameters and docs."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from typing import Any, NamedTuple

import pytest

import consul_lock
import consul_lock.aio

# What must be awaited in `consul_lock.aio`.  Everything else is the same call in both.
AWAITED = {
    *("Client.close", "Session.open", "Session.close"),
    *(".acquire", ".release", ".locked", ".holder", ".holders", ".waiters", ".guard"),
    *(".resize", ".slots", ".downgrade"),
    *(".campaign", ".proclaim", ".resign", ".leader", ".run"),
    *(".record", ".pause", ".resume", ".reset"),
    *(".below", ".overview", ".sessions", ".destroy", ".remove", ".break_hold", ".break_of"),
    *("Survey.status", "Survey.leftovers", "Survey.clean"),
}

# What only one of the APIs has, and why: names, and parameters.
ONE_ONLY = {
    "Election.running": "in asyncio: in threads it is a thread of the program's own around `run`",
    "Lock.__init__(cancel_on_loss)": "in asyncio: a thread cannot be stopped from outside",
}

# The words that differ between the docs, and nothing else: threads' words to tasks'.
WORDS = {
    "Client.close": {
        "in other threads": "in other tasks",
        "when the interpreter ends": "when its loop ends as `asyncio.run` ends it",
    },
    "Lock": {
        "``with``;": "``async with``;",
        "shared by threads.": "shared by tasks.",
        "on a thread of its own": "on the loop; an ``async`` one runs as a task",
        "with what renewals failed with.": "with what renewals failed with. With"
        " ``cancel_on_loss=True`` the task in an ``async with`` block is cancelled when the lock is"
        " lost, and the block raises `LockLost`, as `asyncio.timeout` does at its time; without it"
        " the block runs to its end first.",
    },
    "Lock.__call__": {"``with": "``async with"},
    "Lock.acquire": {"Ctrl-C included": "a cancelled task included"},
    "ReadWriteLock": {"``with ": "``async with "},
    "Semaphore.acquire": {},
    "Semaphore": {"several threads,": "several tasks,", "the calling thread": "the calling task"},
    "Lock.lost": {
        "``lost.wait(timeout)`` waits for it": "``await lost.wait()`` waits for it",
    },
    "locked": {"Run the function": "Run the coroutine function"},
    "once_per": {"Run the function": "Run the coroutine function"},
    "CronGuard": {"with CronGuard(": "async with CronGuard(", "back_up()": "await back_up()"},
    "CronGuard.claim": {"``with guard": "``async with guard"},
}


def _words(name: str) -> dict[str, str]:
    """Those of a member, or of what it inherits: what it says beside that, it says in both."""
    of_lock = "Lock." + name.rpartition(".")[2] if "." in name else name
    return WORDS[name] if name in WORDS else WORDS.get(of_lock, {})


class Member(NamedTuple):
    """The same public thing of both faces."""

    name: str
    blocking: Any
    awaited: Any


def _public(face: types.ModuleType) -> dict[str, Any]:
    """What is public, by dotted name: functions, classes and the members of those."""
    found: dict[str, Any] = {}
    for name in face.__all__:
        thing = found[name] = getattr(face, name)
        if inspect.isclass(thing) and thing.__module__.startswith("consul_lock._"):
            members = inspect.classify_class_attrs(thing)
            found |= {
                f"{name}.{member.name}": member.object
                for member in members
                if not member.name.startswith("_") and member.defining_class is not object
            }
    for name in ("Client", "Session", "Lock", "Semaphore"):
        for special in ("__init__", "__call__", "__bool__"):
            found[f"{name}.{special}"] = inspect.getattr_static(found[name], special, None)
    return found


def _members() -> list[Any]:
    blocking, awaited, members = _public(consul_lock), _public(consul_lock.aio), list[Any]()
    for name in sorted((blocking.keys() | awaited.keys()) - ONE_ONLY.keys()):
        member = Member(name, blocking.get(name), awaited.get(name))
        members.append(pytest.param(member, id=name))
    return members


def _function(thing: Any) -> Any:
    if isinstance(thing, property):
        return thing.fget
    return getattr(thing, "__func__", thing)


def _parameters(name: str, thing: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(_function(thing)).parameters.values()
    both = [p for p in parameters if f"{name}({p.name})" not in ONE_ONLY]
    return [(p.name, p.kind, p.default) for p in both]


def test_both_faces_export_the_same_names() -> None:
    """`import consul_lock` can be changed to `consul_lock.aio` without a missing name."""
    assert sorted(consul_lock.__all__) == sorted(consul_lock.aio.__all__)


@pytest.mark.parametrize("face", [consul_lock, consul_lock.aio], ids=["threads", "asyncio"])
def test_every_exported_name_is_there(face: types.ModuleType) -> None:
    """`__all__` promises nothing that does not exist, and says it in order."""
    assert [name for name in face.__all__ if not hasattr(face, name)] == []
    assert list(face.__all__) == sorted(face.__all__)


@pytest.mark.parametrize("member", _members())
def test_a_member_of_one_face_is_one_of_the_other(member: Member) -> None:
    """No method or property exists in one face only, and it is of the same sort in both."""
    assert type(member.blocking) is type(member.awaited)


@pytest.mark.parametrize("member", _members())
def test_parameters_are_the_same(member: Member) -> None:
    """Names, kinds and defaults of all parameters agree."""
    if callable(_function(member.blocking)) and not inspect.isclass(member.blocking):
        blocking = _parameters(member.name, member.blocking)
        assert blocking == _parameters(member.name, member.awaited)


def test_what_only_one_of_the_apis_has_is_there_and_nothing_else_is_excused() -> None:
    """The list of exceptions does not outlive them."""
    blocking, awaited = _public(consul_lock), _public(consul_lock.aio)
    for name in ONE_ONLY:
        member, _, parameter = name.rstrip(")").partition("(")
        if not parameter:
            assert (member in blocking) is not (member in awaited)
        else:
            both = (_function(api[member]) for api in (blocking, awaited))
            there = [parameter in inspect.signature(each).parameters for each in both]
            assert there in ([True, False], [False, True])


def _options(api: types.ModuleType) -> dict[str, Any]:
    """The options that each kind takes by keyword, as type checkers see them."""
    found = dict[str, Any]()
    for name in ("RLock", "MultiLock", "Semaphore", "ReadWriteLock", "Election", "CronGuard"):
        for function in (getattr(api, name).__init__, api.locked, api.Lock.on_key):
            unpacked = typing.get_type_hints(function)["options"]
            found |= typing.get_type_hints(typing.get_args(unpacked)[0])
    return found


def test_options_by_keyword_are_the_same() -> None:
    """Also those that are no parameter with a name of its own."""
    blocking, awaited = _options(consul_lock), _options(consul_lock.aio)
    assert awaited.keys() - blocking.keys() == {"cancel_on_loss"}
    assert blocking.keys() <= awaited.keys()


@pytest.mark.parametrize("member", _members())
def test_what_blocks_in_threads_is_awaited_in_asyncio(member: Member) -> None:
    """Whatever talks to Consul is a coroutine function there, and nothing else is."""
    if callable(_function(member.blocking)) and not inspect.isclass(member.blocking):
        assert not inspect.iscoroutinefunction(_function(member.blocking))
        method = member.name[member.name.find(".") :]
        expected = not AWAITED.isdisjoint((member.name, method))
        assert inspect.iscoroutinefunction(_function(member.awaited)) is expected


@pytest.mark.parametrize("name", ["Client", "Session", "Lock"])
def test_with_is_async_with_in_asyncio(name: str) -> None:
    """Each face has its own kind of context manager, and not the other's."""
    blocking, awaited = getattr(consul_lock, name), getattr(consul_lock.aio, name)
    assert hasattr(blocking, "__enter__")
    assert not hasattr(blocking, "__aenter__")
    assert hasattr(awaited, "__aenter__")
    assert not hasattr(awaited, "__enter__")


@pytest.mark.parametrize("member", _members())
def test_the_docs_are_the_same_but_for_the_words_of_the_face(member: Member) -> None:
    """The docs differ in the listed words only, and every listed difference is there."""
    blocking, awaited = inspect.getdoc(member.blocking), inspect.getdoc(member.awaited)
    if member.name == "__version__" or member.blocking is member.awaited:
        return
    assert blocking
    assert awaited
    expected = " ".join(blocking.split())
    for ours, theirs in _words(member.name).items():
        assert ours in expected, f"{ours!r} is not in the docs any more"
        expected = expected.replace(ours, theirs)
    said = " ".join(awaited.split())
    assert said == expected, "\n".join(difflib.ndiff([expected], [said]))
