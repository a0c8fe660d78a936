"""Semaphores, read/write locks, several locks and trees: what excludes what, and what is said."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from consul_lock_cli.run.environment import of_slot
from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.conftest import Result
from tests.cli.inspect_fixture import ask
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]

_STAY = ("--", "sh", "-c", "echo ready; exec sleep 600")


def told(result: Result) -> dict[str, str]:
    """The variables of the lock that the command got."""
    lines = (line.split("=", 1) for line in result.stdout.splitlines())
    return {name: value for name, value in lines if name.startswith("CONSUL_LOCK_")}


@pytest.mark.parametrize(
    "options, mode, limit",
    [
        (["--limit", "1"], "lock", "1"),
        (["--limit", "3"], "semaphore", "3"),
        (["--shared"], "shared", None),
        (["-x"], "exclusive", "1"),
        (["--tree"], "tree", "1"),
    ],
)
def test_the_command_knows_the_kind_of_its_lock(
    locked_run: LockedRun, key: str, options: list[str], mode: str, limit: str | None
) -> None:
    """And what it has of a surrounding lock is replaced, or gone."""
    old = {"CONSUL_LOCK_LIMIT": "9", "CONSUL_LOCK_MODE": "old", "CONSUL_LOCK_SLOT_INDEX": "7"}
    found = told(locked_run(*options, "--", "env", **old))
    assert found["CONSUL_LOCK_HELD"] == "true"
    assert found["CONSUL_LOCK_KEY"] == key
    assert found["CONSUL_LOCK_MODE"] == mode
    assert found.get("CONSUL_LOCK_LIMIT") == limit
    assert found.get("CONSUL_LOCK_SLOT_INDEX") == ("0" if mode == "semaphore" else None)
    assert int(found["CONSUL_LOCK_TOKEN"]) > 0


def test_every_variable_is_documented(locked_run: LockedRun) -> None:
    """docs/cli.md has a table of them, with those of a cron job."""
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    documented = set(re.findall(r"^\| `(CONSUL_LOCK_\w+)` \|", page, re.MULTILINE))
    of_cron = of_slot("sync", "an ID", None, 1).keys()
    assert told(locked_run("--limit", "2", "--", "env")).keys() | of_cron == documented


def test_a_semaphore_has_so_many_slots(start: Start, locked_run: LockedRun, address: str) -> None:
    """The third one waits, or reports the holders; one that ends lets it in."""
    first, second = (start("--limit", "2", *_STAY) for _ in range(2))
    assert (first.line(), second.line()) == ("ready", "ready")
    result = locked_run("--limit", "2", "-n", "--", "echo", "started")
    assert (result.returncode, result.stdout) == (75, "")
    for holder in (first, second):
        assert f"pid {holder.pid}" in result.stderr
    third = start("--limit", "2", "--", "echo", "mine")
    first.send(signal.SIGTERM)
    assert third.line() == "mine"


def test_each_slot_has_a_number(start: Start, address: str) -> None:
    """Of those who hold at the same time no two have the same, and a free one is used again."""
    show = ("--limit", "3", "--", "sh", "-c", "echo $CONSUL_LOCK_SLOT_INDEX; exec sleep 600")
    holders = [start(*show) for _ in range(3)]
    numbers = [int(holder.line()) for holder in holders]
    assert sorted(numbers) == [0, 1, 2]
    holders[0].send(signal.SIGTERM)
    holders[0].wait()
    waiting = start("--limit", "3", "--hold")
    assert json.loads(waiting.line())["slot_index"] == numbers[0]


def test_the_number_of_a_slot_costs_one_request(address: str, key: str) -> None:
    """And only a semaphore asks for it."""
    with Proxy(address) as proxy:
        env = environment(proxy.address)
        for limit, writes in (("1", 2), ("2", 3)):  # to acquire, for the number, to release
            proxy.reset()
            with Running(["run", "-k", f"{key}/{limit}", "--limit", limit, "true"], env) as run:
                assert run.wait() == 0
            assert proxy.count("PUT", "txn") == writes


def test_a_slot_whose_number_is_in_lock_delay_is_waited_for_no_longer_than_asked(
    start: Start, locked_run: LockedRun, address: str, key: str
) -> None:
    """A signal ends that, too; the slot is given back."""
    taken = start("--limit", "2", "--hold", "--lock-delay", "60s")
    session = json.loads(taken.line())["session"]
    dead = start("--limit", "2", "--hold", "--lock-delay", "60s")
    other = json.loads(dead.line())["session"]
    # As a client of Go does with the slot of one who is gone.
    assert consul(address, "PUT", f"/v1/session/destroy/{other}")
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    document = json.dumps({"Limit": 2, "Holders": {session: True}})
    assert consul(address, "PUT", f"/v1/kv/{key}/.lock?flags={entry['Flags']}", document)
    assert dead.wait() == 76
    assert locked_run("--limit", "2", "-n", "--", "echo", "started").returncode == 75
    assert holders(address, key) == {session}
    late = start("--limit", "2", "-v", "--", "echo", "started")
    eventually(lambda: len(holders(address, key)) == 2)
    late.send(signal.SIGTERM)
    assert late.wait() == -signal.SIGTERM
    assert late.line() == ""
    assert holders(address, key) == {session}


def holders(address: str, key: str) -> set[str]:
    """The sessions in a semaphore's document."""
    return set(consul(address, "GET", f"/v1/kv/{key}/.lock?raw")["Holders"])


def test_readers_share_and_a_writer_does_not(start: Start, locked_run: LockedRun) -> None:
    """-s beside -s, -x beside nobody."""
    reader = start("-s", *_STAY)
    assert reader.line() == "ready"
    assert locked_run("-s", "-n", "--", "echo", "too").stdout == "too\n"
    assert locked_run("-x", "-n", "--", "true").returncode == 75
    reader.send(signal.SIGTERM)
    reader.wait()
    writer = start("-x", *_STAY)
    assert writer.line() == "ready"
    assert locked_run("-s", "-n", "--", "true").returncode == 75


def test_several_keys_are_all_or_none(address: str, key: str) -> None:
    """A plain lock of one of them keeps all away; while they wait they hold none."""
    with Running(["run", "-k", f"{key}/b", *_STAY], environment(address)) as holder:
        assert holder.line() == "ready"
        both = ["run", "-k", f"{key}/a", "-k", f"{key}/b"]
        env = environment(address)
        with Running([*both, "-n", "--", "true"], env) as hasty:
            assert hasty.wait() == 75
            assert f"pid {holder.pid}" in hasty.errors()
        with Running([*both, "-v", "--", "env"], env) as waiter:
            eventually(lambda: "waiting for" in waiter.errors())
            assert consul(address, "GET", f"/v1/kv/{key}/a/.lock") is None
            holder.send(signal.SIGTERM)
            assert waiter.wait() == 0
            seen = "\n".join(iter(waiter.line, ""))
    assert f"CONSUL_LOCK_KEY={key}/a\n{key}/b\n" in seen
    assert "CONSUL_LOCK_MODE=multi\n" in seen


def test_a_tree_lock_excludes_what_is_above_and_below(start: Start, address: str, key: str) -> None:
    """But not its neighbour.  Who is below is not said to wait for a lock that is free."""
    holder = start("--tree", *_STAY)
    assert holder.line() == "ready"
    above = "is below a tree lock that is held, or in lock-delay: not started (75)"
    for name, code, why in (
        (f"{key}/below", 75, above),
        ("cli", 75, "cli is held by "),
        (f"{key}-beside", 0, ""),
    ):
        with Running(["run", "-k", name, "--tree", "-n", "true"], environment(address)) as other:
            assert other.wait() == code
            assert why in other.errors()
    for name, what in ((key, "tree lock"), ("cli", "tree lock on a name below it")):
        assert ask(address, "status", name).stdout.startswith(f"{name}: held ({what})\n")


def test_another_kind_of_lock_is_65_and_leaves_nothing(
    start: Start,
    locked_run: LockedRun,
    sessions: Callable[[int], list[str]],
    address: str,
    key: str,
) -> None:
    """Another limit, a lock where a semaphore is, and the other way round."""
    holder = start("--limit", "2", *_STAY)
    assert holder.line() == "ready"
    result = locked_run("--limit", "3", "--", "true")
    assert result.returncode == 65
    assert f"consul-lock: {key} is a semaphore with limit 2, wanted 3 (65)" in result.stderr
    assert "hint: all users of a semaphore must agree" in result.stderr
    assert f"'consul-lock break --delete {key}'" in result.stderr
    for option in ("-x", "-s"):
        result = locked_run(option, "--", "true")
        assert result.returncode == 65
        assert "; wanted a read/write lock: not started (65)\n" in result.stderr
    result = locked_run("--", "true")
    assert result.returncode == 65
    line, hint = result.stderr.splitlines()
    held = f"{key} is a semaphore with limit 2, held by {os.uname().nodename} pid {holder.pid} ("
    assert line.startswith(f"consul-lock: {held}")
    assert line.endswith("; wanted a lock: not started (65)")
    assert hint == "hint: --limit 2 takes a slot of it; or use another --key"
    with Running(["run", "-k", f"{key}/x", *_STAY], environment(address)) as lock:
        assert lock.line() == "ready"
        arguments = ["run", "-k", f"{key}/x", "--limit", "2", "true"]
        with Running(arguments, environment(address)) as other:
            assert other.wait() == 65
            assert sessions(other.pid) == []
    for option in ("--limit=3", "-x", "-s"):
        refused = start(option, "--", "true")
        assert refused.wait() == 65
        assert sessions(refused.pid) == []


_NESTED = [*COMMAND, "run", "--key"]


def test_waiting_for_a_lock_of_an_ancestor_is_refused(locked_run: LockedRun, key: str) -> None:
    """Through all that is between; readers beside each other are fine."""
    between = [*_NESTED, f"{key}/between", "--"]
    result = locked_run("-s", "--", *between, *_NESTED, key, "-x", "--", "true")
    assert result.returncode == 64
    assert f"{key} would deadlock with an ancestor of this process" in result.stderr
    assert locked_run("-s", "--", *between, *_NESTED, key, "-s", "--", "true").returncode == 0


def test_the_same_name_in_another_datacenter_is_another_lock(
    locked_run: LockedRun, key: str
) -> None:
    """It is not refused: what becomes of it is up to Consul, which has no such datacenter here."""
    inner = [*_NESTED, key, "--datacenter", "elsewhere", "--retry-for", "0s", "--", "true"]
    result = locked_run("--", *inner)
    assert result.returncode not in (0, 64)
    assert "deadlock" not in result.stderr
    inner = [*_NESTED, key, "--datacenter", "dc1", "--", "true"]
    assert locked_run("--datacenter", "dc1", "--", *inner).returncode == 64


def test_metadata_and_checks_go_into_the_session(start: Start, address: str, key: str) -> None:
    """Those who look see who it is, and the session is bound to what was asked."""
    holder = start("--meta", "ticket=42", "--meta", "why=a=b", "--check", "serfHealth", *_STAY)
    assert holder.line() == "ready"
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    (session,) = consul(address, "GET", f"/v1/session/info/{entry['Session']}")
    assert session["NodeChecks"] == ["serfHealth"]
    value = consul(address, "GET", f"/v1/kv/{key}/.lock?raw")
    assert value["meta"] == {"ticket": "42", "why": "a=b"}


def test_a_heartbeat_is_a_check_of_that_length(start: Start, address: str, key: str) -> None:
    """At the local agent; it is gone afterwards."""
    holder = start("--heartbeat", "10s", *_STAY)
    assert holder.line() == "ready"
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    (session,) = consul(address, "GET", f"/v1/session/info/{entry['Session']}")
    mine = session["ServiceChecks"][0]["ID"]
    assert mine in consul(address, "GET", "/v1/agent/checks")
    holder.send(signal.SIGTERM)
    holder.wait()
    assert mine not in consul(address, "GET", "/v1/agent/checks")


def test_a_check_that_does_not_exist_is_reported(locked_run: LockedRun) -> None:
    """The server refuses the session, and goes on to: 73, and nothing is started."""
    result = locked_run(
        "--retry-for", "1s", "--service-check", "no-such-check", "--", "echo", "started"
    )
    assert result.returncode == 73
    assert result.stdout == ""
    assert "no-such-check" in result.stderr
