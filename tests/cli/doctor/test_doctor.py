"""`consul-lock doctor`: each check sees what it is there for, and nothing is left behind."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from consul_lock_cli.doctor.checks import CHECKS
from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.support.actions import PASS, Action, kind_of
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

# The host of the tests may well have a clock that nobody keeps, and be no client agent.
_USUAL = {"clock", "client-agent", "open-files"}


class StatusFile(NamedTuple):
    """What the doctor found."""

    code: int
    items: dict[str, dict[str, Any]]
    stderr: str

    def bad(self) -> dict[str, str]:
        """The checks that failed or warned, but for those that do so on many a machine."""
        found = {name: item["verdict"] for name, item in self.items.items()}
        return {
            name: verdict
            for name, verdict in found.items()
            if verdict == "fail" or (verdict == "warn" and name not in _USUAL)
        }


def doctor(address: str | None, *options: str, **more: str) -> StatusFile:
    """Run it with --json."""
    result = subprocess.run(
        [*COMMAND, "doctor", "--json", "--long-poll", "200ms", *options],
        # No settings of whoever runs the tests.
        env=environment(address, **{"XDG_CONFIG_HOME": "/no/such/folder", **more}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in result.stderr
    said = json.loads(result.stdout)
    assert said["v"] == 1
    assert said["exit"] == result.returncode
    items = {item["check"]: item for item in said["items"]}
    assert list(items) == [check.name for check in CHECKS]
    return StatusFile(result.returncode, items, result.stderr)


def sessions_left(proxy: Proxy, agent: Agent) -> int:
    """How many of the sessions that were made through the proxy are still there.

    Others use the agent, too, and make and end sessions all the time.
    """
    made = [s for s in proxy.log if s.kind == "session/create" and s.status == 200]
    ended = {s.path.rpartition("/")[2] for s in proxy.log if s.kind == "session/destroy"}
    there = {session["ID"] for session in agent.sessions()}
    return len(made) - len(ended - there)


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent with access control and TLS, for all tests here."""
    with Agent(consul_binary, acl=True, tls=True) as agent:
        yield agent


@pytest.fixture
def altered(address: str) -> Iterator[Callable[[str, Answer], str]]:
    """``altered(kind, answer)``: the address of an agent that gives ``answer`` to that kind."""
    with ExitStack() as stack:

        def start(kind: str, answer: Answer) -> str:
            def rule(method: str, path: str, body: bytes, n: int) -> Action:
                return answer if kind_of(path) == kind else PASS

            return stack.enter_context(Proxy(address, rule)).address

        yield start


def test_a_good_agent_has_no_complaint_and_keeps_nothing(agent: Agent, fresh_name: str) -> None:
    """Every check is made; neither a key nor a session is left."""
    with Proxy(agent.address) as proxy:
        status_file = doctor(proxy.address, "--key", fresh_name)
        assert proxy.count("PUT", "session/create")
        assert sessions_left(proxy, agent) == 0
    assert status_file.bad() == {}
    assert status_file.code == 0
    assert status_file.stderr == ""
    verdicts = {name: item["verdict"] for name, item in status_file.items.items()}
    assert {name for name, verdict in verdicts.items() if verdict == "skip"} == {
        "config-files",
        "cron-clocks",
        "tls",
    }
    assert agent.keys(fresh_name) == []


def test_people_get_a_line_for_each_check(agent: Agent) -> None:
    """With a hint below what is not well."""
    result = subprocess.run(
        [*COMMAND, "doctor", "--long-poll", "100ms"],
        env=environment(agent.address),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert [line[1] for line in lines if line[0] != "hint:"] == [check.name for check in CHECKS]
    assert {line[0] for line in lines} <= {"OK", "SKIP", "WARN", "FAIL", "hint:"}
    assert ["WARN", "client-agent"] in [line[:2] for line in lines]


def test_strict_makes_one_of_a_warning(agent: Agent) -> None:
    """The tests' agent is a server, of which the doctor warns."""
    status_file = doctor(agent.address, "--strict")
    assert status_file.items["client-agent"]["verdict"] == "warn"
    assert status_file.code == 1
    assert "--strict" in status_file.stderr


def test_a_client_agent_is_what_it_should_be(consul_binary: Path, own_agent: Agent) -> None:
    """No warning for it, and the trial works through it."""
    join = [f"127.0.0.1:{own_agent.ports.serf}"]
    config = {"server": False, "retry_join": join, "retry_interval": "200ms"}
    with Agent(consul_binary, config=config, name="client", dev=False) as client:
        status_file = doctor(client.address)
    assert status_file.items["client-agent"]["verdict"] == "ok"
    assert status_file.bad() == {}


def test_nobody_listens() -> None:
    """69 of the connection; what needs it is not tried."""
    status_file = doctor(f"127.0.0.1:{free_port()}")
    assert status_file.code == 69
    assert status_file.bad() == {"connect": "fail"}
    assert "Connection refused" in status_file.items["connect"]["text"]
    assert status_file.items["trial"]["verdict"] == "skip"
    first, hint = status_file.stderr.splitlines()
    assert first.startswith("consul-lock: connect: cannot reach Consul at")
    assert hint.startswith("hint: ")


def test_an_unknown_host_name() -> None:
    """69 of the name."""
    status_file = doctor("no-such-host.invalid:8500")
    assert (status_file.code, status_file.bad()) == (69, {"name": "fail"})
    assert "no-such-host.invalid" in status_file.items["name"]["text"]


def test_tls_with_its_own_authority_is_good(guarded: Agent) -> None:
    """Version, names and end of the certificate are told."""
    assert guarded.certificates is not None
    status_file = doctor(
        guarded.https_address,
        CONSUL_CACERT=str(guarded.certificates.ca),
        CONSUL_HTTP_TOKEN=guarded.master_token or "",
    )
    assert status_file.bad() == {}
    assert status_file.items["tls"]["text"].startswith("TLSv1.")
    assert "the certificate is for localhost, " in status_file.items["tls"]["text"]
    assert "accessor" in status_file.items["token"]["text"]


def test_an_authority_that_signed_nothing_here(guarded: Agent) -> None:
    """78 of TLS, with the option that mends it."""
    assert guarded.certificates is not None
    status_file = doctor(guarded.https_address, CONSUL_CACERT=str(guarded.certificates.other_ca))
    assert (status_file.code, status_file.bad()) == (78, {"tls": "fail"})
    assert "not trusted" in status_file.items["tls"]["text"]
    assert "--ca-file" in status_file.items["tls"]["hint"]


def test_http_to_https_and_the_reverse(guarded: Agent) -> None:
    """Both are 78, and say which scheme is right."""
    status_file = doctor(f"http://localhost:{guarded.ports.https}")
    assert (status_file.code, status_file.bad()) == (78, {"agent": "fail"})
    assert "https://" in status_file.items["agent"]["hint"]
    status_file = doctor(f"https://127.0.0.1:{guarded.http_port}")
    assert (status_file.code, status_file.bad()) == (78, {"tls": "fail"})
    assert "http://" in status_file.items["tls"]["hint"]


_SESSIONS = 'session_prefix "" { policy = "write" }'
_KEYS = 'key_prefix "jobs" { policy = "write" }'


@pytest.mark.parametrize(
    "rules, needed", [(_KEYS, "session_prefix"), (_SESSIONS, 'key_prefix "jobs/x"')]
)
def test_a_poor_token_is_told_what_it_needs(guarded: Agent, rules: str, needed: str) -> None:
    """77, with the rule that is missing; and nothing is left of the half that worked."""
    token = guarded.token_for(rules)
    with Proxy(guarded.address) as proxy:
        status_file = doctor(proxy.address, "--key", "jobs/x", CONSUL_HTTP_TOKEN=token)
        assert sessions_left(proxy, guarded) == 0
    assert status_file.code == 77
    assert "permission denied" in status_file.items["trial"]["text"]
    assert needed in status_file.items["trial"]["hint"]
    assert guarded.keys("jobs") == []


def test_a_token_for_sessions_and_keys_is_enough(guarded: Agent) -> None:
    """agent:read is only missed, and the secret is not shown."""
    secret = guarded.token_for(f"{_SESSIONS} {_KEYS}")
    status_file = doctor(guarded.address, "--key", "jobs/x", CONSUL_HTTP_TOKEN=secret)
    assert (status_file.code, status_file.bad()) == (0, {"agent": "warn"})
    assert "agent_prefix" in status_file.items["agent"]["hint"]
    assert secret not in json.dumps(status_file.items) + status_file.stderr


def test_no_token_and_a_token_of_another_cluster(guarded: Agent) -> None:
    """Both are 77, but not for the same reason."""
    status_file = doctor(guarded.address)
    assert status_file.code == 77
    assert "there is no token" in status_file.items["token"]["text"]
    other = "3d6f0e8c-0000-0000-0000-000000000000"
    status_file = doctor(guarded.address, CONSUL_HTTP_TOKEN=other)
    assert status_file.code == 77
    assert "unknown to the cluster" in status_file.items["agent"]["text"]
    assert other not in json.dumps(status_file.items) + status_file.stderr


def test_a_frozen_agent(own_agent: Agent) -> None:
    """It takes the connection and says nothing: 69, and soon."""
    own_agent.freeze()
    status_file = doctor(own_agent.address)
    own_agent.thaw()
    assert (status_file.code, status_file.bad()) == (69, {"agent": "fail"})
    assert status_file.items["connect"]["verdict"] == "ok"
    assert "no answer within" in status_file.items["agent"]["text"]


def test_a_server_with_other_limits(consul_binary: Path) -> None:
    """A TTL that it does not take is 78, with its own words."""
    agent = Agent(consul_binary, config={"session_ttl_min": "30s"}, unix_socket=True)
    try:
        agent.launch()
        eventually(lambda: doctor(agent.unix_address, "--ttl", "30s").code == 0)
        status_file = doctor(agent.unix_address)
    finally:
        agent.stop()
    assert (status_file.code, status_file.bad()) == (78, {"trial": "fail"})
    assert "Invalid Session TTL" in status_file.items["trial"]["text"]


@pytest.mark.parametrize(
    "kind, answer, check, verdict, code",
    [
        ("status/leader", Answer(200, {}, b'""'), "leader", "fail", 69),
        ("session/create", Answer(500, {}, b"No cluster leader"), "trial", "fail", 69),
        ("session/create", Answer(429, {}, b"Too many requests"), "trial", "fail", 69),
        ("session/renew", Answer(404, {}, b"Session not found"), "trial", "fail", 69),
        ("kv?wait", Answer(200, {}, b"[]"), "long-poll", "warn", 0),
        ("kv?wait", Answer(504, {}, b"Gateway Time-out"), "long-poll", "fail", 69),
        ("agent/self", Answer(200, {}, b"<html>Welcome</html>"), "agent", "fail", 78),
        ("agent/self", Answer(200, {}, b'{"Config": {"Version": "1.2.3"}}'), "agent", "warn", 0),
        ("acl/token", Answer(403, {}, b"ACL not found"), "token", "warn", 0),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_on_the_way(
    altered: Callable[[str, Answer], str],
    kind: str,
    answer: Answer,
    check: str,
    verdict: str,
    code: int,
) -> None:
    """One answer is another's than Consul's; the check that it concerns sees it."""
    status_file = doctor(altered(kind, answer))
    assert status_file.bad() == {check: verdict}
    assert status_file.code == code


def test_a_clock_that_differs_from_the_agents(altered: Callable[[str, Answer], str]) -> None:
    """By the Date of an answer, an hour before."""
    date = formatdate(time.time() - 3630, usegmt=True)
    answer = Answer(200, {"Date": date}, b'"127.0.0.1:8300"')
    status_file = doctor(altered("status/leader", answer))
    assert status_file.bad() == {"agent-clock": "warn"}
    assert "1h00m" in status_file.items["agent-clock"]["text"]


def test_times_that_leave_no_time_to_stop(agent: Agent) -> None:
    """78, and no trial with them."""
    status_file = doctor(agent.address, "--kill-after", "60s", "--lock-delay", "15s")
    assert (status_file.code, status_file.bad()) == (78, {"timing": "fail"})
    assert status_file.items["trial"]["verdict"] == "skip"
    assert doctor(agent.address, "--lock-delay", "0", "--ttl", "30s").bad() == {"timing": "warn"}


def test_a_broken_file_is_a_finding_and_not_the_end(agent: Agent, tmp_path: Path) -> None:
    """The first that fails; all else is looked at, if where Consul is stands elsewhere."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[defaults]\nttl = \n")
    status_file = doctor(agent.address, "--config", str(broken))
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail"})
    assert f"{broken}: Invalid value (at line 2" in status_file.items["sources"]["text"]
    assert status_file.items["trial"]["verdict"] == "ok"
    assert status_file.stderr.startswith(f"consul-lock: sources: {broken}: ")
    status_file = doctor(None, "--config", str(broken))
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail", "settings": "fail"})
    assert "the address of Consul may be in the file" in status_file.items["settings"]["text"]
    assert status_file.items["open-files"]["verdict"] in ("ok", "warn")
    assert status_file.items["connect"]["verdict"] == "skip"


def test_every_value_that_is_wrong_is_told_at_once(agent: Agent, tmp_path: Path) -> None:
    """Of files and variables; those of Consul itself are the library's to judge."""
    file = tmp_path / "config.toml"
    file.write_text('[defaults]\nttl = "soon"\nkill-after = 3\n')
    status_file = doctor(agent.address, "--config", str(file), CONSULLOCK_RETRY_FOR="never")
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail"})
    text = status_file.items["sources"]["text"]
    assert f'{file}: [defaults] ttl: bad duration "soon"' in text
    assert 'CONSULLOCK_RETRY_FOR: bad duration "never"' in text
    status_file = doctor(agent.address, CONSUL_HTTP_SSL_VERIFY="perhaps")
    assert (status_file.code, status_file.bad()) == (78, {"settings": "fail"})
    status_file = doctor("https://h", "--no-ssl", "--http-addr", "https://h")
    assert (status_file.code, status_file.bad()) == (78, {"settings": "fail"})
    assert "--http-addr says https, and there is --no-ssl" in status_file.items["settings"]["text"]


def _claimed(host: str, seconds: float, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
    return {"v": 1, "claim": "x", "host": host, "claimed_at": moment, **more}


def test_clocks_of_hosts_that_run_jobs_are_compared(own_agent: Agent) -> None:
    """By the order in which Consul got their claims, and by our own clock; junk says nothing."""

    def write(name: str, value: object) -> None:
        consul(own_agent.address, "PUT", f"/v1/kv/{name}/.cron", json.dumps(value))

    write("junk", ["no record"])
    write("jobs/a", _claimed("web2", -20, history=[_claimed("web1", -80)]))
    item = doctor(own_agent.address).items["cron-clocks"]
    assert (item["verdict"], "(2 records checked)" in item["text"]) == ("ok", True)
    write("jobs/a", _claimed("web2", -90, history=[_claimed("web1", -30)]))
    status_file = doctor(own_agent.address)
    assert status_file.bad() == {"cron-clocks": "warn"}
    text = status_file.items["cron-clocks"]["text"]
    assert text == "jobs/a: the clocks of web1 and web2 are at least 1m00s apart"
    write("jobs/a", _claimed("web2", 7230))
    assert "jobs/a: web2 is 2h00m ahead" in doctor(own_agent.address).items["cron-clocks"]["text"]


def test_files_that_others_can_read_or_change(agent: Agent, tmp_path: Path) -> None:
    """The token file, and the configuration with a token in it."""
    token, config = tmp_path / "token", tmp_path / "consul-lock" / "config.toml"
    config.parent.mkdir()
    token.write_text("3d6f0e8c\n")
    config.write_text('[consul]\ntoken = "3d6f0e8c"\n')
    token.chmod(0o644)
    config.chmod(0o666)
    surroundings = {"XDG_CONFIG_HOME": str(tmp_path), "CONSUL_HTTP_TOKEN_FILE": str(token)}
    items = doctor(agent.address, "--long-poll", "0", **surroundings).items
    assert "every user" in items["settings"]["text"]
    assert f"others can change {config}" in items["config-files"]["text"]
    token.chmod(0o600)
    config.chmod(0o644)
    status_file = doctor(agent.address, "--long-poll", "0", **surroundings)
    assert status_file.bad() == {"config-files": "warn"}
    assert f"others can read the secret in {config}" in status_file.items["config-files"]["text"]
    config.chmod(0o600)
    items = doctor(agent.address, "--long-poll", "0", **surroundings).items
    assert items["config-files"]["verdict"] == "ok"
    assert "from CONSUL_HTTP_ADDR" in items["settings"]["text"]
    assert "from CONSUL_HTTP_TOKEN_FILE" in items["settings"]["text"]


def test_few_open_files_are_warned_of(agent: Agent) -> None:
    """As under a service with a small limit."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    result = subprocess.run(
        [*COMMAND, "doctor", "--json", "--long-poll", "0"],
        env=environment(agent.address),
        capture_output=True,
        preexec_fn=few,
        timeout=PATIENCE,
        check=False,
    )
    items = {item["check"]: item for item in json.loads(result.stdout)["items"]}
    assert items["open-files"]["verdict"] == "warn"
    assert "ulimit -n" in items["open-files"]["hint"]


@pytest.mark.parametrize(
    "check, missing",
    [("processes", "libc.die_with_parent = lambda signum: None"),
     ("guardian", "Guardian = lambda pid, manner: None")],
)  # fmt: skip
def test_a_host_that_does_not_end_children_is_seen(check: str, missing: str) -> None:
    """As some sandboxes do: here PR_SET_PDEATHSIG is never asked for, or there is no guardian."""
    program = (
        "import sys, consul_lock_cli.doctor.processes as processes\n"
        f"processes.{missing}\n"
        "processes._DEATH = 0.3\n"
        f"sys.exit({{'ok': 0, 'warn': 9}}[processes.{check}(None).verdict])"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (result.returncode, result.stderr) == (9, b"")


def test_whoever_interrupts_it_leaves_no_key(agent: Agent, fresh_name: str) -> None:
    """Ctrl-C in the long poll: a death by INT, and the session is gone."""
    arguments = ["doctor", "--key", fresh_name, "--long-poll", "30s"]
    with Running(arguments, environment(agent.address)) as running:
        eventually(lambda: agent.keys(fresh_name))
        while not running.line().startswith("OK    trial"):
            pass
        eventually(lambda: agent.keys(fresh_name))
        running.send(2)
        assert running.wait() == -2
    assert agent.keys(fresh_name) == []
