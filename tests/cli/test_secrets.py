"""A secret, in each way in which one can come in, and all that comes out of the command: what it
prints and logs, what it writes, what ps shows, what is in Consul, and what COMMAND gets."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.cli.command import COMMAND, Running, children, consul, environment
from tests.cli.in_process import in_process
from tests.support.agent import Agent
from tests.support.certificates import Certificates
from tests.support.effort import EFFORT
from tests.support.http_messages import Answer
from tests.support.scripted_server import scripted_server
from tests.support.waiting import eventually


class _Given(NamedTuple):
    """Options and variables that bring a secret in."""

    options: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def _file(folder: Path, text: str) -> str:
    file = folder / f"file-{uuid4().hex[:8]}"
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


_WAYS: dict[str, Callable[[str, Path], _Given]] = {
    "--token": lambda s, _: _Given(("--token", s)),
    "--token=": lambda s, _: _Given((f"--token={s}",)),
    "--http-auth": lambda s, _: _Given(("--http-auth", f"user:{s}")),
    "--token-file": lambda s, folder: _Given(("--token-file", _file(folder, s))),
    "token in --config": lambda s, folder: _Given(
        ("--config", _file(folder, f"[consul]\ntoken = '{s}'"))
    ),
    "http-auth in --config": lambda s, folder: _Given(
        ("--config", _file(folder, f"[consul]\nhttp-auth = 'user:{s}'"))
    ),
    "CONSUL_HTTP_TOKEN": lambda s, _: _Given((), (("CONSUL_HTTP_TOKEN", s),)),
    "CONSUL_HTTP_AUTH": lambda s, _: _Given((), (("CONSUL_HTTP_AUTH", f"user:{s}"),)),
    "CONSUL_HTTP_TOKEN_FILE": lambda s, folder: _Given(
        (), (("CONSUL_HTTP_TOKEN_FILE", _file(folder, s)),)
    ),
    "CONSULLOCK_CONFIG": lambda s, folder: _Given(
        (), (("CONSULLOCK_CONFIG", _file(folder, f"[consul]\ntoken = '{s}'")),)
    ),
}
every_way = pytest.mark.parametrize("way", _WAYS)
# One of each kind is enough for what takes processes.
_KINDS = ("--token", "--http-auth", "--token-file", "token in --config", "CONSUL_HTTP_TOKEN")
each_kind = pytest.mark.parametrize("way", _WAYS if EFFORT > 1 else _KINDS)

# As it may be written: in plain text, and in the header of a login.
_USER = "user:"


def _forms(secret: str) -> list[bytes]:
    login = base64.b64encode(f"{_USER}{secret}".encode())
    return [secret.encode(), login, base64.b64encode(secret.encode())]


def _leaks(secret: str, **places: str | bytes) -> list[str]:
    """The places that have it."""
    texts = {name: t.encode() if isinstance(t, str) else t for name, t in places.items()}
    return [name for name, text in texts.items() if any(f in text for f in _forms(secret))]


@each_kind
def test_a_secret_comes_out_nowhere_while_a_command_runs_and_waits(
    way: str, address: str, key: str, tmp_path: Path
) -> None:
    """Only COMMAND has it, if it was in the environment that it inherits.  ps shows an argument
    until it was read."""
    secret = f"secret-{uuid4().hex}"
    given = _WAYS[way](secret, tmp_path)
    status, metrics = tmp_path / "status", tmp_path / "run.prom"
    hook = f"env >{shlex.quote(str(tmp_path / 'hook'))}"
    files = ["--status-file", str(status), "--metrics-file", str(metrics)]
    options = ["-vv", *files, "--log-format", "json", "--publish-command",
               "--meta", "a=b", "--on-acquire", hook, *given.options]  # fmt: skip
    script = "env; echo ready; read line"
    words = ["run", "--key", key, *options, "--", "sh", "-c", f"{script} </dev/null; sleep 600"]
    env = environment(address, HOME=str(tmp_path), **dict(given.variables))
    with Running(words, env) as running:
        child = "\n".join(iter(running.line, "ready"))
        (guardian,) = children(running.pid)
        tree = [running.pid, guardian, *children(guardian)]
        shown = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in tree)
        shown += b"".join(Path(f"/proc/{pid}/comm").read_bytes() for pid in tree)
        assert b"consul_lock_cli" in shown
        if given.options[:1] == ("--token",):
            shown += _shown_of_waiter(given, env, address, key)
        stored = str(consul(address, "GET", f"/v1/kv/{key}/?recurse"))
        values = b"".join(
            base64.b64decode(each["Value"] or "")
            for each in consul(address, "GET", f"/v1/kv/{key}/?recurse")
        )
        sessions = str(consul(address, "GET", "/v1/session/list"))
        running.send(15)
        running.wait()
        errors = running.errors()
    inherited = any(secret in value for _, value in given.variables)
    hooks = (tmp_path / "hook").read_text()
    assert bool(_leaks(secret, child=child)) is inherited
    assert bool(_leaks(secret, hook=hooks)) is inherited
    assert _leaks(
        secret, cmdline=shown, stderr=errors, status=status.read_text(),
        metrics=metrics.read_text(), keys=stored,
        values=values, sessions=sessions,
    ) == []  # fmt: skip
    assert "acquired" in errors


def _shown_of_waiter(given: _Given, env: dict[str, str], address: str, key: str) -> bytes:
    """What ps shows of one that waits, with the process that will be COMMAND."""
    with Running(["run", "-k", key, *given.options, "--", "true"], env) as waiter:
        eventually(lambda: _waits(address, key))
        (guardian,) = children(waiter.pid)
        tree = [waiter.pid, guardian, *children(guardian)]
        return b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in tree)


def _waits(address: str, key: str) -> bool:
    found: list[dict[str, Any]] = consul(address, "GET", f"/v1/kv/{key}/?recurse") or []
    return any("/.queue/" in each["Key"] for each in found)


@every_way
def test_a_secret_is_in_no_error_whatever_goes_wrong(way: str, tmp_path: Path) -> None:
    """With the traceback of -vv and all that led to it, as text and as JSON; nor in what shows the
    settings, nor in the report of the doctor."""
    secret = f"secret-{uuid4().hex}"
    given = _WAYS[way](secret, tmp_path)
    env = environment(None, HOME=str(tmp_path), CONSULLOCK_RETRY_FOR="0", **dict(given.variables))
    commands = (
        ["ls"], ["status", "k", "--log-format", "json"], ["run", "--dry-run", "-k", "k", "true"],
        ["cron", "show", "k"], ["doctor"], ["doctor", "--json"], ["config"], ["config", "--json"],
        ["exporter", "--once"], ["check", "k"], ["cron", "check", "k"],
    )  # fmt: skip
    answers = (Answer(200, {}, b"<html>"), Answer(403, {}, b"Permission denied"))
    for answer in answers:
        with scripted_server(answer) as server:
            here = {**env, "CONSUL_HTTP_ADDR": server.address}
            codes = [_nothing(secret, words, given, here) for words in commands]
            assert codes[0] in (77, 78)
            assert any(secret in str(request) for request in server.requests) or (
                any(form.decode() in str(request) for form in _forms(secret)
                    for request in server.requests)
            )  # fmt: skip
    for address in ("127.0.0.1:1", "https://127.0.0.1:1", "ftp://x", "unix:///no/such"):
        assert _nothing(secret, ["ls"], given, {**env, "CONSUL_HTTP_ADDR": address}) in (69, 78)


def _nothing(secret: str, words: list[str], given: _Given, env: dict[str, str]) -> int:
    """Nothing of it is said; the exit code."""
    more = [] if words[0] in ("doctor", "config") else ["-vv"]
    end = words.index("true") if "true" in words else len(words)
    result = in_process(*words[:end], *more, *given.options, *words[end:], env=env)
    assert _leaks(secret, stdout=result.stdout, stderr=result.stderr) == [], words
    return result.returncode


@pytest.mark.parametrize(
    "words, variables",
    [
        (["--http-addr", "http://user:{s}@127.0.0.1:1"], {}),
        (["--http-addr", "http://127.0.0.1:1/?token={s}"], {}),
        ([], {"CONSUL_HTTP_ADDR": "http://user:{s}@127.0.0.1:1"}),
        ([], {"CONSUL_HTTP_TOKEN": "{s} \x1b"}),
        ([], {"CONSUL_HTTP_AUTH": "us\ner:{s}"}),
        (["--token", "{s}\n x"], {}),
        (["--http-auth", ":{s}"], {}),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(
    words: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    """People put passwords into addresses; so they are in no message about that."""
    secret = f"secret-{uuid4().hex}"
    words = [word.replace("{s}", secret) for word in words]
    env = environment(None, HOME=str(tmp_path))
    env |= {name: value.replace("{s}", secret) for name, value in variables.items()}
    for command in (["ls", "-vv"], ["config"], ["config", "--json"], ["doctor"]):
        result = in_process(*command, *words, env=env)
        assert result.returncode == 78
        assert _leaks(secret, stdout=result.stdout, stderr=result.stderr) == []


def test_a_client_key_is_in_no_error(tmp_path: Path) -> None:
    """Neither one that does not belong to the certificate, nor half of one, nor an encrypted
    one."""
    (other := tmp_path / "other").mkdir()
    right, wrong = Certificates(tmp_path), Certificates(other)
    half = tmp_path / "half.pem"
    half.write_text(right.client_key.read_text()[:100])
    encrypted = tmp_path / "encrypted.pem"
    body = right.client_key.read_text().splitlines()[1:-1]
    marks = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----"]
    encrypted.write_text("\n".join([marks[0], *body, marks[1], ""]))
    for key in (wrong.client_key, half, encrypted, right.client_cert):
        key.chmod(0o600)
        options = ("--client-cert", str(right.client_cert), "--client-key", str(key))
        env = environment("https://127.0.0.1:1", HOME=str(tmp_path), CONSULLOCK_RETRY_FOR="0")
        result = in_process("ls", "-vv", *options, env=env)
        assert result.returncode == 78, (key, result)
        lines = [line for line in key.read_text().splitlines() if "-----" not in line]
        assert not [line for line in lines if line in result.stdout + result.stderr]


def test_a_token_on_the_command_line_is_hidden_and_the_rest_is_shown(
    address: str, key: str
) -> None:
    """What looks for a consul-lock among the processes finds it as before; a word of COMMAND that
    has the token in it is its own affair."""
    token = f"secret-{uuid4().hex}"
    command = ["sh", "-c", f": not-{token}-but; echo ready; exec sleep 600"]
    with Running(["run", "--token", token, "-k", key, "--", *command], environment(address)) as run:
        assert run.line() == "ready"
        words = Path(f"/proc/{run.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        assert words == [*COMMAND, "run", "--token", "x" * len(token), "-k", key, "--", *command]


def test_an_agent_with_acls_gets_the_token_that_is_nowhere_else(consul_binary: Path) -> None:
    """As it works with it, and not without."""
    with Agent(consul_binary, acl=True) as agent:
        env = environment(agent.address)
        token = str(agent.master_token)
        assert in_process("status", "k", env=env).returncode == 77
        done = in_process("status", "k", "-vv", "--token", token, env=env)
        assert (done.returncode, token in done.stdout + done.stderr) == (0, False)
