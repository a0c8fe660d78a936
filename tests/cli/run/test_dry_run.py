"""`run --dry-run`: what would happen, and nothing happens."""

from __future__ import annotations

from collections.abc import Callable

from tests.cli.command import Running, consul, environment
from tests.cli.conftest import Result
from tests.support.proxy import Proxy

LockedRun = Callable[..., Result]
Start = Callable[..., Running]

_STAY = ("--", "sh", "-c", "echo ready; exec sleep 600")


def test_a_free_lock_would_be_acquired_and_nothing_is_made(address: str, key: str) -> None:
    """No session, no key, no run."""
    with Proxy(address) as proxy:
        arguments = ["run", "--key", key, "--dry-run", "--", "echo", "a b"]
        with Running(arguments, environment(proxy.address)) as running:
            assert running.line() == f"{key} is free: would run echo 'a b'"
            assert running.wait() == 0
            assert (running.line(), running.errors()) == ("", "")
        assert proxy.count() > 0
        assert proxy.count(kind="session/create") == 0
    assert consul(address, "GET", f"/v1/kv/{key}?recurse") is None


def test_a_held_lock_would_be_waited_for(
    holder: Running, locked_run: LockedRun, key: str, address: str
) -> None:
    """75 all the same, or the code of -E; and the holder."""
    for options, code, what in (
        ((), 75, "wait"),
        (("-n",), 75, "give up"),
        (("-w", "5s", "-E", "3"), 3, "wait"),
    ):
        result = locked_run("--dry-run", *options, "--", "true")
        assert result.returncode == code
        assert result.stdout.startswith(f"{key} is held by ")
        assert f"pid {holder.pid} " in result.stdout
        assert result.stdout.endswith(f": would {what}\n")
    assert consul(address, "GET", f"/v1/kv/{key}/.queue?keys") is None


def test_slots_are_counted(start: Start, locked_run: LockedRun) -> None:
    """A free one is enough, and the limit must be the same."""
    slot = start("--limit", "2", *_STAY)
    assert slot.line() == "ready"
    assert locked_run("--limit", "2", "--dry-run", "true").returncode == 0
    assert locked_run("--limit", "3", "--dry-run", "true").returncode == 65
    assert locked_run("--dry-run", "true").returncode == 65
    second = start("--limit", "2", *_STAY)
    assert second.line() == "ready"
    assert locked_run("--limit", "2", "--dry-run", "true").returncode == 75


def test_a_reader_is_in_the_way_of_a_writer_only(start: Start, locked_run: LockedRun) -> None:
    """And of a tree lock above it."""
    reader = start("-s", *_STAY)
    assert reader.line() == "ready"
    codes = [locked_run(kind, "--dry-run", "true").returncode for kind in ("-s", "-x", "--tree")]
    assert codes == [0, 75, 75]


def test_a_consul_out_of_reach_is_69(locked_run: LockedRun) -> None:
    """Or 0, if it would run all the same."""
    away = ("--http-addr", "127.0.0.1:1", "--retry-for", "0", "--dry-run")
    assert locked_run(*away, "--", "true").returncode == 69
    assert locked_run(*away, "--unavailable-exit-code", "3", "--", "true").returncode == 3
    result = locked_run(*away, "--fail-open", "--", "true")
    assert (result.returncode, "without the lock" in result.stdout) == (0, True)


def test_a_key_that_is_not_a_lock_is_65(locked_run: LockedRun, address: str, key: str) -> None:
    """As it would be in earnest."""
    consul(address, "PUT", f"/v1/kv/{key}/.lock", "hello")
    assert locked_run("--dry-run", "true").returncode == 65
