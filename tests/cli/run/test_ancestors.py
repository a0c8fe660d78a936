"""Waiting for a lock that an ancestor holds would never end: it is refused, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.run.ancestors import CHAIN, chain_with, refuse_own_ancestors
from consul_lock_cli.spec.lock import LockKind, LockSpec

_HERE = "dc1"
_LOCK, _SEMAPHORE, _READ, _WRITE, _MULTI, _TREE, _LEADER = (
    LockKind.LOCK, LockKind.SEMAPHORE, LockKind.SHARED, LockKind.EXCLUSIVE, LockKind.MULTI,
    LockKind.TREE, LockKind.LEADER,
)  # fmt: skip


def _spec(mode: LockKind, *keys: str, limit: int | None = 1) -> LockSpec:
    return LockSpec(keys, mode, limit)


def _under(*held: LockSpec, place: str = _HERE) -> dict[str, str]:
    """The environment below all of them."""
    environ: dict[str, str] = {}
    for spec in held:
        environ = {CHAIN: chain_with(spec, "a-session", place, environ)}
    return environ


def _refused(wanted: LockSpec, environ: dict[str, str], wait: float | None = None) -> bool:
    try:
        refuse_own_ancestors(wanted, wait, _HERE, environ)
    except Misuse:
        return True
    return False


@pytest.mark.parametrize(
    "held, wanted, refused",
    [
        (_spec(_LOCK, "a"), _spec(_LOCK, "a"), True),
        (_spec(_LOCK, "a"), _spec(_LOCK, "b"), False),
        (_spec(_LOCK, "a"), _spec(_LEADER, "a"), True),
        (_spec(_LEADER, "a"), _spec(_LOCK, "a"), True),
        (_spec(_LOCK, "b"), _spec(_MULTI, "a", "b"), True),
        (_spec(_MULTI, "a", "b"), _spec(_LOCK, "b"), True),
        (_spec(_MULTI, "a", "b"), _spec(_MULTI, "c", "d"), False),
        (_spec(_WRITE, "a"), _spec(_READ, "a"), True),
        (_spec(_READ, "a"), _spec(_WRITE, "a"), True),
        (_spec(_WRITE, "a"), _spec(_WRITE, "a"), True),
        (_spec(_READ, "a"), _spec(_READ, "a"), False),
        (_spec(_TREE, "a"), _spec(_TREE, "a/b"), True),
        (_spec(_TREE, "a/b"), _spec(_TREE, "a"), True),
        (_spec(_TREE, "a"), _spec(_TREE, "a-b"), False),
        (_spec(_TREE, "a/b"), _spec(_TREE, "a/c"), False),
        (_spec(_TREE, "a"), _spec(_READ, "a"), True),
        (_spec(_READ, "a"), _spec(_TREE, "a/b"), False),
        (_spec(_LOCK, "a"), _spec(_WRITE, "a"), False),
        (_spec(_SEMAPHORE, "a", limit=1), _spec(_SEMAPHORE, "a", limit=1), True),
        (_spec(_SEMAPHORE, "a", limit=2), _spec(_SEMAPHORE, "a", limit=2), False),
        (_spec(_SEMAPHORE, "a", limit=2), _spec(_SEMAPHORE, "b", limit=1), False),
    ],
)
def test_two_that_exclude_each_other_would_deadlock(
    held: LockSpec, wanted: LockSpec, refused: bool
) -> None:
    """Readers beside each other and free slots are fine, as is another kind of lock, which is
    refused for another reason."""
    assert _refused(wanted, _under(held)) is refused
    assert not _refused(wanted, _under(held), wait=0)


def test_the_error_names_the_key_and_the_session() -> None:
    """Of the one of several that cannot be acquired."""
    with pytest.raises(Misuse, match=r"^b would deadlock with .* \(session a-session\)") as caught:
        refuse_own_ancestors(_spec(_MULTI, "a", "b"), 5.0, _HERE, _under(_spec(_LOCK, "b")))
    assert "-n" in caught.value.hint


def test_an_ancestor_of_an_ancestor_counts_too() -> None:
    """The variable has all of them, the nearest last."""
    environ = _under(_spec(_LOCK, "a"), _spec(_LOCK, "between"))
    assert _refused(_spec(_LOCK, "a"), environ)
    assert [held["keys"] for held in json.loads(environ[CHAIN])] == [["a"], ["between"]]


def test_all_slots_of_ancestors_are_a_deadlock() -> None:
    """Only they could let anybody in."""
    slot = _spec(_SEMAPHORE, "a", limit=2)
    assert not _refused(slot, _under(slot))
    assert _refused(slot, _under(slot, slot))


@pytest.mark.parametrize("place, refused", [(_HERE, True), ("dc2", False)])
def test_the_same_name_elsewhere_is_another_lock(place: str, refused: bool) -> None:
    """In another datacenter, namespace or partition."""
    assert _refused(_spec(_LOCK, "a"), _under(_spec(_LOCK, "a"), place=place)) is refused


def _chain(**changes: Any) -> dict[str, str]:
    (held,) = json.loads(_under(_spec(_LOCK, "a"))[CHAIN])
    return {CHAIN: json.dumps([{**held, **changes}])}


def _dead() -> int:
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


def test_an_ancestor_that_has_ended_holds_nothing() -> None:
    """A daemon keeps the environment of its start, and may want the lock again."""
    environ = _chain(pid=_dead())
    assert not _refused(_spec(_LOCK, "a"), environ)
    assert [
        held["pid"] for held in json.loads(chain_with(_spec(_LOCK, "b"), "s", "", environ))
    ] == [os.getpid()]


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "x"},
        {"pid": -1},
        {"pid": 1e9},
        {"pid": 99999999999999},
        {"pid": None},
        {"host": "elsewhere", "pid": 2**31 - 1},
        {"place": None},
        {"place": 5},
        {"session": None, "limit": "x"},
    ],
)
def test_an_ancestor_that_cannot_be_looked_for_counts(changes: dict[str, Any]) -> None:
    """It may be in another container: better refused than waited for in vain."""
    assert _refused(_spec(_LOCK, "a"), _chain(**changes))


def test_an_ancestor_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not be sent a signal, so it is there."""

    def refuse(*_: object) -> None:
        raise PermissionError

    environ = _under(_spec(_LOCK, "a"))
    monkeypatch.setattr(os, "kill", refuse)
    assert _refused(_spec(_LOCK, "a"), environ)


@pytest.mark.parametrize(
    "text",
    [
        "", "{bad", "5", "[1]", '[{"keys": 5}]', '[{"keys": [], "mode": "tree"}]',
        '[{"keys": [5]}]', '[{"keys": ["a"], "mode": "nonsense"}]', '[{"keys": ["a"]}]',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_variable_that_somebody_else_has_set_is_no_ancestor(text: str) -> None:
    """Whatever is in it, nothing is raised."""
    assert not _refused(_spec(_LOCK, "a"), {CHAIN: text})


_OLD = {"CONSUL_LOCK_HELD": "true", "CONSUL_LOCK_KEY": "a\nb", "CONSUL_LOCK_SESSION": "s"}


@pytest.mark.parametrize(
    "changes, wanted, refused",
    [
        ({}, _spec(_LOCK, "b"), True),
        ({}, _spec(_LOCK, "c"), False),
        ({"CONSUL_LOCK_HELD": "false"}, _spec(_LOCK, "b"), False),
        ({"CONSUL_LOCK_KEY": ""}, _spec(_LOCK, ""), False),
        ({"CONSUL_LOCK_KEY": "a", "CONSUL_LOCK_MODE": "shared"}, _spec(_WRITE, "a"), True),
        ({"CONSUL_LOCK_LIMIT": "no number"}, _spec(_LOCK, "b"), True),
    ],
)
def test_without_the_chain_the_nearest_lock_counts(
    changes: dict[str, str], wanted: LockSpec, refused: bool
) -> None:
    """By the variables that describe it to the command."""
    assert _refused(wanted, {**_OLD, **changes}) is refused
