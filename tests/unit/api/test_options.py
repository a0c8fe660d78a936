"""The keyword arguments of locks: checked, and refused in words that say what was meant."""

from __future__ import annotations

from typing import Any

import consul
import pytest

import consul_lock
from consul_lock import aio
from consul_lock._api.options import known, require, require_address, settings
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import ConfigError
from tests.unit.protocol.fake_driver import FakeDriver

ADDRESS = "http://127.0.0.1:9"
"""Nothing is sent there."""


class _Derived(consul.Consul):  # type: ignore[misc] # it has no types
    """A program's own kind of client of python-consul2."""


class _OwnClient(consul_lock.Client):
    """A program's own kind of client."""


def test_nothing_and_the_right_type_are_taken() -> None:
    """Also what is derived from it."""
    for given in (None, consul_lock.Client(ADDRESS), _OwnClient(ADDRESS)):
        require("client", given, consul_lock.Client)


@pytest.mark.parametrize(
    "given, wanted, kind, instead",
    [
        (
            aio.Client(ADDRESS),
            consul_lock.Client,
            "a consul_lock.aio.Client",
            "give a consul_lock.Client, or use consul_lock.aio for the rest, too",
        ),
        (
            _OwnClient(ADDRESS),
            aio.Client,
            "a consul_lock._OwnClient",
            "give a consul_lock.aio.Client, or use consul_lock for the rest, too",
        ),
        (
            consul.Consul(),
            aio.Client,
            "a Consul of python-consul2",
            "give consul_lock.aio.Client.from_consul(...) of it",
        ),
        (
            _Derived(),
            consul_lock.Client,
            "a Consul of python-consul2",
            "give consul_lock.Client.from_consul(...) of it",
        ),
        (ADDRESS, consul_lock.Client, "a builtins.str", "give a consul_lock.Client"),
        (
            consul_lock.Session(consul_lock.Client(ADDRESS)),
            consul_lock.Client,
            "a consul_lock.Session",
            "give a consul_lock.Client",
        ),
    ],
    ids=["other API", "derived of the other API", "python-consul2", "derived", "str", "session"],
)
def test_another_type_is_refused_with_what_to_give_instead(
    given: object, wanted: type, kind: str, instead: str
) -> None:
    """A client of the other API would take calls, and nobody would await their results."""
    with pytest.raises(TypeError) as caught:
        require("client", given, wanted)
    assert str(caught.value) == f"client={given!r} is {kind}; {instead}"


@pytest.mark.parametrize(
    "given, instead",
    [(consul.Consul(), "Client.from_consul"), (8500, "give a string"), (b"x", "give a string")],
    ids=["python-consul2", "int", "bytes"],
)
def test_an_object_that_is_not_an_address_is_refused(given: object, instead: str) -> None:
    """A client of python-consul2 may be taken for one."""
    require_address(None)
    require_address(ADDRESS)
    with pytest.raises(TypeError, match=r"^address=") as caught:
        require_address(given)
    assert instead in str(caught.value)


def test_an_unknown_option_is_refused_with_the_likely_one() -> None:
    """If there is one that is spelt alike."""
    known(["ttl"], ["ttl", "watch"], "a lock")
    with pytest.raises(TypeError, match=r"^a lock has no option 'tll'; did you mean 'ttl'\?$"):
        known(["watch", "tll"], ["ttl", "watch"], "a lock")
    with pytest.raises(TypeError, match=r"^a lock has no option 'colour'$"):
        known(["colour"], ["ttl", "watch"], "a lock")


def test_settings_that_are_not_given_have_their_defaults() -> None:
    """Those of a lock, and those of its session."""
    made = settings(None, None)
    assert made.terms == session_options()
    assert made[1:] == (None, False, False, None, None, None, ())


def test_settings_that_are_given_are_kept() -> None:
    """Each at its place."""
    made = settings(
        None,
        None,
        fair=True,
        watch=True,
        meta={"a": "b"},
        command="c",
        on_lost=print,
        on_event=repr,
        ttl=20,
    )
    assert made.terms == session_options(ttl=20)
    assert made[2:] == (True, True, {"a": "b"}, "c", print, (repr,))


@pytest.mark.parametrize(
    "options, error",
    [
        ({"on_lost": 7}, ConfigError),
        ({"on_event": 7}, ConfigError),
        ({"meta": 7}, ConfigError),
        ({"ttl": 1}, ConfigError),
        ({"tll": 10}, TypeError),
    ],
    ids=str,
)
def test_settings_that_are_wrong_are_refused(options: Any, error: type[Exception]) -> None:
    """By name."""
    with pytest.raises(error, match=next(iter(options))):
        settings(None, None, **options)


def test_a_session_is_of_the_same_client_and_has_its_own_terms() -> None:
    """Settings of the session are given to it, and not to each of its locks."""
    own, other = FakeDriver().client(), FakeDriver().client()
    shared = SharedSession(own, session_options(ttl=20))
    for client in (own, None):
        assert settings(client, shared, watch=True).shared is shared
    with pytest.raises(ConfigError, match="another client") as caught:
        settings(other, shared)
    assert caught.value.settings == ("session", "client")
    with pytest.raises(ConfigError, match="those belong to the session") as caught:
        settings(own, shared, ttl=30)
    assert caught.value.settings == ("session",)
    assert caught.value.kind == "contradiction"
