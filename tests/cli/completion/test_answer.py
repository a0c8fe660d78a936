"""`consul-lock completion`: what it prints for a shell, and that it never prints anything else."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

from consul_lock_cli.base.clock import in_time
from consul_lock_cli.completion import answer
from consul_lock_cli.completion.answer import SHELLS
from consul_lock_cli.spec.connection import Connection
from tests.cli.command import COMMAND, PATIENCE, Running, consul
from tests.cli.finished_cron_jobs import Jobs
from tests.cli.isolated_home import NOWHERE, Home, Result
from tests.support.agent import Agent
from tests.support.waiting import eventually

# A second for Consul, the start of Python, and a machine that has other things to do.
_BEARABLE = 10.0


@pytest.fixture
def complete(home: Home) -> Callable[..., Result]:
    """``complete("run", "--k")``: what is printed when TAB is pressed after the last word."""

    def ask(*words: str, address: str = NOWHERE, **variables: str) -> Result:
        return home.run(*words, address=address, _CONSUL_LOCK_COMPLETE="1", **variables)

    return ask


@pytest.fixture
def hold(home: Home, address: str) -> Iterator[Callable[[str], None]]:
    """``hold("jobs/a")``: somebody holds that lock until the end of the test."""
    with ExitStack() as stack:

        def run(name: str) -> None:
            command = ["run", "--key", name, "--", "sh", "-c", "echo ready; exec sleep 600"]
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


@pytest.fixture
def cron_job(address: str, key: str) -> Iterator[str]:
    """A cron job below this test's key, which has no lock any more."""
    jobs = Jobs(address, key)
    jobs.run("job")
    yield jobs.name("job")
    jobs.clear()


def offered(result: Result) -> list[str]:
    """The words that it would show."""
    assert (result.returncode, result.stderr) == (0, "")
    return [line.split("\t")[1] for line in result.stdout.splitlines()]


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
    """Others chose the names, and they would stand in the command line as they are."""
    hold(f"{locks}x$(touch x)")
    found = eventually(lambda: offered(complete("status", locks, address=address)))
    assert found == [f"{locks}one", f"{locks}two"]


def test_names_of_cron_jobs_are_completed(
    complete: Callable[..., Result], cron_job: str, hold: Callable[[str], None], address: str
) -> None:
    """Not those of locks, and the other way round."""
    below = cron_job.removesuffix("job")
    hold(f"{below}lock")
    for words, found in (
        (("cron", "show", below), cron_job),
        (("cron", "ls", below), cron_job),
        (("cron", "run", "--name", below), cron_job),
        (("status", below), f"{below}lock"),
    ):
        told = eventually(lambda words=words: offered(complete(*words, address=address)))
        assert told == [found], words


class Typist:
    """Types into a shell on a terminal, and reads what it shows."""

    def __init__(self, command: list[str], env: dict[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def say(self, line: str) -> None:
        """Run a line to its end."""
        self._turn += 1
        # Split, so that the line itself is not taken for what it prints.
        os.write(self._master, f'{line}; echo "said-""{self._turn}"\r'.encode())
        self._until(f"said-{self._turn}")

    def completed(self, line: str) -> str:
        """What a line is after TAB; it is not run but echoed."""
        self._turn += 1
        os.write(self._master, f"{line}\t".encode())
        # Ctrl-A and Ctrl-E: to the beginning of the line, and to its end.
        os.write(self._master, f'\x01echo \x05 "end-""{self._turn}"\r'.encode())
        return self._until(f"end-{self._turn}").rpartition("consul-lock")[2]

    def _until(self, mark: str) -> str:
        seen = ""
        while mark not in seen:
            readable, _, _ = select.select([self._master], [], [], PATIENCE)
            assert readable, f"no {mark} within {PATIENCE} s: {seen}"
            seen += os.read(self._master, 65536).decode(errors="replace")
        return seen


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_dead_agent_costs_a_second_and_no_message(complete: Callable[..., Result]) -> None:
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
    ],
)
def test_nothing_is_said_of_wrong_settings(
    complete: Callable[..., Result], variables: dict[str, str]
) -> None:
    """Not in the middle of a line that somebody is typing."""
    # More than once in `variables` is the address.
    result = complete("run", "--key", "", **{"address": NOWHERE, **variables})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("words", [(), ("nonsense", ""), ("run", "--nonsense", "x", "--")])
def test_a_line_that_makes_no_sense_is_left_alone(
    complete: Callable[..., Result], words: tuple[str, ...]
) -> None:
    """The user may know better, or see in time."""
    result = complete(*words)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "words, printed",
    [
        (("run", "-k", "k", "--", ""), "command\t0\t\n"),
        (("run", "-k", "k", "--", "git", "add", "x"), "command\t2\t\n"),
        (("run", "-k", "k", "git", "-"), "command\t1\t\n"),
        (("leader", "-k", "k", "--", "g"), "command\t0\t\n"),
        (("dev", "--", "g"), "command\t0\t\n"),
        (("run", "--token-file", "x"), "file\t0\t\n"),
        (("run", "--status-file", "x"), "file\t0\t\n"),
        (("doctor", "--config", "x"), "file\t0\t\n"),
        (("ls", "--ca-path", "x"), "dir\t0\t\n"),
    ],
)
def test_files_and_commands_are_left_to_the_shell(
    complete: Callable[..., Result], words: tuple[str, ...], printed: str
) -> None:
    """With the number of words of the command that come before this one."""
    assert complete(*words).stdout == printed


def test_a_call_that_lasts_too_long_is_abandoned() -> None:
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
    """The resolution of a name, for one, has a timeout of half a minute."""
    never = threading.Event()
    monkeypatch.setattr(answer, "_TIMEOUT", 0.05)
    monkeypatch.setattr(answer, "_names", lambda *_: [str(never.wait(PATIENCE))])
    assert answer.names(Connection({}), "") == []
    never.set()


def test_completion_prints_no_warning(
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
    assert "_CONSUL_LOCK_COMPLETE=1" in result.stdout
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


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with consul-lock, another command and a file, all with names that are unique."""
    texts = {"consul-lock": f'exec {" ".join(COMMAND)} "$@"', "zz-backup-tool": ":"}
    for name, text in texts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "zz-data-file").touch()
    return tmp_path


# What is typed before TAB, and what the last word becomes.
_LINES = {
    "consul-lock compl": "completion",
    "consul-lock run -k k -- zz-ba": "zz-backup-tool",
    "consul-lock run -k k zz-ba": "zz-backup-tool",
    "consul-lock run -k k -- zz-backup-tool zz-da": "zz-data-file",
    "consul-lock run --token-file zz-da": "zz-data-file",
}


_ZSH = "autoload -Uz compinit && compinit -u -D"


@pytest.mark.parametrize(
    "shell, beginning",
    [
        (("bash", "--norc", "-i"), ". ./_consul-lock"),
        (("zsh", "-f", "-i"), f"{_ZSH}; . ./_consul-lock"),
        (("zsh", "-f", "-i"), f"fpath=($PWD $fpath); {_ZSH}"),
    ],
    ids=["bash", "zsh", "zsh, installed"],
)
def test_a_shell_completes_a_line(
    home: Home, shelf: Path, locks: str, address: str, shell: tuple[str, ...], beginning: str
) -> None:
    """A real one, with the script as it is printed: its words, names of locks, and the command."""
    program = shutil.which(shell[0])
    if program is None:
        assert shell[0] != "bash"
        pytest.skip(f"there is no {shell[0]}")
    (shelf / "_consul-lock").write_text(home.run("completion", shell[0]).stdout)
    path = f"{shelf}:{os.environ['PATH']}"
    env = home.environment(address, PATH=path, TERM="dumb", HOME=str(shelf))
    with Typist([program, *shell[1:]], env, shelf) as typist:
        typist.say(beginning)
        for line, word in _LINES.items():
            assert word in typist.completed(line)
        # A name of a lock has a second to come: a busy machine is asked again.
        eventually(lambda: f"{locks}one" in typist.completed(f"consul-lock run --key {locks}o"))


def test_fish_completes_a_line(home: Home, shelf: Path, locks: str, address: str) -> None:
    """The same; it can be asked what it would offer."""
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("there is no fish")
    script = shelf / "script"
    script.write_text(home.run("completion", "fish").stdout)
    env = home.environment(address, PATH=f"{shelf}:{os.environ['PATH']}", HOME=str(shelf))

    def completed(line: str) -> list[str]:
        asked = f"source {script}; complete --do-complete='{line}'"
        done = subprocess.run(
            [fish, "--no-config", "-c", asked], env=env, cwd=shelf,
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        return [each.partition("\t")[0] for each in done.stdout.splitlines()]

    for line, word in {**_LINES, f"consul-lock run --key {locks}o": f"{locks}one"}.items():
        assert eventually(lambda line=line: completed(line)) == [word]
