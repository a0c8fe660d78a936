"""Consul out of reach, or not willing: the exit code, what is said, and what runs all the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.cli.conftest import Result
from tests.cli.inspect_fixture import ask
from tests.support.actions import DROP_BEFORE, PASS, Action
from tests.support.agent import Agent
from tests.support.certificates import Certificates
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.scripted_server import scripted_server
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]

_NOWHERE = ("--http-addr", "127.0.0.1:1", "--retry-for")
_STAY = ("--", "sh", "-c", "echo ready; exec sleep 600")


def _leaderless(method: str, path: str, body: bytes, n: int) -> Action:
    return Answer(500, {}, b"No cluster leader")


def run(address: str, *arguments: str, **more: str) -> Result:
    """`consul-lock run` with an agent that is not everybody's."""
    return subprocess.run(
        [*COMMAND, "run", "--key", "k", *arguments],
        env=environment(address, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_nobody_there_is_69_after_the_time_for_retries(locked_run: LockedRun) -> None:
    """What failed, for how long, and what to do; the command is not started."""
    result = locked_run(*_NOWHERE, "1s", "--", "echo", "started")
    assert (result.returncode, result.stdout) == (69, "")
    what, hint = result.stderr.splitlines()
    tried = re.fullmatch(
        r"consul-lock: cannot reach Consul at http://127\.0\.0\.1:1: Connection refused"
        r" \(tried for (\S+)s\): not started \(69\)",
        what,
    )
    assert tried
    assert float(tried[1]) >= 0.9
    assert "is the agent running?" in hint


def test_the_code_for_it_can_be_chosen(locked_run: LockedRun) -> None:
    """Also that of success."""
    closed = (*_NOWHERE, "0", "--fail-closed")
    assert locked_run(*closed, "--unavailable-exit-code", "0", "false").returncode == 0


def test_fail_open_runs_it_without_the_lock_and_says_so(locked_run: LockedRun) -> None:
    """With a warning, and CONSUL_LOCK_HELD=false; what was inherited of a lock is gone."""
    outer = {"CONSUL_LOCK_HELD": "true", "CONSUL_LOCK_KEY": "x", "CONSUL_LOCK_TOKEN": "1"}
    result = locked_run(*_NOWHERE, "0", "--fail-open", "--", "env", **outer)
    assert result.returncode == 0
    assert "CONSUL_LOCK_HELD=false\n" in result.stdout
    assert "CONSUL_LOCK_TOKEN" not in result.stdout
    assert re.match(r"consul-lock: warning: cannot reach .* WITHOUT the lock\n", result.stderr)
    assert locked_run(*_NOWHERE, "0", "--fail-open", "sh", "-c", "exit 7").returncode == 7


def test_fail_open_is_for_a_consul_out_of_reach_only(
    holder: Running, locked_run: LockedRun, address: str, key: str
) -> None:
    """Not for a lock that is held, nor for a key that is something else."""
    assert locked_run("--fail-open", "-n", "--", "true").returncode == 75
    consul(address, "PUT", f"/v1/kv/{key}/x/.lock", "hello")
    arguments = ["run", "-k", f"{key}/x", "--fail-open", "--", "echo", "started"]
    with Running(arguments, environment(address)) as running:
        assert running.wait() == 65
        assert running.line() == ""


def test_a_name_that_cannot_be_resolved_is_reported(locked_run: LockedRun) -> None:
    """With what is most likely wrong about it."""
    result = locked_run("--http-addr", "no-such-host.invalid", "--retry-for", "0", "true")
    assert result.returncode == 69
    assert "cannot resolve 'no-such-host.invalid'" in result.stderr
    assert "hint: check the spelling of the name" in result.stderr


def test_errors_are_retried_while_waiting(address: str, key: str) -> None:
    """500s for some seconds, and it still acquires."""
    with Proxy(address, _leaderless) as proxy:
        waiter = Running(["run", "-v", "-k", key, "--", "echo", "mine"], environment(proxy.address))
        with waiter:
            eventually(lambda: proxy.count() >= 4)
            (said,) = waiter.errors().splitlines()
            assert said.startswith("consul-lock: ")
            assert "No cluster leader" in said
            assert said.endswith(f" ({proxy.address}); trying again")
            proxy.rule = None
            assert waiter.line() == "mine"
            assert waiter.wait() == 0
            assert waiter.errors().count("consul-lock: Consul answers again\n") == 1


def test_without_waiting_consul_is_asked_again_while_it_fails(address: str, key: str) -> None:
    """-n does not wait for a lock; while Consul fails nobody can say whether it is held."""
    with Proxy(address, _leaderless) as proxy:
        arguments = ["run", "-n", "-k", key, "--", "echo", "mine"]
        with Running(arguments, environment(proxy.address)) as running:
            eventually(lambda: proxy.count() >= 3)
            proxy.rule = None
            assert running.line() == "mine"
            assert running.wait() == 0


@pytest.mark.parametrize("option", ["-n", "-w0"])
def test_without_waiting_a_consul_that_fails_for_too_long_is_69(
    address: str, key: str, option: str
) -> None:
    """And not 75, as nobody knows whether it is held.  It has answered before, or answers with
    errors: so the address is right."""

    def dies(method: str, path: str, body: bytes, n: int) -> Action:
        return PASS if path.startswith("/v1/session") else DROP_BEFORE

    for rule in (dies, _leaderless):
        with Proxy(address, rule) as proxy:
            arguments = ["run", "--key", key, option, "--retry-for", "1s", "--", "echo", "started"]
            result = ask(proxy.address, *arguments)
        assert (result.returncode, result.stdout) == (69, "")
        tried = re.search(r"\(tried for (\S+)s\): not started \(69\)", result.stderr)
        assert tried
        assert 0.9 <= float(tried[1]) < PATIENCE


def test_without_waiting_what_never_answered_is_tried_once(
    locked_run: LockedRun, tmp_path: Path
) -> None:
    """Nobody listens there, the name is wrong, or what listens is no HTTP server: 69 at once, for
    any --retry-for, and the advice is about the address.  TLS that is wrong is 78, as always."""
    status = tmp_path / "status"
    with scripted_server(lambda message: None) as silent:
        for place, why, hint in (
            ("127.0.0.1:1", "Connection refused", "is the agent running?"),
            ("no-such-host.invalid", "cannot resolve 'no-such-host.invalid'", "check the spelling"),
            (silent.address, "", "does --http-addr or CONSUL_HTTP_ADDR point to Consul"),
        ):
            result = locked_run(
                *("--http-addr", place, "--retry-for", "1h", "-n", "--status-file", str(status)),
                *("--", "echo", "started"),
            )
            assert (result.returncode, result.stdout) == (69, "")
            what, advice = result.stderr.splitlines()
            assert why in what
            assert what.endswith(" (tried once): not started (69)")
            assert advice.startswith(f"hint: {hint}")
            assert "--retry-for" not in advice
            assert json.loads(status.read_text())["exit"]["kind"] == "unavailable"
        opened = locked_run("--http-addr", silent.address, "-n", "--fail-open", "--", "echo", "ran")
        assert (opened.returncode, opened.stdout) == (0, "ran\n")
        secure = locked_run("--http-addr", f"https://{silent.address}", "-n", "--", "true")
        assert secure.returncode in (69, 78)


@pytest.mark.parametrize("options, lines", [(["-v"], 1), ([], 0)])
def test_a_place_in_the_queue_is_kept_beyond_the_time_for_retries(
    options: list[str], lines: int, holder: Running, address: str, key: str
) -> None:
    """The lock is had when it is free and Consul is back.  That Consul is away is said at once with
    -v, and else after five minutes, as cron mails it."""
    with Proxy(address) as proxy:
        arguments = ["run", *options, "--retry-for", "0", "-k", key, "--", "echo", "mine"]
        with Running(arguments, environment(proxy.address)) as running:
            eventually(lambda: proxy.count("GET", "kv?wait"))
            proxy.rule = _leaderless
            proxy.cut()
            away = re.compile("^consul-lock: .*(?:goes on|trying again).*$", re.MULTILINE)
            eventually(lambda: len(away.findall(running.errors())) == lines)
            proxy.reset()
            eventually(lambda: proxy.count() >= 4)
            proxy.rule = None
            holder.send(15)
            assert running.line() == "mine"
            assert running.wait() == 0
            said = running.errors()
            assert len(away.findall(said)) == lines
            assert said.count("consul-lock: Consul answers again\n") == lines
            assert bool(said) == bool(options)


def test_no_leader_for_too_long_is_69_with_advice(address: str) -> None:
    """As the operator's next step is known."""
    with Proxy(address, _leaderless) as proxy:
        result = run(proxy.address, "--retry-for", "300ms", "--", "true")
    assert result.returncode == 69
    assert "Consul answered 500: No cluster leader (tried for " in result.stderr
    assert "hint: 'consul operator raft list-peers'" in result.stderr


def test_an_agent_that_limits_requests_is_69_with_advice(address: str) -> None:
    """It is not retried away by one more client."""
    limited = Answer(429, {}, b"Your IP is issuing too many concurrent connections")
    with Proxy(address, lambda *_: limited) as proxy:
        result = run(proxy.address, "--retry-for", "0", "--", "true")
    assert result.returncode == 69
    assert "limits the rate of requests" in result.stderr
    assert "hint: fewer clients at this address" in result.stderr


def test_errors_under_the_lock_are_no_loss(address: str, key: str) -> None:
    """No leader for eight seconds costs no job: the lock-delay is longer."""
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    with Proxy(address) as proxy:
        arguments = ["run", "-k", key, "--", "sh", "-c", script]
        with Running(arguments, environment(proxy.address)) as running:
            assert running.line() == "ready"
            proxy.rule = _leaderless
            # Renewals come every 3.3 s: two fail at least.
            eventually(lambda: proxy.count("PUT", "session/renew") >= 3)
            proxy.rule = None
            running.send(10)
            assert running.wait() == 5
            # One warning when renewals begin to fail, and one when they work again.
            said = running.said()
            assert len(said) <= 2
            assert all("renew" in line for line in said)


def test_https_to_a_server_of_http_is_78(locked_run: LockedRun, address: str) -> None:
    """And how to say it right."""
    result = locked_run("--http-addr", address.replace("http://", "https://"), "true")
    assert result.returncode == 78
    assert "does not speak TLS (78)\nhint: use http://" in result.stderr


def test_a_token_file_that_is_not_there_is_78(locked_run: LockedRun) -> None:
    """Before anything is sent."""
    result = locked_run("--token-file", "/no/such", "--", "true")
    assert result.returncode == 78
    assert "cannot read the token from '/no/such': No such file" in result.stderr


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent with ACLs and TLS."""
    with Agent(consul_binary, acl=True, tls=True) as agent:
        yield agent


_SESSION_RULE = 'session_prefix "" { policy = "write" }'
_WHICH_TOKEN = (
    "'consul-lock config' shows where the token comes from; CONSUL_HTTP_TOKEN or --token-file sets"
    " it"
)
_RULES = 'session_prefix "" { policy = "write" } key_prefix "k/" { policy = "write" }'


def test_a_token_without_rights_is_77_with_the_rule_that_it_needs(guarded: Agent) -> None:
    """The whole rule at once, whichever of the two is missing."""
    session, key = 'session_prefix "" { policy = "write" }', 'key_prefix "k/" { policy = "write" }'
    for rules, denied in (
        (key, "session:write (creating a session)"),
        (session, """key:write on "k/" (locking 'k/.lock')"""),
    ):
        token = guarded.token_for(rules)
        result = run(guarded.address, "--", "echo", "started", CONSUL_HTTP_TOKEN=token)
        assert (result.returncode, result.stdout) == (77, "")
        what, hint = result.stderr.splitlines()
        assert what == f"consul-lock: permission denied: {denied} (77)"
        assert hint == f"hint: the token needs  {session} {key}  ; {_WHICH_TOKEN}"
        assert token not in result.stderr


@pytest.mark.parametrize(
    "words, denied, names",
    [
        (["run", "-k", "a", "-k", "b/c"], """"a/" and "b/c/" (locking 'a', 'b/c')""", ("a", "b/c")),
        (["leader", "--key", "l"], "", ("l",)),
        (["run", "--tree", "-k", "t/u"], """"t/" (""", ("t",)),
        (["cron", "run", "--name", "c", "--slot", "1"], """"c/" (""", ("c",)),
        (["cron", "run-now", "--new", "c"], """"c/" (""", ("c",)),
    ],
)
def test_all_that_a_token_lacks_is_said_at_once(
    guarded: Agent, words: list[str], denied: str, names: tuple[str, ...]
) -> None:
    """For several keys, for a leader, who reads first, for a tree, which locks its parents, and for
    cron jobs."""
    token = guarded.token_for(_SESSION_RULE)
    result = ask(guarded.address, *words, "--", "true", CONSUL_HTTP_TOKEN=token)
    what, hint = result.stderr.splitlines()
    assert (result.returncode, denied in what) == (77, True)
    keys = " ".join(f'key_prefix "{name}/" {{ policy = "write" }}' for name in names)
    assert hint == f"hint: the token needs  {_SESSION_RULE} {keys}  ; {_WHICH_TOKEN}"


def test_a_proxy_that_wants_a_login_is_78_and_no_question_of_rights(address: str, key: str) -> None:
    """Neither the token nor the address is to blame; `doctor` says so, too."""
    with Proxy(address, lambda *_: Answer(401, {}, b"Authorization Required")) as proxy:
        for words in (["run", "--key", key, "--", "true"], ["ls"], ["doctor"]):
            result = ask(proxy.address, *words)
            assert result.returncode == 78
            assert "a proxy in front of Consul wants a login" in result.stderr
            assert re.search("hint: .*--http-auth or CONSUL_HTTP_AUTH", result.stderr)
            assert "token" not in result.stderr


def test_a_token_that_nobody_knows_is_77(guarded: Agent) -> None:
    """It is the token, and not its rights."""
    token = "3d6f0e8c-0000-4000-8000-000000000000"
    result = run(guarded.address, "--", "true", CONSUL_HTTP_TOKEN=token)
    assert result.returncode == 77
    what, hint = result.stderr.splitlines()
    assert 'the token is unknown to the cluster ("ACL not found"' in what
    assert hint.endswith(_WHICH_TOKEN)
    assert token not in result.stderr


def test_the_rights_for_sessions_and_keys_are_enough(guarded: Agent, tmp_path: Path) -> None:
    """Of all kinds; nothing of the agent or the node is read.  And the token is nowhere to see."""
    token = guarded.token_for(_RULES)
    file = tmp_path / "token"
    file.write_text(token)
    file.chmod(0o600)
    status = tmp_path / "status"
    script = "trap 'exit 0' TERM; env; echo ready; while :; do sleep 0.05; done"
    for kind in ([], ["-s"], ["-x"], ["--limit", "2"]):
        options = [*kind, "--token-file", str(file), "--status-file", str(status)]
        arguments = ["run", "-vv", "-k", "k", *options, "--", "sh", "-c", script]
        with Running(arguments, environment(guarded.address)) as running:
            seen = "\n".join(iter(running.line, "ready"))
            shown = Path(f"/proc/{running.pid}/cmdline").read_bytes()
            assert b"--token-file" in shown
            assert token.encode() not in shown
            running.send(15)
            assert running.wait() == 0, running.errors()
            assert "CONSUL_LOCK_HELD=true" in seen
            assert token not in seen + running.errors() + status.read_text()


@pytest.mark.parametrize("wrong", ["no CA", "another CA", "name"])
def test_a_certificate_that_is_not_trusted_is_78(guarded: Agent, wrong: str) -> None:
    """Its authority is a setting, and so is its name."""
    assert guarded.certificates is not None
    trust = {
        "no CA": [],
        "another CA": ["--ca-file", str(guarded.certificates.other_ca)],
        "name": ["--ca-file", str(guarded.certificates.ca), "--tls-server-name", "elsewhere"],
    }
    result = run(guarded.https_address, *trust[wrong], "--", "true")
    assert result.returncode == 78
    assert re.match(r"consul-lock: TLS: the certificate of https\S+ is not trusted", result.stderr)
    assert "hint: --ca-file or CONSUL_CACERT" in result.stderr
    assert "ca_cert=" not in result.stderr  # that is for programs


def test_with_the_right_ca_it_runs_over_tls(guarded: Agent) -> None:
    """Also under the name that every server of Consul has."""
    assert guarded.certificates is not None
    token = guarded.token_for(_RULES)
    trust = ["--ca-file", str(guarded.certificates.ca)]
    for name in ([], ["--tls-server-name", "server.dc1.consul"]):
        result = run(guarded.https_address, *trust, *name, "true", CONSUL_HTTP_TOKEN=token)
        assert (result.returncode, result.stderr) == (0, "")


def test_http_to_a_server_of_https_is_78(guarded: Agent) -> None:
    """And how to say it right."""
    result = run(guarded.https_address.replace("https://", "http://"), "--", "true")
    assert result.returncode == 78
    assert "speaks TLS, and the address says http (78)" in result.stderr
    assert "hint: use https:// in the address, or CONSUL_HTTP_SSL=true" in result.stderr


def test_a_system_without_room_for_a_process_is_71() -> None:
    """No descriptor is left for the pipe to the command, so it is not started."""
    program = (
        "import resource, consul_lock_cli.main as m, consul_lock_cli.commands.run\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
        "m.main()"
    )
    arguments = ["run", "-k", "k", "--", "echo", "started"]
    with Running(arguments, environment(), prefix=(sys.executable, "-c", program)) as running:
        assert running.wait() == 71
        assert running.line() == ""
        what, hint = running.errors().splitlines()
    assert what == "consul-lock: cannot start a process: Too many open files (71)"
    assert hint.startswith("hint: see the limits of this user")


def test_a_session_that_the_server_does_not_accept_is_73(consul_binary: Path) -> None:
    """As its own configuration wants other times; its words are passed on, and nothing is left."""
    # `start` would wait for a session of the stage's own, with a shorter TTL.
    agent = Agent(consul_binary, config={"session_ttl_min": "30s"})
    try:
        agent.launch()
        eventually(lambda: run(agent.address, "--ttl", "30s", "true").returncode == 0)
        result = run(agent.address, "--ttl", "10s", "--", "echo", "started")
        assert agent.sessions() == []
    finally:
        agent.stop()
    assert (result.returncode, result.stdout) == (73, "")
    what, hint = result.stderr.splitlines()
    assert "Invalid Session TTL" in what
    assert what.endswith(" (73)")
    assert hint.startswith("hint: the servers may be configured for other limits")


def test_an_error_that_nobody_thought_of_is_70_in_one_line() -> None:
    """-vv shows where it was."""
    program = (
        "import consul_lock_cli.main as m, consul_lock_cli.run.locked_command as r\n"
        "def broken(*_, **__): raise KeyError('oops')\n"
        "r.LockedCommand = broken\n"
        "m.main()"
    )
    for verbose in ([], ["-vv"]):
        arguments = ["run", "-k", "k", *verbose, "--", "true"]
        with Running(arguments, environment(), prefix=(sys.executable, "-c", program)) as running:
            assert running.wait() == 70
            assert "consul-lock: KeyError: 'oops' (70)" in running.errors()
            assert ("Traceback" in running.errors()) is bool(verbose)


def test_a_client_certificate_that_is_missing_or_refused_is_78_with_advice(
    consul_binary: Path, tmp_path: Path
) -> None:
    """By an agent that verifies its clients, when the lock is acquired and when locks are listed;
    with the right one it runs."""
    (other := tmp_path / "other").mkdir()
    wrong = Certificates(other)
    with Agent(consul_binary, tls=True, verify_clients=True) as agent:
        assert agent.certificates is not None
        right = agent.certificates
        trust = ("--http-addr", agent.https_address, "--ca-file", str(right.ca))

        def own(papers: Certificates) -> tuple[str, ...]:
            certificate, key = str(papers.client_cert), str(papers.client_key)
            return ("--client-cert", certificate, "--client-key", key)

        for options, hint in (
            ((), "it may require a client certificate: --client-cert and --client-key"),
            (own(wrong), "is the certificate of --client-cert expired, or of a CA that the agent"),
        ):
            for words in (("run", "-k", "k", *trust, *options, "--", "true"),
                          ("ls", *trust, *options)):  # fmt: skip
                result = ask(agent.address, *words, CONSULLOCK_RETRY_FOR="1s")
                assert result.returncode == 78, result.stderr
                what, advice = result.stderr.splitlines()
                assert what.startswith(f"consul-lock: TLS: {agent.https_address} refused the ")
                assert advice.startswith(f"hint: {hint}")
        good = ask(agent.address, "run", "-k", "k", *trust, *own(right), "--", "echo", "ran")
        assert (good.returncode, good.stdout) == (0, "ran\n"), good.stderr


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_namespace_on_the_open_source_server_is_73_with_advice(
    address: str, key: str, by: str
) -> None:
    """The real one, which knows none; when the lock is acquired and when locks are listed."""
    options = ["--namespace", "team"] if by == "option" else []
    variables = {} if options else {"CONSUL_NAMESPACE": "team"}
    for words in (["run", "-k", key, *options, "--", "echo", "ran"], ["ls", *options]):
        result = ask(address, *words, **variables)
        assert (result.returncode, result.stdout) == (73, ""), result.stderr
        assert result.stderr.splitlines()[-1] == (
            "hint: this Consul has no namespaces and partitions: leave out --namespace and"
            " --partition, and unset CONSUL_NAMESPACE and CONSUL_PARTITION"
        )
