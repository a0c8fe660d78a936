"""`consul-lock leader`: the command runs while this candidate leads, and only then."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, Running, alive, consul, environment
from tests.support.actions import DROP_BEFORE
from tests.support.agent import Agent
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Lead = Callable[..., Running]

# So that a lead that is lost with its session is acquired again soon.
_QUICK = ("--lock-delay", "8s", "--kill-after", "3s")
_WORK = "trap 'echo stopped; exit 0' TERM; echo $$; while :; do sleep 0.05; done"


def _take_away(address: str, key: str) -> None:
    """End the lead by hand, so that no lock-delay follows."""
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    how = f"release={entry['Session']}&flags={entry['Flags']}"
    assert consul(address, "PUT", f"/v1/kv/{key}/.lock?{how}")


@pytest.fixture
def lead(address: str, key: str) -> Iterator[Lead]:
    """``lead(...)``: a candidate, in the background."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Running:
            everything = ["leader", "--key", key, *arguments]
            return stack.enter_context(Running(everything, environment(address)))

        yield start


def test_it_ends_with_the_command_and_the_next_one_leads(
    lead: Lead, address: str, key: str
) -> None:
    """The exit code is the command's; what the leader says is there for all to see."""
    first = lead("--value", "http://10.0.0.7", "--", "sh", "-c", "trap 'exit 3' TERM; echo ready;"
                 " while :; do sleep 0.05; done")  # fmt: skip
    assert first.line() == "ready"
    assert consul(address, "GET", f"/v1/kv/{key}/.lock?raw")["value"] == "http://10.0.0.7"
    second = lead("--", "sh", "-c", "echo $CONSUL_LOCK_MODE $CONSUL_LOCK_KEY")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    first.send(signal.SIGTERM)
    assert first.wait() == 3
    assert second.line() == f"leader {key}"
    assert second.wait() == 0
    assert consul(address, "GET", f"/v1/kv/{key}?recurse") is None


def test_a_leader_whose_health_check_fails_leads_again_when_it_passes(
    lead: Lead, agent: Agent, key: str
) -> None:
    """It was out for good, with 73, as a session is refused while the check is critical."""
    check = f"check-{key}"
    agent.request("PUT", "/v1/agent/check/register", {"Name": check, "ID": check, "TTL": "90s"})
    agent.request("PUT", f"/v1/agent/check/pass/{check}")
    leader = lead(*_QUICK, "--check", check, "--", "sh", "-c", _WORK)
    first = int(leader.line())
    agent.request("PUT", f"/v1/agent/check/fail/{check}")
    assert leader.line() == "stopped"
    eventually(lambda: f"Check '{check}' is in critical state" in leader.errors())
    assert f"its health check {check} failed" in leader.errors()
    agent.request("PUT", f"/v1/agent/check/pass/{check}")
    assert int(leader.line()) != first
    leader.send(signal.SIGTERM)
    assert leader.line() == "stopped"
    assert leader.wait() == 0
    agent.request("PUT", f"/v1/agent/check/deregister/{check}")


def test_a_lost_lead_stops_the_command_and_it_campaigns_again(
    lead: Lead, address: str, key: str, sessions: Callable[[int], list[str]], tmp_path: Path
) -> None:
    """As the same process, with the same options; nothing of the first term is left."""
    status = tmp_path / "status"
    leader = lead(*_QUICK, "--status-file", str(status), "--", "sh", "-c", _WORK)
    first = int(leader.line())
    (session,) = sessions(leader.pid)
    assert consul(address, "PUT", f"/v1/session/destroy/{session}")
    assert leader.line() == "stopped"
    second = int(leader.line())
    assert not alive(first)
    assert alive(second)
    assert leader.running()
    assert json.loads(status.read_text())["exit"]["kind"] == "running"
    assert "campaigning for" in leader.errors()
    (other,) = sessions(leader.pid)
    assert other != session
    leader.send(signal.SIGTERM)
    assert leader.line() == "stopped"
    assert leader.wait() == 0
    assert json.loads(status.read_text())["session"] == other
    assert sessions(leader.pid) == []


def test_a_later_term_has_the_environment_of_the_first(address: str, key: str) -> None:
    """Python adds to an environment without a locale, and so does consul-lock to begin anew."""
    given = {k: v for k, v in environment(address).items() if k[:3] not in ("LC_", "LAN")}
    tell = "echo ${LC_CTYPE-none} ${CONSULLOCK_AGAIN-none} $CONSUL_LOCK_SESSION"
    script = f"trap 'exit 0' TERM; {tell}; while :; do sleep 0.05; done"
    arguments = ["leader", "--key", key, *_QUICK, "--", "sh", "-c", script]
    with Running(arguments, given) as running:
        *first, session = running.line().split()
        _take_away(address, key)
        *second, other = running.line().split()
        assert session != other
        assert first == second == ["none", "none"]


def test_a_descriptor_for_the_report_survives_a_lost_lead(
    address: str, key: str, tmp_path: Path
) -> None:
    """The report is written once, when all is over."""
    status = tmp_path / "status"
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    options = ["--key", key, *_QUICK, "--status-fd", "9", "--", "sh", "-c", script]
    opening = ("sh", "-c", f'exec "$@" 9>{status}', "sh", *COMMAND)
    with Running(["leader", *options], environment(address), prefix=opening) as leader:
        assert leader.line() == "ready"
        _take_away(address, key)
        assert leader.line() == "ready"
        leader.send(signal.SIGTERM)
        assert leader.wait() == 0
    assert json.loads(status.read_text())["exit"]["kind"] == "exit"


def test_a_candidate_dies_of_a_signal(lead: Lead, address: str, key: str) -> None:
    """It never led, and the command never ran."""
    leader = lead("--", "sh", "-c", _WORK)
    leader.line()
    candidate = lead("--", "echo", "started")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    candidate.send(signal.SIGTERM)
    assert candidate.wait() == -signal.SIGTERM
    assert candidate.line() == ""


def test_a_candidate_can_give_up(lead: Lead) -> None:
    """75, as with a lock, and the leader is named."""
    leader = lead("--", "sh", "-c", _WORK)
    leader.line()
    candidate = lead("-w", "3s", "--", "echo", "started")
    assert candidate.wait() == 75
    assert f"pid {leader.pid}" in candidate.errors()


@pytest.mark.slow
def test_consul_may_be_away_for_longer_than_the_time_for_retries(own_agent: Agent) -> None:
    """The lead is lost in time, and had again: a line for each end of the outage."""
    options = ["-k", "k", *_QUICK, "--retry-for", "1s", "--connect-timeout", "1s"]
    arguments = ["leader", *options, "--", "sh", "-c", _WORK]
    with Running(arguments, environment(own_agent.address)) as leader:
        first = int(leader.line())
        own_agent.kill()
        assert leader.line() == "stopped"
        eventually(lambda: "campaigning goes on" in leader.errors())
        assert not alive(first)
        assert leader.running()
        own_agent.start()
        assert int(leader.line()) != first
        assert sum("campaigning goes on" in line for line in leader.said()) == 1
        assert leader.said().count("consul-lock: Consul answers again") == 1
        leader.send(signal.SIGTERM)
        assert leader.line() == "stopped"
        assert leader.wait() == 0


def test_a_candidate_outlives_an_outage_too(own_agent: Agent) -> None:
    """It keeps its place in the line."""
    options = ["-k", "k", "--retry-for", "500ms", "--request-timeout", "1s"]
    holding = Running(["run", "-k", "k", "--hold"], environment(own_agent.address))
    with Proxy(own_agent.address) as proxy, holding as holder, ExitStack() as later:
        assert holder.line()
        candidate = later.enter_context(
            Running(["leader", *options, "--", "env"], environment(proxy.address))
        )
        eventually(lambda: consul(own_agent.address, "GET", "/v1/kv/k/.queue/?keys"))
        proxy.rule = lambda *_: DROP_BEFORE
        proxy.cut()
        eventually(lambda: "campaigning goes on" in candidate.errors())
        proxy.rule = None
        eventually(lambda: "Consul answers again" in candidate.errors())
        holder.send(signal.SIGTERM)
        assert candidate.wait() == 0


def test_a_wrong_address_is_reported_soon() -> None:
    """The first contact has --retry-for."""
    arguments = ["leader", "-k", "k", "--retry-for", "500ms", "--", "echo", "started"]
    with Running(arguments, environment("127.0.0.1:9")) as candidate:
        assert candidate.wait() == 69
        assert candidate.line() == ""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_while_the_command_is_stopped(
    lead: Lead, address: str, sessions: Callable[[int], list[str]], signum: int
) -> None:
    """The sender then means consul-lock, and not the command alone."""
    script = "trap 'echo stopping' TERM; trap '' INT HUP; echo ready; while :; do sleep 0.05; done"
    leader = lead("--kill-after", "4s", "--lock-delay", "20s", "--", "sh", "-c", script)
    assert leader.line() == "ready"
    leader.send(signal.SIGHUP)  # to a command that goes on: reload
    (session,) = sessions(leader.pid)
    assert consul(address, "PUT", f"/v1/session/destroy/{session}")
    assert leader.line() == "stopping"
    leader.send(signum)
    assert leader.wait() == 76
    assert "campaigning" not in leader.errors()


@pytest.mark.parametrize(
    "arguments", [["-k", "other", "true"], [], ["--value", "x" * 2000, "true"]]
)
def test_misuse_is_64(lead: Lead, arguments: list[str]) -> None:
    """One election, one command, and no novel for a value."""
    candidate = lead(*arguments)
    assert candidate.wait() == 64
    assert len(candidate.errors().splitlines()) == 2
