"""The warnings while renewals fail: in the terms of the command, with the time that is left."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consul_lock.errors import ConsulLockError, PermissionDenied, Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.run.renewals import FAILING, WORKS, RenewalReport
from consul_lock_cli.spec.process import STOP, WARN, OnLost, ProcessPolicy
from tests.cli.command import Running, environment
from tests.support.agent import Agent
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

_RULES = 'session_prefix "" { policy = "write" } key_prefix "k/" { policy = "write" }'

_REFUSED = Unavailable(
    "cannot reach Consul: Connection refused", hint="CONSUL_HTTP_ADDR or address=", kind="refused"
)


class _Lock:
    """One whose renewals fail, with some time left."""

    def __init__(self, error: ConsulLockError | None, left: float) -> None:
        self.renewal_error = error
        self._left = left

    def remaining(self) -> float:
        return self._left


class _Clock:
    time = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Time passes when a test says so."""
    made = _Clock()
    monkeypatch.setattr("consul_lock_cli.run.renewals.now", lambda: made.time)
    return made


@pytest.fixture
def console() -> Iterator[Console]:
    """One that prints the log of the library."""
    log, made = logging.getLogger("consul_lock"), Console()
    before = list(log.handlers)
    made.listen()
    yield made
    log.handlers[:] = before


def _begin(lock: _Lock, policy: ProcessPolicy | None, console: Console) -> None:
    made_up: Any = lock
    RenewalReport(made_up, "backup", policy, console).begin()


def _warn(event: str) -> None:
    """As the keeper of the library does."""
    logging.getLogger("consul_lock").warning("in terms of sessions", extra={"event": event})


@pytest.mark.parametrize(
    "policy, then",
    [
        (ProcessPolicy(on_lost=STOP, kill_after=5.0), "the command will be stopped in 20s"),
        (
            ProcessPolicy(on_lost=OnLost(False, signal.SIGHUP), kill_after=5.0),
            "the command will be sent HUP in 20s",
        ),
        (ProcessPolicy(on_lost=WARN), "it counts as lost in 25s"),
        (None, "it counts as lost in 25s"),
    ],
)
def test_a_warning_says_why_and_what_happens_when(
    capsys: pytest.CaptureFixture[str], console: Console, policy: ProcessPolicy | None, then: str
) -> None:
    """Not the arguments of the library; the time is that of the first signal, not of the loss."""
    _begin(_Lock(_REFUSED, 25.7), policy, console)
    _warn(FAILING)
    assert capsys.readouterr().err == (
        "consul-lock: warning: cannot renew backup: cannot reach Consul: Connection refused;"
        f" {then} if no renewal succeeds before\n"
    )


def test_a_time_that_is_over_is_none(capsys: pytest.CaptureFixture[str], console: Console) -> None:
    """A renewal may fail while the command is being stopped."""
    _begin(_Lock(_REFUSED, 3.0), ProcessPolicy(kill_after=5.0), console)
    _warn(FAILING)
    assert "; the command will be stopped in 0s if" in capsys.readouterr().err


def test_the_log_has_the_error_its_kind_and_the_time(
    capsys: pytest.CaptureFixture[str], console: Console
) -> None:
    """For programs that read it."""
    console.json = True
    denied = PermissionDenied("renewing a session: ACL not found", kind="unknown-token")
    _begin(_Lock(denied, 25.7), ProcessPolicy(kill_after=5.0), console)
    _warn(FAILING)
    told = json.loads(capsys.readouterr().err)
    assert (told["level"], told["event"]) == ("warning", FAILING)
    assert (told["error_kind"], told["left_s"]) == ("unknown-token", 20.7)
    assert "the token is unknown to the cluster" in told["error"]


def test_the_end_of_the_trouble_says_how_long_it_was(
    capsys: pytest.CaptureFixture[str], console: Console, clock: _Clock
) -> None:
    """Counted from the first warning."""
    _begin(_Lock(_REFUSED, 25.7), ProcessPolicy(), console)
    _warn(FAILING)
    clock.time += 7.0
    _warn(WORKS)
    works = capsys.readouterr().err.splitlines()[1]
    assert works == "consul-lock: warning: renewing backup works again, after 7s"


def test_what_is_not_about_this_lock_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], console: Console
) -> None:
    """Its own renewals work; and other warnings have no words here."""
    _begin(_Lock(None, 25.7), ProcessPolicy(), console)
    _warn(FAILING)
    _warn("overwritten")
    assert capsys.readouterr().err == "consul-lock: warning: in terms of sessions\n" * 2


def test_a_command_outlives_its_first_token(consul_binary: Path, tmp_path: Path) -> None:
    """The token is deleted, and another one written to its file: a warning says that renewals
    fail, one that they work again, and the command goes on."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    file = tmp_path / "token"
    with Agent(consul_binary, acl=True) as agent:
        first, second = (agent.token_for(_RULES) for _ in range(2))
        file.write_text(first)
        file.chmod(0o600)
        arguments = ["run", "-k", "k", "--token-file", str(file), "--lock-delay", "20s"]
        env = environment(agent.address)
        with Running([*arguments, "--", "sh", "-c", script], env) as running:
            assert running.line() == "ready"
            accessor = agent.request("GET", "/v1/acl/token/self", token=first).json()["AccessorID"]
            assert agent.request("DELETE", f"/v1/acl/token/{accessor}").status == 200
            eventually(lambda: "cannot renew k: the token is unknown" in running.errors())
            file.write_text(second)
            eventually(lambda: "renewing k works again" in running.errors())
            running.send(signal.SIGUSR1)
            assert running.wait() == 5
            assert len(running.said()) == 2


def test_a_token_file_that_is_emptied_is_warned_of_once(address: str, tmp_path: Path) -> None:
    """The token that was read before stays in use, and the lock is kept."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    file = tmp_path / "token"
    file.write_text("anonymous")
    file.chmod(0o600)
    arguments = ["run", "-k", f"emptied/{os.getpid()}", "--token-file", str(file)]
    with Proxy(address) as proxy:
        env = environment(proxy.address)
        with Running([*arguments, "--", "sh", "-c", script], env) as running:
            assert running.line() == "ready"
            file.write_text("")
            eventually(lambda: "stays in use" in running.errors(), timeout=60)
            before = proxy.count("PUT", "session/renew")
            eventually(lambda: proxy.count("PUT", "session/renew") > before)
            running.send(signal.SIGUSR1)
            assert running.wait() == 5
            (warning,) = running.said()
    assert warning == (
        "consul-lock: warning: credentials were changed and cannot be used: the token file:"
        f" {file} is empty; what was read before stays in use"
    )
