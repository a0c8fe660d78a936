"""Every command in an environment that is broken: a documented exit code, a line, no traceback.

It walks all commands there are.  A new one needs arguments to try it with, in `_EXAMPLES`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.main import cli
from tests.cli.command import PATIENCE, environment

# What a user would type, with as little patience as the command has.  Nothing of it may need an
# answer of Consul to be correct.
_EXAMPLES: dict[str, list[str]] = {
    "break": ["k", "--yes"],
    "check": ["k"],
    "clean": ["k/", "--yes"],
    "completion": ["bash"],
    "config": [],
    "cron check": ["k"],
    "cron history": ["k"],
    "cron forget": ["k", "--yes"],
    "cron install": ["--name", "k", "--every", "1h", "--", "true"],
    "cron ls": [],
    "cron pause": ["k"],
    "cron reset": ["k", "--yes"],
    "cron resume": ["k"],
    "cron run": ["--name", "k", "--every", "1h", "--retry-for", "0", "--", "true"],
    "cron run-now": ["k", "--new", "--", "true"],
    "cron show": ["k"],
    "dev": ["--", "true"],
    "doctor": [],
    "exporter": ["--once"],
    "force-release": ["k", "--yes"],
    "help": ["run"],
    "holders": ["k"],
    "leader": ["--key", "k", "--retry-for", "0", "--", "true"],
    "list": [],
    "ls": [],
    "resize": ["k", "2"],
    "run": ["--key", "k", "--retry-for", "0", "--", "true"],
    "status": ["k"],
    "version": [],
    "wait": ["k", "--free", "-w", "1s"],
    "watch": ["k", "--once"],
}

# These say nothing to the Consul of the environment, so they may well succeed.
_AT_HOME = {"completion", "config", "cron install", "dev", "help", "version"}

# Monitoring plugins: whatever is wrong is their code 3, on stdout.
_PLUGINS = {"check", "cron check"}

_DOCUMENTED = {0, 1} | {int(code) for code in ExitCode}

# Nobody listens there.
_DEAD = "127.0.0.1:1"

# What is broken, the variables that do it, and what a command that talks to Consul says to that.
_BROKEN: dict[str, tuple[dict[str, str], set[int]]] = {
    "dead address": ({"CONSUL_HTTP_ADDR": _DEAD}, {69}),
    "unknown host name": ({"CONSUL_HTTP_ADDR": "no-such-host.invalid"}, {69}),
    "no address": ({"CONSUL_HTTP_ADDR": "http://["}, {78}),
    "a socket that is none": ({"CONSUL_HTTP_ADDR": "unix:///etc/passwd"}, {69}),
    "junk for a boolean": ({"CONSUL_HTTP_ADDR": _DEAD, "CONSUL_HTTP_SSL": "perhaps"}, {78}),
    "token file that is missing": ({"CONSUL_HTTP_TOKEN_FILE": "/no/such/file"}, {78}),
    "token file that is a folder": ({"CONSUL_HTTP_TOKEN_FILE": "/tmp"}, {78}),
    "token with a line break": ({"CONSUL_HTTP_TOKEN": "a\nb"}, {78}),
    "no such CA file": ({"CONSUL_HTTP_ADDR": f"https://{_DEAD}", "CONSUL_CACERT": "/no"}, {78}),
    "CA file that is none": (
        {"CONSUL_HTTP_ADDR": f"https://{_DEAD}", "CONSUL_CACERT": __file__},
        {78},
    ),
    "certificate without a key": ({"CONSUL_CLIENT_CERT": __file__}, {78}),
    "config file that is none": (
        {"CONSUL_HTTP_ADDR": _DEAD, "CONSULLOCK_CONFIG": __file__},
        {64, 69, 78},
    ),
    "config file that is missing": (
        {"CONSUL_HTTP_ADDR": _DEAD, "CONSULLOCK_CONFIG": "/no/such/file"},
        {64, 69, 78},
    ),
    "junk for a duration": (
        {"CONSUL_HTTP_ADDR": _DEAD, "CONSULLOCK_TTL": "soon", "CONSULLOCK_RETRY_FOR": "later"},
        {64, 69, 78},
    ),
}


def _commands(group: click.Group, path: str = "") -> Iterator[str]:
    """The names of all commands, those of groups with their path."""
    for name, command in sorted(group.commands.items()):
        full = f"{path}{name}"
        if isinstance(command, click.Group):
            yield from _commands(command, f"{full} ")
        else:
            yield full


_ALL = list(_commands(cli))


@pytest.mark.parametrize("name", _ALL)
def test_every_command_can_be_tried_here(name: str) -> None:
    """A new command is walked through the broken environments, too."""
    assert name in _EXAMPLES, (
        f"`consul-lock {name}` has no example arguments in {__file__}: add a line to _EXAMPLES,"
        " with which it would work if Consul did"
    )


def test_a_broken_environment_gives_a_line_and_a_documented_code(tmp_path: Path) -> None:
    """One line that says what is wrong, perhaps a hint, and never a traceback."""
    outcomes = _walk(tmp_path)
    assert len(outcomes) == len(_BROKEN) * len(set(_ALL) & set(_EXAMPLES)) > 300
    faults = {
        place: (fault, code, said)
        for place, (code, out, said) in outcomes.items()
        if (fault := _fault(place[1], code, out, said, _BROKEN[place[0]][1]))
    }
    assert not faults


def _walk(folder: Path) -> dict[tuple[str, str], tuple[int, str, str]]:
    """Exit code, stdout and stderr of every command in each environment."""
    places = [(broken, name) for broken in _BROKEN for name in _ALL if name in _EXAMPLES]
    commands = {
        str(place): [
            *(f"{variable}={value}" for variable, value in _BROKEN[broken][0].items()),
            *name.split(),
            *_EXAMPLES[name],
        ]
        for place, (broken, name) in enumerate(places)
    }
    # No settings of the user who runs the tests, and no patience.
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "CONSUL_BIN": "/bin/false"}
    patience = {"CONSULLOCK_RETRY_FOR": "0"}
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("program_many_commands.py")), str(folder)],
        env=environment(**home, **patience),
        input=json.dumps(commands),
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        timeout=4 * PATIENCE,
        check=True,
    )
    found: dict[str, tuple[int, str, str]] = json.loads(result.stdout)
    return {places[int(place)]: outcome for place, outcome in found.items()}


def _fault(name: str, code: int, out: str, said: str, expected: set[int]) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    if "Traceback" in out + said:
        return "a traceback"
    if name in _PLUGINS:
        line = code == 3 and out.startswith("UNKNOWN - ") and out.count("\n") == 1
        return "" if line else "no line of a monitoring plugin"
    if code not in _DOCUMENTED or code == ExitCode.SOFTWARE:
        return "no documented exit code"
    if name not in _AT_HOME and code not in expected:
        return f"not one of {sorted(expected)}"
    lines = said.splitlines()
    if not code or name == "dev":  # which shows the log of the agent that did not start
        return ""
    if not 1 <= len(lines) <= 2:
        return "not one or two lines"
    hints = all(line.startswith("hint: ") for line in lines[1:])
    return "" if lines[0].startswith("consul-lock: ") and hints else "an unknown form"


def test_the_walk_finds_the_effects_it_looks_for() -> None:
    """Each of the faults, on outcomes that are made up."""
    good = ("run", 69, "", "consul-lock: cannot reach Consul\nhint: is it running?\n", {69})
    assert _fault(*good) == ""
    assert _fault("run", 69, "", "Traceback (most recent call last):\n", {69}) == "a traceback"
    assert "documented" in _fault("run", 2, "", good[3], {69})
    assert "documented" in _fault("run", -9, "", good[3], {69})
    assert "documented" in _fault("version", 70, "", good[3], {69})
    assert "not one of" in _fault("run", 0, "", "", {69})
    assert "lines" in _fault("run", 69, "", good[3] * 2, {69})
    assert "lines" in _fault("run", 69, "", "", {69})
    assert "form" in _fault("run", 69, "", "error\n", {69})
    assert _fault("check", 3, "UNKNOWN - no\n", "", {69}) == ""
    assert "plugin" in _fault("check", 69, "UNKNOWN - no\n", "", {69})
    assert "plugin" in _fault("cron check", 3, "", good[3], {69})
