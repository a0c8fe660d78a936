"""`consul-lock completion`: what a shell is told, and that it is told nothing else, ever."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from consul_lock_cli import completion
from consul_lock_cli.completion import SHELLS, in_time
from consul_lock_cli.connection import Connection
from tests.cli.configured import NOWHERE, Home, Result
from tests.cli.wrapper import COMMAND, PATIENCE, Running, consul
from tests.stage.agent import Agent
from tests.waiting import eventually

# A second for Consul, the start of Python, and a machine that has other things to do.
_BEARABLE = 10.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def complete(home: Home) -> Callable[..., Result]:
    """``complete("run", "--k")``: what bash is told when TAB is pressed after the last word."""

    def ask(*words: str, address: str = NOWHERE, **variables: str) -> Result:
        variables.setdefault("_CONSUL_LOCK_COMPLETE", "bash_complete")
        line = {"COMP_WORDS": " ".join(["consul-lock", *words]), "COMP_CWORD": str(len(words))}
        return home.run(address=address, **variables, **line)

    return ask


@pytest.fixture
def hold(home: Home, address: str) -> Iterator[Callable[[str], None]]:
    """``hold("jobs/a")``: somebody holds that lock until the end of the test."""
    with ExitStack() as stack:

        def run(name: str) -> None:
            command = ["run", "--key", name, "--", "sh", "-c", "echo ready; exec sleep 60"]
            running = stack.enter_context(Running(command, home.environment(address)))
            assert running.line() == "ready"

        yield run


@pytest.fixture
def locks(hold: Callable[[str], None], address: str, key: str) -> Iterator[str]:
    """Two locks below this test's key, and something there that is no lock."""
    hold(f"{key}/one")
    hold(f"{key}/two")
    foreign = f"/v1/kv/{key}/three/.lock"
    consul(address, "PUT", foreign, "hello")
    yield f"{key}/"
    consul(address, "DELETE", foreign)


def offered(result: Result) -> list[str]:
    """The words that bash would show."""
    assert (result.returncode, result.stderr) == (0, "")
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_commands_and_options_are_completed(complete: Callable[..., Result]) -> None:
    """Without Consul, of course."""
    assert eventually(lambda: offered(complete("comp"))) == ["completion"]
    assert "--lock-delay" in eventually(lambda: offered(complete("run", "--lock")))


def test_names_of_locks_are_completed(
    complete: Callable[..., Result], locks: str, address: str
) -> None:
    """In the option and in the argument; what is no lock is not among them."""
    one, two = f"{locks}one", f"{locks}two"
    for words, names in (
        (("run", "--key", locks), [one, two]),
        (("status", locks), [one, two]),
        (("status", two[:-1]), [two]),
        (("ls", locks), [one, two]),
        (("watch", two[:-1]), [two]),
    ):
        # Within a second or not at all: a machine that has other things to do is asked again.
        found = eventually(lambda words=words: offered(complete(*words, address=address)))
        assert found == names
    assert eventually(lambda: offered(complete("status", "--http-addr", address, one))) == [one]


def test_a_name_that_a_shell_would_run_is_not_offered(
    complete: Callable[..., Result], locks: str, address: str, hold: Callable[[str], None]
) -> None:
    """Others chose the names, and they would stand in our line as they are."""
    hold(f"{locks}x$(touch x)")
    found = eventually(lambda: offered(complete("status", locks, address=address)))
    assert found == [f"{locks}one", f"{locks}two"]


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_dead_agent_costs_a_second_and_no_word(complete: Callable[..., Result]) -> None:
    """Whether it refuses the connection or does not answer."""
    with silent_server() as address:
        for where in (NOWHERE, address):
            before = time.monotonic()
            assert offered(complete("status", "", address=where)) == []
            assert time.monotonic() - before < _BEARABLE


def test_a_frozen_agent_is_not_waited_for(
    complete: Callable[..., Result], own_agent: Agent
) -> None:
    """The same with a real one."""
    os.kill(own_agent.pid, signal.SIGSTOP)
    try:
        assert offered(complete("run", "-k", "", address=own_agent.address)) == []
    finally:
        os.kill(own_agent.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "variables",
    [
        {"CONSUL_HTTP_SSL": "maybe"},
        {"CONSUL_HTTP_ADDR": "h:port"},
        {"CONSUL_HTTP_TOKEN_FILE": "/no/such"},
        {"CONSULLOCK_CONFIG": "/no/such"},
        {"CONSULLOCK_TTL": "junk"},
        {"_CONSUL_LOCK_COMPLETE": "tcsh_complete"},
        {"_CONSUL_LOCK_COMPLETE": "nonsense"},
        {"COMP_CWORD": "many"},
    ],
)
def test_nothing_is_said_of_what_is_wrong(home: Home, variables: dict[str, str]) -> None:
    """Not in the middle of a line that somebody is typing."""
    line = {"_CONSUL_LOCK_COMPLETE": "bash_complete", "COMP_WORDS": "consul-lock run --key "}
    result = home.run(address=NOWHERE, **{**line, "COMP_CWORD": "3", **variables})
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


def test_what_lasts_too_long_is_left() -> None:
    """By a time of its own, as nothing else ends the resolution of a name."""
    never = threading.Event()
    before = time.monotonic()
    in_time(never.wait, 0.05)
    assert time.monotonic() - before < _BEARABLE
    never.set()
    done: list[int] = []
    in_time(lambda: done.append(1), PATIENCE)
    assert done == [1]


def test_consul_has_a_second_whatever_it_hangs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolution of a name, for one, has a time-out of half a minute."""
    never = threading.Event()
    monkeypatch.setattr(completion, "_PATIENCE", 0.05)
    monkeypatch.setattr(completion, "_names", lambda *_: [str(never.wait(PATIENCE))])
    assert completion.names(Connection({}), "") == []
    never.set()


def test_a_warning_is_not_for_who_is_typing(
    complete: Callable[..., Result], tmp_path: Path, locks: str, address: str
) -> None:
    """Such as of a token file that others can read."""
    file = tmp_path / "token"
    file.write_text("anonymous")
    file.chmod(0o644)
    token = ("--token-file", str(file))
    words = eventually(lambda: offered(complete("status", *token, locks, address=address)))
    assert words == [f"{locks}one", f"{locks}two"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_of_that_shell(home: Home, shell: str) -> None:
    """It asks this command; where the shell is installed, it also reads the script."""
    result = home.run("completion", shell, PATH=os.environ["PATH"])
    assert (result.returncode, result.stderr) == (0, "")
    assert "_CONSUL_LOCK_COMPLETE" in result.stdout
    assert f"{shell}_complete" in result.stdout
    program = shutil.which(shell)
    if program is not None:
        subprocess.run(
            [program, "-n"], input=result.stdout, text=True, check=True, timeout=PATIENCE
        )


def test_the_script_needs_no_shell_to_be_made(home: Home) -> None:
    """As in the build of a package."""
    result = home.run("completion", "bash", PATH="/nonexistent")
    assert (result.returncode, result.stderr) == (0, "")


def test_another_shell_is_misuse(home: Home) -> None:
    """There is no script for it."""
    assert home.run("completion", "tcsh").returncode == 64


def test_bash_completes_a_line(home: Home, locks: str, address: str, tmp_path: Path) -> None:
    """With the script as it is printed, and a command of that name on the PATH."""
    bash = shutil.which("bash")
    assert bash is not None
    program = tmp_path / "consul-lock"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    script = home.run("completion", "bash").stdout
    line = f"COMP_WORDS=(consul-lock run --key {locks}o); COMP_CWORD=3"
    asked = f"{line}\n_consul_lock_completion consul-lock"

    def completed() -> list[str]:
        done = subprocess.run(
            [bash, "--norc", "-c", f'{script}\n{asked}\necho "${{COMPREPLY[@]}}"'],
            env=home.environment(address, PATH=f"{tmp_path}:{os.environ['PATH']}"),
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        return done.stdout.split()

    assert eventually(completed) == [f"{locks}one"]
