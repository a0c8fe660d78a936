"""What is to be locked, and the object of the library that it stands for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import consul_lock
from consul_lock import Client, LockTimeout
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.spec.lock import LockKind, LockSpec, slot_of, who_holds

# Nothing is sent: no client of these tests is ever used.
_NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    "spec, said",
    [
        (LockSpec(()), "no --key: which lock"),
        (LockSpec(("a", "b", "a")), 'key "a" is given twice'),
        (LockSpec(("a", "a/b")), 'of two keys, "a" is above "a/b"'),
        (LockSpec(("a/b/c", "x", "a")), 'of two keys, "a" is above "a/b/c"'),
        (LockSpec(("a",), heartbeat=0.4), "--heartbeat 0.4s is out of range"),
        (LockSpec(("a",), heartbeat=61.0), "--heartbeat 1m01s is out of range"),
    ],
)
def test_locks_that_are_impossible_are_misuse(spec: LockSpec, said: str) -> None:
    """With a hint."""
    with pytest.raises(Misuse) as refused:
        spec.check()
    assert said in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    "spec",
    [
        LockSpec(("a",)),
        LockSpec(("a", "ab", "b/a")),
        LockSpec(("a",), heartbeat=0.5),
        LockSpec(("a",), heartbeat=60.0),
    ],
)
def test_valid_locks_are_accepted(spec: LockSpec) -> None:
    """The beginning of a name is not above it."""
    spec.check()


def test_its_title_is_for_people() -> None:
    """A name may have anything in it."""
    assert LockSpec(("a\x1b", "b")).title == "a\\x1b, b"


@pytest.mark.parametrize(
    "spec, seconds",
    [
        (LockSpec(("a",)), 50.0),
        (LockSpec(("a",), ttl=20.0, lock_delay=0.0), 40.0),
        (LockSpec(("a",), heartbeat=0.5, lock_delay=2.0), 3.0),
    ],
)
def test_a_dead_host_is_replaced_in_time(spec: LockSpec, seconds: float) -> None:
    """Consul waits for twice the TTL; a heartbeat shows it sooner; then comes the lock-delay."""
    assert spec.frees_after == seconds


@pytest.mark.parametrize(
    "kind, made",
    [
        (LockKind.LOCK, "Lock"),
        (LockKind.TREE, "Lock"),
        (LockKind.SEMAPHORE, "Semaphore"),
        (LockKind.SHARED, "ReadLock"),
        (LockKind.EXCLUSIVE, "WriteLock"),
        (LockKind.MULTI, "MultiLock"),
        (LockKind.LEADER, "Election"),
    ],
)
def test_each_kind_is_an_object_of_the_library(kind: LockKind, made: str) -> None:
    """Nothing is sent yet."""
    spec = LockSpec(("a", "b") if kind is LockKind.MULTI else ("a",), kind, limit=2)
    with Client(_NOWHERE) as client:
        lock = spec.make(client, program="job")
    assert isinstance(lock, getattr(consul_lock, made))


def test_a_refusal_by_the_library_is_misuse() -> None:
    """Nothing goes into it but what was typed."""
    with Client(_NOWHERE) as client, pytest.raises(Misuse, match="limit"):
        LockSpec(("a",), LockKind.SEMAPHORE, limit=0).make(client, program="job")
    with Client(_NOWHERE) as client, pytest.raises(Misuse, match="meta"):
        LockSpec(("a",), meta={"x": 3000 * "x"}).make(client, program="job")


def test_the_library_gets_the_session_as_it_was_asked_for() -> None:
    """And the program, made harmless, as others see it."""
    spec = LockSpec(("a",), ttl=20.0, heartbeat=1.0, checks=("c",), meta={"k": "v"})
    options = spec.options("job\x1b" + 300 * "x")
    assert options["command"].startswith("job\\x1bxxx")
    assert len(options["command"]) == 200
    wanted = {"ttl": 20.0, "lock_delay": 30.0, "heartbeat": 1.0, "checks": ("c",),
              "service_checks": (), "meta": {"k": "v"}, "watch": True}  # fmt: skip
    assert {name: options[name] for name in wanted} == wanted
    assert LockSpec(("a",)).options("job")["meta"] is None


class _Campaign:
    """An election in which somebody else may win."""

    def __init__(self, won: bool) -> None:
        self._won = won
        self.asked: list[tuple[str, float | None]] = []

    def campaign(self, value: str, timeout: float | None) -> None:
        self.asked.append((value, timeout))
        if not self._won:
            raise LockTimeout


@pytest.mark.parametrize("won", [True, False])
def test_a_leader_is_acquired_by_a_campaign(won: bool) -> None:
    """With what it has to say; a timeout is no error here."""
    election: Any = _Campaign(won)
    spec = LockSpec(("a",), LockKind.LEADER, value="http://me")
    assert spec.acquire(election, 3.0) is won
    assert election.asked == [("http://me", 3.0)]


@pytest.mark.parametrize("won", [True, False])
def test_any_other_kind_is_acquired_as_a_lock(won: bool) -> None:
    """Within so many seconds."""
    lock: Any = SimpleNamespace(acquire=lambda timeout: won and timeout == 3.0)
    assert LockSpec(("a",)).acquire(lock, 3.0) is won


def test_the_only_slot_of_a_semaphore() -> None:
    """As a number."""
    semaphore: Any = SimpleNamespace(slots=lambda: ("7",))
    assert slot_of(semaphore) == 7


@pytest.mark.parametrize(
    "lock, found",
    [
        (SimpleNamespace(holder=lambda: None), []),
        (SimpleNamespace(holder=lambda: "a"), ["a"]),
        (SimpleNamespace(holders=lambda: ("a", "b")), ["a", "b"]),
        (SimpleNamespace(holders=lambda: {"x": "a", "y": "b"}), ["a", "b"]),
    ],
    ids=["free lock", "lock", "semaphore", "several locks"],
)
def test_the_holders_are_a_list_for_every_kind(lock: Any, found: list[str]) -> None:
    """A lock has one holder, others have many, and several locks one for each."""
    assert who_holds(lock) == found


def test_the_arguments_of_a_command_are_published_only_if_that_is_wanted() -> None:
    """There may be secrets among them; as a shell would read them, and not without end."""
    command = ["backup", "--to", "a b", "x" * 600]
    assert LockSpec(("k",)).published(command) == "backup"
    wanted = LockSpec(("k",), publish_command=True)
    text = wanted.published(command)
    assert text.startswith("backup --to 'a b' xxx")
    assert len(text) <= 500
    assert wanted.options(text)["command"] == text
    assert wanted.published([]) == ""
