"""The options that say what is locked, and with what session."""

from __future__ import annotations

from typing import Any

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.lock import locking_options, session_options
from consul_lock_cli.spec.lock import LockKind, LockSpec


@click.command
@locking_options
def locked(spec: LockSpec) -> LockSpec:
    """Give back what arrives."""
    return spec


@click.command
@session_options
def alone(session: dict[str, Any]) -> dict[str, Any]:
    """The same, without a name."""
    return session


def spec_of(*arguments: str) -> LockSpec:
    found: LockSpec = locked.main([*arguments], standalone_mode=False)
    return found


@pytest.mark.parametrize(
    "arguments, kind, limit",
    [
        (["-k", "a"], LockKind.LOCK, 1),
        (["-k", "a", "--limit", "1"], LockKind.LOCK, 1),
        (["-k", "a", "--limit", "3"], LockKind.SEMAPHORE, 3),
        (["-k", "a", "-s"], LockKind.SHARED, None),
        (["-k", "a", "--exclusive"], LockKind.EXCLUSIVE, 1),
        (["-k", "a", "--tree"], LockKind.TREE, 1),
        (["-k", "a", "-k", "b"], LockKind.MULTI, 1),
        ([], LockKind.LOCK, 1),
    ],
)
def test_the_kind_follows_from_the_options(
    arguments: list[str], kind: LockKind, limit: int | None
) -> None:
    """As many as come may share a lock: that has no limit."""
    spec = spec_of(*arguments)
    assert (spec.mode, spec.limit) == (kind, limit)
    assert spec.keys == tuple(word for word in arguments if word in ("a", "b"))


@pytest.mark.parametrize(
    "arguments, first, second",
    [
        (["-s", "-x"], "--shared", "--exclusive"),
        (["--limit", "2", "--tree"], "--limit 2", "--tree"),
        (["-k", "b", "-s"], "several --key", "--shared"),
        (["--tree", "--limit", "9", "-x"], "--limit 9", "--exclusive"),
    ],
)
def test_two_kinds_contradict_each_other(arguments: list[str], first: str, second: str) -> None:
    """Both are named."""
    with pytest.raises(Misuse, match=f"^{first} and {second} contradict each other"):
        spec_of("-k", "a", *arguments)


SESSION: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--ttl", "1m"], {"ttl": 60.0}),
    (["--lock-delay", "0"], {"lock_delay": 0.0}),
    (["--heartbeat", "500ms"], {"heartbeat": 0.5}),
    (["--check", "serfHealth", "--check", "disk"], {"checks": ("serfHealth", "disk")}),
    (["--service-check", "web"], {"service_checks": ("web",)}),
    (["--meta", "a=b", "--meta", "c=d=e", "--meta", "f="],
     {"meta": {"a": "b", "c": "d=e", "f": ""}}),
    (["--meta", "a=1", "--meta", "a=2"], {"meta": {"a": "2"}}),
]  # fmt: skip


@pytest.mark.parametrize("arguments, changes", SESSION)
def test_the_session_is_as_it_is_asked_for(
    arguments: list[str], changes: dict[str, object]
) -> None:
    """With a name or without one; else as it is without options."""
    spec = spec_of("-k", "a", *arguments)
    assert spec._asdict() == LockSpec(("a",))._asdict() | changes
    session = alone.main(arguments, standalone_mode=False)
    assert session == {name: getattr(spec, name) for name in session}
    assert set(session) == {
        *("ttl", "lock_delay", "heartbeat", "checks", "service_checks", "meta"),
        "publish_command",
    }


@pytest.mark.parametrize(
    "text, said",
    [
        ("nothing", "is not of the form K=V"),
        ("=x", "is not of the form K=V"),
        ("", "is not of the form K=V"),
        ("a=\udcff", "it is not UTF-8"),
    ],
)
def test_a_text_that_is_not_a_pair_is_refused(text: str, said: str) -> None:
    """Others are to read it."""
    with pytest.raises(Misuse, match=said):
        spec_of("-k", "a", "--meta", text)


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--limit", "x"], ["-k", "a//b"]])
def test_a_bad_value_is_refused(arguments: list[str]) -> None:
    """A limit is one at least, and a name is one that all tools of Consul take."""
    with pytest.raises(click.UsageError):
        spec_of("-k", "a", *arguments)
