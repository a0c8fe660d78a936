"""`consul-lock clean` and `ls --dead`: what those who died have left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.cli.command import consul
from tests.cli.inspect_fixture import LOCK_FLAG, ask, items, on_a_terminal
from tests.support.waiting import eventually

DEAD = {"host": "web3", "pid": 811, "user": "deploy"}


@pytest.fixture
def dead(address: str, key: str) -> Iterator[str]:
    """A name whose holder has died, with a lock-delay of two seconds."""
    body = json.dumps({"Behavior": "release", "LockDelay": "2s", "NodeChecks": []})
    session = consul(address, "PUT", "/v1/session/create", body)["ID"]
    name = f"{key}/dead"
    path = f"/v1/kv/{quote(name)}/.lock?acquire={session}&flags={LOCK_FLAG}"
    assert consul(address, "PUT", path, json.dumps(DEAD).encode())
    consul(address, "PUT", f"/v1/session/destroy/{session}")
    yield name
    consul(address, "DELETE", f"/v1/kv/{quote(key)}?recurse")


def keys(address: str, prefix: str) -> list[str]:
    """All keys below a prefix."""
    return list(consul(address, "GET", f"/v1/kv/{prefix}?keys") or [])


def test_a_dead_holder_is_named(address: str, dead: str) -> None:
    """By `status` and `ls`, for people and as JSON."""
    shown = ask(address, "status", dead).stdout
    assert f"{dead}: free (lock); its last holder web3 pid 811 died or lost it\n" in shown
    assert "lock-delay may still run" in shown
    assert "(its last holder web3 pid 811 died or lost it)" in ask(address, "ls", dead).stdout
    (item,) = items(ask(address, "status", dead, "--json"))
    assert (item["state"], item["holders"]) == ("free", [])
    last = item["last_holder"]
    assert (last["host"], last["pid"], last["user"], last["session"]) == (*DEAD.values(), None)
    assert ask(address, "status", "-q", dead).returncode == 1


def test_leftovers_of_the_dead_are_listed(address: str, key: str, dead: str) -> None:
    """And nothing else."""
    consul(address, "PUT", f"/v1/kv/{key}/plain", b"hello")
    result = ask(address, "ls", f"{key}/", "--dead")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["KEY", "WHAT", "OF"],
        [f"{dead}/.lock", "lock", "web3", "pid", "811"],
    ]
    (item,) = items(ask(address, "ls", f"{key}/", "--dead", "--json"))
    assert (item["name"], item["what"], item["outcome"]) == (dead, "lock", None)
    assert ask(address, "ls", f"{key}/other", "--dead").stdout == ""
    assert ask(address, "ls", key, "--dead", "--format", "{what} {holder.pid}").stdout == (
        "lock 811\n"
    )


def test_it_is_deleted_when_its_lock_delay_is_over(address: str, key: str, dead: str) -> None:
    """Before that it is left, with a warning; afterwards nothing is to be done."""
    plan = ask(address, "clean", f"{key}/", "--dry-run")
    assert (plan.returncode, f"{dead}/.lock" in plan.stdout) == (0, True)
    assert keys(address, key) == [f"{dead}/.lock"]
    codes = []

    def cleaned() -> bool:
        result = ask(address, "clean", f"{key}/", "--yes", "--json")
        codes.append(result.returncode)
        (item,) = items(result)
        assert (item["outcome"] == "deleted") == (result.returncode == 0)
        assert ("lock-delay runs" in result.stderr) == (result.returncode == 75)
        return result.returncode == 0

    eventually(cleaned)
    assert set(codes) <= {0, 75}
    assert keys(address, key) == []
    again = ask(address, "clean", f"{key}/", "--yes")
    assert (again.returncode, again.stdout) == (1, "")
    assert "nothing to delete" in again.stderr


def test_it_asks_first(address: str, key: str, dead: str) -> None:
    """The user, on a terminal; without a terminal that is an error."""
    refused = ask(address, "clean", f"{key}/")
    assert (refused.returncode, "--yes" in refused.stderr) == (64, True)
    code, output = on_a_terminal(address, "clean", f"{key}/", typed="n\n")
    assert (code, "Delete 1 key? [y/N]" in output, dead in output) == (1, True, True)
    assert keys(address, key) == [f"{dead}/.lock"]
