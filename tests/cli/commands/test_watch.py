"""`consul-lock watch`: a line for each thing that happens."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Running, environment
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    on_a_terminal,
    polling,
)
from tests.cli.output.json_page import FIELDS, HOLDER
from tests.support.agent import Agent
from tests.support.waiting import eventually

Watch = Callable[..., Running]


@pytest.fixture
def watch(address: str) -> Iterator[Watch]:
    """``watch(name, "--once")`` in the background; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(
            Running(["watch", *arguments], environment(address))
        )


def event(running: Running) -> tuple[str, str, str]:
    """The next event: what, of which lock, by which session."""
    found: dict[str, Any] = json.loads(running.line())
    assert found["v"] == 1
    assert set(found) == FIELDS["event"]
    assert set(found["holder"]) == HOLDER
    return found["event"], found["name"], found["holder"]["session"]


def test_acquired_released_and_lost(hand: Hand, watch: Watch, key: str) -> None:
    """For one key, and below a prefix; beside it nothing is seen."""
    first = hand.hold(f"{key}/a")
    one, below = watch(f"{key}/a", "--initial"), watch(f"{key}/", "--initial")
    for running in (one, below):
        assert event(running) == ("held", f"{key}/a", first)
    hand.let_go(f"{key}/a", first)
    for running in (one, below):
        assert event(running) == ("released", f"{key}/a", first)
    other = hand.hold(f"{key}/b")
    assert event(below) == ("acquired", f"{key}/b", other)
    second = hand.hold(f"{key}/a")
    for running in (one, below):
        assert event(running) == ("acquired", f"{key}/a", second)
    hand.destroy(second)
    for running in (one, below):
        assert event(running) == ("lost", f"{key}/a", second)
        running.send(signal.SIGTERM)
        assert running.wait() == -signal.SIGTERM
        assert running.errors() == ""


def test_a_run_is_acquired_and_released(watch: Watch, address: str, key: str, hand: Hand) -> None:
    """Its session ends after the release, at once: that is no loss."""
    marker = hand.hold(f"{key}/marker")
    running = watch(f"{key}/", "--initial")
    assert event(running)[0] == "held"
    script = "trap 'exit 0' TERM; echo $CONSUL_LOCK_SESSION; while :; do sleep 0.05; done"
    job = ["run", "--key", f"{key}/job", "--", "sh", "-c", script]
    with Running(job, environment(address)) as working:
        session = working.line()
        # Of what is over before the next look nothing is seen.
        assert event(running) == ("acquired", f"{key}/job", session)
        working.send(signal.SIGTERM)
        assert working.wait() == 0
    assert event(running) == ("released", f"{key}/job", session)
    hand.let_go(f"{key}/marker", marker)
    assert event(running) == ("released", f"{key}/marker", marker)


def test_a_person_gets_a_line_and_a_program_an_object(hand: Hand, address: str, key: str) -> None:
    """On a terminal; --json is JSON there, too."""
    session = hand.hold(key)
    code, seen = on_a_terminal(address, "watch", key, "--once", "--initial", "--color", "never")
    assert code == 0
    assert seen.split()[1:] == ["held", key, "session", session]
    code, seen = on_a_terminal(address, "watch", key, "--once", "--initial", "--json")
    assert json.loads(seen)["event"] == "held"


def test_once_ends_after_one_event(hand: Hand, watch: Watch, key: str) -> None:
    """And --format prints it in another way."""
    session = hand.hold(key)
    once = watch(key, "--once", "--initial", "--format", "{event} {name} {holder.session}")
    assert once.line() == f"held {key} {session}"
    assert once.wait() == 0
    assert once.line() == ""


def test_a_lock_that_is_held_already_is_no_event(
    hand: Hand, watch: Watch, address: str, key: str
) -> None:
    """Unless --initial asks for it: the first event is the first that happens."""
    session = hand.hold(key)
    running = watch(key, "--once", "--format", "{event}")
    eventually(lambda: polling(running, address))

    def ended() -> bool:
        # Again and again, as it may have looked for the first time, or not.
        hand.let_go(key, session)
        hand.hold(key, session=session)
        return not running.running()

    eventually(ended)
    assert running.line() in ("released", "acquired")


def test_a_command_for_each_event(hand: Hand, watch: Watch, key: str, tmp_path: Path) -> None:
    """It gets the event on its stdin; its outcome is logged, and ends nothing."""
    session = hand.hold(key)
    file = tmp_path / "events"
    running = watch(key, "--initial", "--exec", f"cat >> {file}; echo done; exit 3")
    assert running.line() == "done"
    hand.let_go(key, session)
    assert running.line() == "done"
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["event"] for each in events] == ["held", "released"]
    eventually(lambda: running.errors().count("ended with 3") == 2)
    # One that reads nothing is no trouble.
    hand.hold(key)
    deaf = watch(key, "--once", "--initial", "--exec", "true")
    assert (deaf.wait(), deaf.errors()) == (0, "")


def test_an_agent_that_is_away_for_a_moment_is_tolerated(own_agent: Agent) -> None:
    """With back-off; what has happened meanwhile is reported then."""
    hand = Hand(own_agent.address)
    session = hand.hold("k")
    arguments = ["watch", "", "--initial", "--retry-for", "1m"]
    with Running(arguments, environment(own_agent.address)) as running:
        assert event(running) == ("held", "k", session)
        own_agent.kill()
        own_agent.start()
        # It was in memory only: the new one knows nothing.
        assert event(running)[1:] == ("k", session)
        again = Hand(own_agent.address).hold("k")
        assert event(running) == ("acquired", "k", again)


def test_an_agent_that_stays_away_is_69() -> None:
    """Not before it was given some time."""
    began = time.monotonic()
    result = ask("127.0.0.1:1", "watch", "", "--retry-for", "1s")
    assert time.monotonic() - began >= 1
    assert result.returncode == 69
    assert result.stderr.startswith("consul-lock: cannot reach Consul")


@pytest.mark.parametrize("arguments", [["a//b"], [], ["a", "--exec", "x", "--format", "{name}"]])
def test_misuse(arguments: list[str]) -> None:
    """64, and nothing is asked of Consul."""
    assert ask("127.0.0.1:1", "watch", *arguments).returncode == 64
