"""Losing the lock while the command runs: it is stopped, and the code is 76."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consul_lock.errors import (
    ConfigError,
    ConsulLockError,
    LossReason,
    PermissionDenied,
    Unavailable,
)
from consul_lock_cli.run.loss import loss_hint
from tests.cli.command import Running, alive, consul, environment
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Start = Callable[..., Running]

_STUBBORN = "trap 'echo term' TERM; echo $$; while :; do sleep 0.05; done"

# Quick, and a busy machine still renews in time; and a shell says within the 3 s that it has TERM.
_QUICK = ("--lock-delay", "9s", "--kill-after", "3s")


def _destroy_session(address: str, key: str) -> None:
    held = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/session/destroy/{held[0]['Session']}")


def _delete_key(address: str, key: str) -> None:
    assert consul(address, "DELETE", f"/v1/kv/{key}/.lock")


def _release_by_hand(address: str, key: str) -> None:
    held = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/kv/{key}/.lock?release={held[0]['Session']}")


@pytest.mark.parametrize(
    "take_away, why, advice",
    [
        (_destroy_session, r"session \S+ expired, or somebody destroyed it", "a longer --ttl"),
        (_delete_key, "somebody deleted its key", "an ACL policy"),
        (_release_by_hand, "somebody released it", "an ACL policy"),
    ],
)
def test_a_lock_that_is_taken_away_stops_the_command(
    start: Start,
    address: str,
    key: str,
    sessions: Callable[[int], list[str]],
    take_away: Callable[[str, str], None],
    why: str,
    advice: str,
) -> None:
    """TERM within moments, KILL after the grace, 76, and no session is left; with advice."""
    # With these, a look at the lock every 9 s: only the watch on the key is sooner.
    seldom = ("--ttl", "60s", "--lock-delay", "60s")
    running = start(*seldom, "--kill-after", "3s", "--", "sh", "-c", _STUBBORN)
    command = int(running.line())
    take_away(address, key)
    gone = time.monotonic()
    assert running.line() == "term"
    assert time.monotonic() - gone < 8
    assert running.wait() == 76
    assert not alive(command)
    assert sessions(running.pid) == []
    line, hint = running.said()
    assert advice in hint
    then = rf"sent TERM to group {command}; KILL in 3s \(76\)"
    assert re.fullmatch(rf"consul-lock: LOST {key} after \S+s: {why}; {then}", line)


_TRUST = ConfigError("TLS: expired", kind="certificate-expired")
_DENIED = PermissionDenied("renewing a session: ACL not found", kind="unknown-token")


@pytest.mark.parametrize(
    "reason, error, more, advice",
    [
        (LossReason.DEADLINE, _DENIED, {}, "it has expired, was deleted, or is of another"),
        (LossReason.DEADLINE, _TRUST, {}, "renew the certificate of the agent"),
        (LossReason.DEADLINE, Unavailable("x", kind="refused"), {}, "was the agent or the network"),
        (LossReason.SESSION_INVALID, Unavailable("x", kind="no-answer"), {}, "was the agent or"),
        (LossReason.DEADLINE, Unavailable("x", kind="no-leader"), {}, "'consul operator raft"),
        (LossReason.DEADLINE, Unavailable("x", kind="rate-limit"), {}, "fewer clients"),
        (LossReason.REQUEST_LIMIT, None, {}, "fewer clients"),
        (LossReason.REQUEST_LIMIT, Unavailable("x", kind="no-answer"), {}, "fewer clients"),
        (LossReason.DEADLINE, Unavailable("x", kind="proxy", status=401), {}, "--http-auth"),
        (LossReason.DEADLINE, None, {}, "was this process or host suspended?"),
        (None, None, {}, "was this process or host suspended?"),
        (LossReason.SESSION_INVALID, None, {}, "the log of the Consul servers"),
        (LossReason.SESSION_INVALID, None, {"checks": ["web"]}, "what the agent says of that"),
        (LossReason.SESSION_INVALID, _DENIED, {"broken": True}, "'consul-lock status a'"),
        (LossReason.KEY_DELETED, None, {}, "an ACL policy under which no one else can write below"),
        (LossReason.STOLEN, None, {}, "an ACL policy"),
        (LossReason.REVOKED, None, {}, "an ACL policy"),
    ],
)
def test_the_advice_fits_the_reason(
    reason: LossReason | None, error: ConsulLockError | None, more: dict[str, Any], advice: str
) -> None:
    """Never the address, which is right: the lock was acquired there."""
    hint = loss_hint(reason, error, ["a", "b c"], **more)
    assert hint.startswith(advice)
    if advice.startswith("an ACL policy"):
        assert "below a/ and 'b c'/" in hint
    assert "--http-addr" not in hint
    assert "--retry-for" not in hint


def test_a_loss_beats_the_code_of_the_command(start: Start, address: str, key: str) -> None:
    """Its success was not under the lock."""
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    running = start("--", "sh", "-c", script)
    assert running.line() == "ready"
    _destroy_session(address, key)
    assert running.wait() == 76


def test_a_loss_can_be_a_warning_only(start: Start, address: str, key: str, tmp_path: Path) -> None:
    """--on-lost warn: the command goes on, and its code stands; the report has the loss."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    status = tmp_path / "status"
    running = start("--on-lost", "warn", "--status-file", str(status), "--", "sh", "-c", script)
    assert running.line() == "ready"
    _destroy_session(address, key)
    eventually(lambda: f"LOST {key} after" in running.errors())
    running.send(signal.SIGUSR1)
    assert running.wait() == 5
    line, _ = running.said()
    assert line.endswith("; the command goes on")
    told = json.loads(status.read_text())
    assert (told["lost"], told["exit"]["kind"], told["exit"]["code"]) == (True, "exit", 5)


@pytest.mark.slow
def test_an_agent_that_dies_and_is_back_soon_costs_nothing(consul_binary: Path) -> None:
    """A client agent of a living cluster: the servers have the session, and wait for its TTL.  That
    renewals fail, and work again, is reported once each."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    with Agent(consul_binary, name="server") as server:
        join = {"retry_join": [f"127.0.0.1:{server.ports.serf}"], "retry_interval": "1s"}
        with (
            Agent(consul_binary, name="local", dev=False, config=join) as local,
            Proxy(local.address) as proxy,
        ):
            arguments = ["run", "-k", "k", "--", "sh", "-c", script]
            with Running(arguments, environment(proxy.address)) as running:
                assert running.line() == "ready"
                local.kill()
                down = time.monotonic()
                # Longer than from one renewal to the next, so that some fail.
                eventually(lambda: time.monotonic() > down + 4)
                local.start()
                before = proxy.count("PUT", "session/renew")
                eventually(lambda: proxy.count("PUT", "session/renew") >= before + 2)
                running.send(signal.SIGUSR1)
                assert running.wait() == 5
                fails, works = running.said()
                assert fails.startswith("consul-lock: warning: cannot renew k: ")
                assert re.search("; the command will be stopped in [12][0-9]s if no", fails)
                assert "renewing k works again, after " in works


@pytest.mark.parametrize(
    "options, place", [([], "/.lock"), (["--limit", "2"], ""), (["--shared"], "/.lock")]
)
@pytest.mark.parametrize("keeps_flags", [True, False])
def test_a_foreign_value_under_the_same_session_is_no_loss(
    start: Start, address: str, key: str, options: list[str], place: str, keeps_flags: bool
) -> None:
    """Rude, but the lock is still held: a warning for each such value, and nothing is left."""
    script = "trap 'exit 5' USR1; echo $CONSUL_LOCK_SESSION; while :; do sleep 0.05; done"
    running = start(*options, "--", "sh", "-c", script)
    session = running.line()
    path = f"{key}{place}" if not options else f"{key}{place}/{session}"
    flags = consul(address, "GET", f"/v1/kv/{path}")[0]["Flags"] if keeps_flags else 0
    for times, word in enumerate(("graffiti", "more of it"), 1):
        assert consul(address, "PUT", f"/v1/kv/{path}?flags={flags}", word)
        eventually(lambda word=word: word in running.errors())
        assert len(running.said()) == times
    running.send(signal.SIGUSR1)
    assert running.wait() == 5
    line, _ = running.said()
    assert line.startswith(f"consul-lock: warning: '{path}' was overwritten ('graffiti') while")
    assert ("no lock until it is released" in line) is not keeps_flags
    assert consul(address, "GET", f"/v1/kv/{key}?recurse") is None


def test_a_foreign_value_is_an_event(start: Start, address: str, key: str) -> None:
    """Of its own, for those who read logs; a holder that writes its own value is none."""
    running = start("--log-format", "json", "--", "sh", "-c", "echo ready; exec sleep 600")
    assert running.line() == "ready"
    assert consul(address, "PUT", f"/v1/kv/{key}/.lock", "graffiti")
    eventually(lambda: "graffiti" in running.errors())
    (event,) = map(json.loads, running.errors().splitlines())
    assert (event["level"], event["event"], event["key"]) == ("warning", "overwritten", key)


def test_a_loss_names_the_last_error_of_the_renewals(
    address: str, key: str, tmp_path: Path
) -> None:
    """A token that was revoked: in a warning before, in the line for people, and as a field of the
    log's event and of the status file."""
    status = tmp_path / "status"
    denied = Answer(403, {}, b"ACL not found")
    with Proxy(address) as proxy:
        quick = ("--log-format", "json", "--status-file", str(status), *_QUICK)
        arguments = ["run", "-k", key, *quick, "--", "sh", "-c", "echo ready; exec sleep 600"]
        with Running(arguments, environment(proxy.address)) as running:
            assert running.line() == "ready"
            proxy.rule = lambda method, path, body, n: denied
            assert running.wait() == 76
            events = map(json.loads, running.errors().splitlines())
            failing, event = [event for event in events if event["level"] != "info"]
            assert (failing["event"], event["event"]) == ("renewal-failing", "lost")
            # 9 s less the margin and --kill-after are left at the start.
            assert 0 < failing["left_s"] < 5.6
            assert event["reason"] == "deadline"
            assert "ACL not found" in event["error"]
            assert event["hint"].startswith("it has expired, was deleted, or is of another cluster")
            loss = json.loads(status.read_text())["loss"]
            assert loss == {name: event[name] for name in ("reason", "error", "error_kind")}
            assert loss["error_kind"] == failing["error_kind"] == "unknown-token"
            assert re.search(
                r"no renewal of session .* in time \(.*ACL not found", event["message"]
            )
            proxy.rule = None


def test_a_clock_that_is_stepped_by_a_day_is_nothing(
    address: str, key: str, tmp_path: Path
) -> None:
    """Forwards, and far back: renewed as before, no message, and the end is noticed in seconds."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    clock = tmp_path / "clock"
    stepped = (
        sys.executable,
        str(Path(__file__).parents[1] / "program_stepped_clock.py"),
        str(clock),
    )
    quick = ("--lock-delay", "10s", "--kill-after", "1s")
    with Proxy(address) as proxy:
        env = environment(proxy.address)
        arguments = ["run", "-k", key, "-v", *quick, "--min-hold", "1s", "--", "sh", "-c", script]
        with Running(arguments, env, prefix=stepped) as running:
            assert running.line() == "ready"
            for step in ("86400", "-86400"):
                clock.write_text(step)
                before = proxy.count("PUT", "session/renew")
                eventually(lambda before=before: proxy.count("PUT", "session/renew") >= before + 2)
            running.send(signal.SIGUSR1)
            assert running.wait() == 5
            told = re.findall(r"(acquired|exited 5|released|LOST|warning)", running.errors())
            assert told == ["acquired", "exited 5", "released"]
            assert re.search(r"exited 5 after \d{1,2}(\.\d+)?s$", running.errors(), re.MULTILINE)


def test_a_frozen_agent_costs_the_lock_in_time(own_agent: Agent, tmp_path: Path) -> None:
    """Nothing answers, and the command is dead before anybody else could have the lock.  It does
    not wait for answers that are of no use any more, neither then nor when another is released.
    """
    patient = ["--request-timeout", "100s"]
    slow = ["--lock-delay", "18s", "--kill-after", "3s"]  # time for a renewal to fail
    arguments = ["run", "-k", "k", *slow, *patient, "--", "sh", "-c", _STUBBORN]
    go = tmp_path / "go"
    work = f"echo ready; until [ -e {go} ]; do sleep 0.05; done"
    other = Running(
        ["run", "-k", "other", *_QUICK, *patient, "-c", work], environment(own_agent.address)
    )
    with Running(arguments, environment(own_agent.address)) as running, other:
        command = int(running.line())
        assert other.line() == "ready"
        frozen = time.monotonic()
        own_agent.freeze()
        go.touch()
        try:
            assert running.line() == "term"
            eventually(lambda: not alive(command))
            assert time.monotonic() - frozen < 60
            assert running.wait() == 76
            assert "LOST k after" in running.errors()
            assert "\nhint: was the agent or the network down?" in running.errors()
            assert other.wait() == 0
            assert "not released, Consul frees it later: Consul gave no" in other.errors()
        finally:
            own_agent.thaw()


def test_while_consul_lock_is_stopped_nobody_else_begins_beside_the_command(
    start: Start, address: str, key: str
) -> None:
    """SIGSTOP, or a host too busy for consul-lock: the command has to end before the session."""
    holder = start(*_QUICK, "--heartbeat", "3s", "--", "sh", "-c", _STUBBORN)
    command = int(holder.line())
    holder.send(signal.SIGSTOP)
    script = f"grep -qs '^State:.[^Z]' /proc/{command}/status && echo alive || echo dead"
    other = start(*_QUICK, "--", "sh", "-c", script)
    assert holder.line() == "term"
    assert other.line() == "dead"
    holder.send(signal.SIGCONT)
    assert holder.wait() == 76


def test_an_outage_shorter_than_the_lock_delay_is_nothing(own_agent: Agent) -> None:
    """An agent that hangs for a moment costs no job."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    with Running(
        ["run", "-k", "k", "--", "sh", "-c", script], environment(own_agent.address)
    ) as running:
        assert running.line() == "ready"
        own_agent.freeze()
        frozen = time.monotonic()
        eventually(lambda: time.monotonic() > frozen + 5)
        own_agent.thaw()
        running.send(signal.SIGUSR1)
        assert running.wait() == 5
        assert running.said() == []
