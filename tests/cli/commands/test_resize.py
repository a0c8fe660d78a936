"""`consul-lock resize`: another limit for all users of a semaphore."""

from __future__ import annotations

from consul_lock import Client, Semaphore
from tests.cli.command import Running, environment
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
)
from tests.support.waiting import eventually


def test_a_higher_limit_admits_the_next_waiter_at_once(address: str, key: str) -> None:
    """Holders stay; a lower limit takes no slot away."""
    with Client(address) as client:
        holder = Semaphore(key, 2, client=client)
        assert holder.acquire()
        assert holder.acquire()
        waiter = ["run", "--key", key, "--limit", "2", "--", "sh", "-c", "echo in; exec sleep 600"]
        with Running(waiter, environment(address)) as waiting:
            eventually(lambda: items(ask(address, "status", key, "--json"))[0]["waiters"])
            result = ask(address, "resize", key, "3")
            assert (result.returncode, result.stdout) == (0, "")
            assert result.stderr == f"consul-lock: resized {key} to 3 (it was 2)\n"
            assert waiting.line() == "in"
            (item,) = items(ask(address, "resize", key, "1", "--json"))
            assert (item["limit"], len(item["holders"])) == (1, 3)
            assert waiting.running()
        same = ask(address, "resize", key, "1")
        assert "(as it was)" in same.stderr
        holder.release()
        holder.release()


def test_what_is_no_semaphore_is_not_resized(hand: Hand, address: str, key: str) -> None:
    """Nothing is there: 1, and nothing is written; a lock: 65; a limit below 1: 64."""
    absent = ask(address, "resize", key, "3", "--json")
    assert (absent.returncode, items(absent)) == (1, [])
    assert "there is no semaphore" in absent.stderr
    (status,) = items(ask(address, "status", key, "--json"))
    assert status["kind"] == "none"
    hand.hold(key)
    assert ask(address, "resize", key, "3").returncode == 65
    assert ask(address, "resize", key, "0").returncode == 64
