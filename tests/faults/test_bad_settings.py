"""Bad input that needs no server to be found: refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock import ConfigError
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.scripted_server import ScriptedServer, scripted_server

LONG = "x" * 513

# What is asked for, and what the message has to name: the value, and the reason or the cure.
NAMES: list[tuple[Any, tuple[str, ...]]] = [
    ("", ("''", "not empty")),
    (7, ("7", "string")),
    ("/web", ("'/web'", "slash", "use 'web'")),
    ("web/", ("'web/'", "slash", "use 'web'")),
    ("a//b", ("'a//b'", "empty path element", "use 'a/b'")),
    ("a/../b", ("'a/../b'", "'..'")),
    ("./a", ("'./a'", "'.'")),
    ("a\nb", (r"'a\nb'", "control character")),
    ("a\x7fb", ("control character",)),
    (" a", ("' a'", "space")),
    ("a ", ("'a '", "space")),
    (LONG, ("513 bytes", "at most 512")),
    ("\u00e9" * 257, ("514 bytes", "at most 512")),
    ("\ud800", ("not valid text",)),
]

SETTINGS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"ttl": 9.9}, ("ttl=9.9", "10 to 86400 s")),
    ({"ttl": 86401}, ("ttl=86401", "10 to 86400 s")),
    ({"ttl": float("nan")}, ("ttl=nan", "finite")),
    ({"ttl": "15s"}, ("ttl='15s'", "seconds")),
    ({"ttl": True}, ("ttl=True", "seconds")),
    ({"ttl": None}, ("ttl=None", "seconds")),
    ({"lock_delay": -1}, ("lock_delay=-1", "0 to 60 s")),
    ({"lock_delay": 61}, ("lock_delay=61", "0 to 60 s", "enforces no more")),
    ({"lock_delay": float("inf")}, ("lock_delay=inf", "finite")),
    ({"lock_delay": 0.2}, ("lock_delay=0.2", "too short", "use a longer lock_delay")),
    ({"checks": "serfHealth"}, ("checks='serfHealth'", "['serfHealth']")),
    ({"service_checks": ["web", ""]}, ("service_checks=", "none of them empty")),
    ({"meta": {"pid": 1}}, ("meta={'pid': 1}", "strings to strings")),
    ({"meta": {"log": "x" * 3000}}, ("meta", "bytes", "store less")),
    ({"on_lost": "call me"}, ("on_lost='call me'", "not callable")),
]

WAITS: list[tuple[tuple[Any, ...], tuple[str, ...]]] = [
    ((False, 3), ("timeout=3", "blocking=False")),
    ((True, -2), ("timeout=-2", "None waits for ever")),
    ((True, float("nan")), ("timeout=nan", "finite")),
    ((True, "5s"), ("timeout='5s'", "seconds")),
]


def complaint(call: Callable[[], Any]) -> str:
    """The message of the `ConfigError` that a call raises."""
    with pytest.raises(ConfigError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


@pytest.fixture
def nowhere() -> Iterator[ScriptedServer]:
    """A server that must not be asked anything."""
    with scripted_server(Answer(500, {}, b"nobody should ask")) as server:
        yield server
        assert server.requests == []


@pytest.mark.parametrize("name, words", NAMES, ids=lambda value: ascii(value)[:20])
def test_a_bad_name_is_refused_with_the_reason(
    face: Face, nowhere: ScriptedServer, name: Any, words: tuple[str, ...]
) -> None:
    """The message quotes the name, says what is wrong with it, and how it would be right."""
    client = face.client(nowhere.address)
    message = complaint(lambda: face.lock(name, client))
    assert all(word in message for word in ("bad name", *words)), message
    client.close()


@pytest.mark.parametrize("settings, words", SETTINGS, ids=lambda value: ascii(value)[:30])
def test_a_bad_setting_is_refused_with_the_reason(
    face: Face, nowhere: ScriptedServer, settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    """The message names the setting, its value, and what would do."""
    client = face.client(nowhere.address)
    message = complaint(lambda: face.lock("web", client, **settings))
    assert all(word in message for word in words), message
    client.close()


@pytest.mark.parametrize("arguments, words", WAITS, ids=lambda value: ascii(value)[:30])
def test_a_wait_that_makes_no_sense_is_refused(
    face: Face, nowhere: ScriptedServer, arguments: tuple[Any, ...], words: tuple[str, ...]
) -> None:
    """Contradictory arguments of acquire are refused as threading.Lock refuses them."""
    client = face.client(nowhere.address)
    lock = face.lock("web", client)
    message = complaint(lambda: lock.acquire(*arguments))
    assert all(word in message for word in words), message
    assert not lock.held
    client.close()


def test_a_shared_session_and_session_settings_contradict_each_other(
    face: Face, nowhere: ScriptedServer
) -> None:
    """The time to live belongs to the session, so a lock cannot ask for another one."""
    client = face.client(nowhere.address)
    session = face.session(client)
    inner = getattr(session, "inner", session)
    message = complaint(lambda: face.lock("web", client, session=inner, ttl=20))
    assert "session=" in message
    assert "contradict" in message
    assert "Session(...)" in message
    client.close()


def test_a_session_of_another_client_is_refused(face: Face, nowhere: ScriptedServer) -> None:
    """A lock sends through one client, and so does its session."""
    first, second = face.client(nowhere.address), face.client(nowhere.address)
    session = face.session(first)
    inner = getattr(session, "inner", session)
    message = complaint(lambda: face.lock("web", second, session=inner))
    assert "another client" in message
    assert "give both the same" in message
    first.close()
    second.close()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"connect_timeout": 0}, ("connect_timeout",)),
        ({"request_timeout": -1}, ("request_timeout",)),
        ({"retry_for": float("nan")}, ("retry_for",)),
        ({"token": "a\nb"}, ("token",)),
        ({"client_cert": "cert.pem"}, ("client_cert", "client_key")),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_bad_setting_of_the_client_is_refused(
    face: Face, options: dict[str, Any], words: tuple[str, ...]
) -> None:
    """The message names the setting; secrets are in no message."""
    message = complaint(lambda: face.client("127.0.0.1:1", **options))
    assert all(word in message for word in words), message
    assert "a\nb" not in message
