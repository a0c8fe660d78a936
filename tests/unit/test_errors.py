"""The errors: their tree, what they carry, and that the environment is not asked twice."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import re
from typing import Any

import consul
import pytest

import consul_lock
from consul_lock import Client, ConfigError, Holder, LossReason, errors
from consul_lock._protocol.consul.replies import NotConsul
from tests.unit.test_error_kinds import kinds_of

ABOUT: dict[str, Any] = {
    "key": "deploy/web/.lock",
    "session": "b7e1a6d0-0000-0000-0000-000000000001",
    "holder": Holder("b7e1a6d0", "web-1", 42, "deploy", "make", 1.5, {"build": "7"}, 99),
}
# What every error has, and the base describes.
_SHARED = {"problem", "hint", "kind", "key", "session", "holder"}
OWN: dict[type[errors.ConsulLockError], dict[str, Any]] = {
    errors.LockLost: {"reason": LossReason.STOLEN, "last_error": None},
    errors.Conflict: {"flags": 7, "limit": 3, "wanted": 4},
    errors.Unavailable: {"uncertain": False, "status": 503, "retry_after": 7.0},
    errors.PermissionDenied: {"rule": "a rule", "access": "key:read", "action": "reading"},
    errors.ConfigError: {"settings": ("ttl", "lock_delay")},
    errors.Refused: {"settings": ("ttl",), "temporary": True, "answer": "Missing check"},
    errors.ClockSkew: {"slot": "12:00", "found": "13:00", "host": "web-1", "ahead": 3600.0},
}
# What a nonsense environment would have python-consul2 do: it reads these in its constructor.
NONSENSE = {
    "CONSUL_HTTP_ADDR": "nonsense.invalid:1:2",
    "CONSUL_HTTP_TOKEN": "token-of-the-environment",
    "CONSUL_HTTP_AUTH": "user-of-the-environment:secret",
    "CONSUL_HTTP_SSL": "perhaps",
    "CONSUL_HTTP_SSL_VERIFY": "perhaps",
    "CONSUL_CACERT": "/nonexistent/ca.pem",
    "CONSUL_CAPATH": "/nonexistent/ca",
    "CONSUL_CLIENT_CERT": "/nonexistent/cert.pem",
    "CONSUL_CLIENT_KEY": "/nonexistent/key.pem",
    "CONSUL_TLS_SERVER_NAME": "nonsense.invalid",
    "CONSUL_NAMESPACE": "nonsense",
    "CONSUL_PARTITION": "nonsense",
}


_LINE = re.compile(r"(?P<indent>[ |]*)(?:\+-- )?(?P<name>[A-Z]\w+)(?: \((?P<base>\w+)\))?")


def _all(kind: type[errors.ConsulLockError]) -> list[type[errors.ConsulLockError]]:
    return [kind, *(grandchild for child in kind.__subclasses__() for grandchild in _all(child))]


# `Contact` turns this one into a public error, whatever raises it.
ERRORS = [error for error in _all(errors.ConsulLockError) if error is not NotConsul]


def _drawn() -> dict[str, tuple[str, str | None]]:
    """The tree in the docstring: each error with its parent, and its base of the language."""
    assert errors.__doc__
    parents: dict[int, str] = {-1: "Exception"}
    found = {}
    for line in errors.__doc__.partition("\n\n    ")[2].splitlines():
        drawn = _LINE.match(line)
        if drawn is None or not (drawn["name"] == "ConsulLockError" or "+--" in line):
            continue
        depth = len(drawn["indent"])
        parent = parents[max(level for level in parents if level < depth)]
        found[drawn["name"]] = parent, drawn["base"]
        parents = {level: name for level, name in parents.items() if level < depth}
        parents[depth] = drawn["name"]
    return found


def test_the_bases_are_as_drawn_in_the_docstring() -> None:
    """The tree that people read is the tree that `except` goes by."""
    actual = {}
    for error in ERRORS:
        parent, *more = (base.__name__ for base in error.__bases__)
        actual[error.__name__] = parent, (more[0] if more else None)
    assert _drawn() == actual


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_public(kind: type[errors.ConsulLockError]) -> None:
    """Whatever can be raised can be caught by its name in `consul_lock`."""
    assert getattr(consul_lock, kind.__name__) is kind


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_is_picklable_with_what_it_carries(
    kind: type[errors.ConsulLockError], protocol: int
) -> None:
    """An error that crosses a process keeps its text and all its attributes."""
    given = {**ABOUT, **OWN.get(kind, {}), "hint": "what to do"}
    given["kind"] = kinds_of(kind)[-1]
    error = kind("what failed, and why", **given)
    error.add_note("a note")
    for found in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(found) is kind
        assert str(found) == "what failed, and why; what to do"
        assert found.problem == "what failed, and why"
        assert {name: getattr(found, name) for name in given} == given
        assert found.__notes__ == ["a note"]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_can_be_copied_and_made_without_arguments(
    kind: type[errors.ConsulLockError],
) -> None:
    """`copy` and frameworks that rebuild an error from its `args` work."""
    error = copy.copy(kind())
    assert (error.key, error.session, error.holder) == (None, None, None)
    assert kind(*error.args).args == error.args


@pytest.mark.parametrize("kind", ERRORS)
def test_the_fields_of_an_error_are_in_its_doc(kind: type[errors.ConsulLockError]) -> None:
    """An attribute of its own is named in the docstring of the error."""
    own = set(inspect.signature(kind).parameters) - {"message", "about", *_SHARED}
    assert all(f"``{name}``" in (kind.__doc__ or "") for name in own)


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that no client could work with."""
    for name, value in NONSENSE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("nonsense")
def test_explicit_arguments_leave_nothing_to_the_environment() -> None:
    """CONSUL_HTTP_* of the environment do not reach a client whose settings are all given."""
    client = Client(
        "http://127.0.0.1:8555",
        token="",
        http_auth="",
        ca_cert="",
        ca_path="",
        client_cert="",
        client_key="",
        verify=True,
        tls_server_name="",
        namespace="",
        partition="",
    )
    assert client.config.origin == "http://127.0.0.1:8555"
    assert client.config.headers() == {}
    assert client.config.query() == ()
    assert client.config.verify is True
    client.close()


@pytest.mark.usefixtures("nonsense")
def test_without_arguments_a_nonsense_environment_is_refused() -> None:
    """The same environment is read, and named, where no argument is given."""
    with pytest.raises(ConfigError, match="CONSUL_HTTP_ADDR"):
        Client()


def test_python_consul2_never_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `consul.Consul()` reads CONSUL_HTTP_ADDR and its like; the library never makes one."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a consul.Consul was made, which reads the environment")

    monkeypatch.setattr(consul.base.Consul, "__init__", refuse)
    client = Client("http://127.0.0.1:1", retry_for=0)
    lock = consul_lock.Lock("errors/no-consul", client=client)
    with pytest.raises(errors.Unavailable):
        lock.acquire(timeout=0)
    client.close()


def test_no_variable_is_read_after_the_client_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests do not look at the environment: a change of it changes no running client."""
    client = Client("http://127.0.0.1:1", retry_for=0)
    read: list[str] = []

    class Spy(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.append(key)
            return super().get(key, default)

        def __getitem__(self, key: str) -> str:
            read.append(key)
            return super().__getitem__(key)

    with monkeypatch.context() as patched:
        patched.setattr(os, "environ", Spy(os.environ))
        with pytest.raises(errors.Unavailable):
            consul_lock.Lock("errors/no-env", client=client).acquire(timeout=0)
    assert [name for name in read if name.startswith("CONSUL")] == []
    client.close()
