"""The ACL rules that docs/guide.md gives for a lock: they are enough for every command, and each of
them that is missing is named.  On a real agent, with a token for each case."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.command import PATIENCE, Running, environment
from tests.cli.program_many_commands import Outcome
from tests.support.agent import Agent

_ROOT = Path(__file__).parents[2]
_PROGRAM = Path(__file__).with_name("program_many_commands.py")


def _documented() -> list[str]:
    """The rules of the guide, with NAME in them: for sessions, for keys, and for heartbeats."""
    page = (_ROOT / "docs" / "guide.md").read_text()
    _, _, section = page.partition("\n## Permissions\n")
    found = re.search(r"```hcl\n(.*?)```", section, re.DOTALL)
    assert found
    rules = [line.partition("#")[0].strip() for line in found[1].splitlines()]
    assert [rule.partition(" ")[0] for rule in rules] == ["session_prefix", "key_prefix", "service"]
    return rules


_SESSION, _KEY, _SERVICE = _documented()


class _Case(NamedTuple):
    """A command, and the rules that it cannot do without."""

    words: tuple[str, ...]
    needs: tuple[str, ...] = (_SESSION, _KEY)
    code: int = 0
    """The exit code with all rules."""
    hides: bool = False
    """Where keys may not be read it is no error: Consul filters what it shows, and it says so."""
    policy: str = "write"
    """Of the rule for keys that is named: what the command needs at least."""


def _run(*options: str, command: tuple[str, ...] = ("run",), key: str = "--key") -> tuple[str, ...]:
    return (*command, key, "NAME", *options, "--", "true")


_READS = (_KEY,)
_CASES = {
    "lock": _Case(_run("-n")),
    "shared": _Case(_run("--shared")),
    "exclusive": _Case(_run("--exclusive")),
    "semaphore": _Case(_run("--limit", "2")),
    "tree": _Case(_run("--tree")),
    "several": _Case(("run", "--key", "NAME/a", "--key", "NAME/b", "--", "true")),
    "leader": _Case(_run(command=("leader",))),
    "heartbeat": _Case(_run("--heartbeat", "2s"), (_SESSION, _KEY, _SERVICE)),
    "dry run": _Case(_run("--dry-run"), _READS, policy="read"),
    "cron": _Case(_run("--every", "1h", command=("cron", "run"), key="--name")),
    "cron dry run": _Case(
        _run("--every", "1h", "--dry-run", command=("cron", "run"), key="--name"), _READS,
        policy="read",
    ),
    "cron run-now": _Case(("cron", "run-now", "--new", "NAME", "--", "true")),
    "cron pause": _Case(("cron", "pause", "--new", "NAME"), _READS),
    "cron resume": _Case(("cron", "resume", "NAME"), _READS, code=1, hides=True),
    "cron show": _Case(("cron", "show", "NAME"), _READS, code=1, hides=True),
    "cron history": _Case(("cron", "history", "NAME"), _READS, code=1, hides=True),
    "cron reset": _Case(("cron", "reset", "--yes", "NAME"), _READS, code=1, hides=True),
    "cron forget": _Case(("cron", "forget", "--yes", "NAME"), _READS, code=1, hides=True),
    "cron ls": _Case(("cron", "ls", "NAME/"), _READS, hides=True),
    "ls": _Case(("ls", "NAME/"), _READS, hides=True),
    "exporter": _Case(("exporter", "--once", "NAME/"), _READS, hides=True),
    "status": _Case(("status", "NAME"), _READS, policy="read"),
    "holders": _Case(("holders", "NAME"), _READS, policy="read"),
    "wait": _Case(("wait", "NAME", "--free", "-w", "60"), _READS, policy="read"),
    "resize": _Case(("resize", "NAME", "3"), _READS, code=1, policy="read"),
    "break": _Case(("break", "--yes", "HELD"), code=0),
}  # fmt: skip


@pytest.fixture(scope="module")
def guarded(consul_binary: Path) -> Iterator[Agent]:
    """An agent that denies what no rule allows."""
    with Agent(consul_binary, acl=True) as agent:
        yield agent


@pytest.fixture(scope="module")
def outcomes(guarded: Agent, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Of each command with all rules, and without each: by "command" and "command - rule"."""
    folder = tmp_path_factory.mktemp("tokens")
    commands: dict[str, list[str]] = {}
    held: list[str] = []
    for name, case in _CASES.items():
        rules = case.needs
        for missing in ("", *rules):
            title = f"{name} - {missing}" if missing else name
            lock = _lock(name, missing)
            text = " ".join(rule for rule in rules if rule != missing).replace("NAME", lock)
            file = folder / lock
            file.write_text(guarded.token_for(text))
            file.chmod(0o600)
            if "HELD" in case.words:
                held.append(lock)
            words = [re.sub("NAME|HELD", lock, word) for word in case.words]
            end = words.index("--") if "--" in words else len(words)
            commands[title] = [*words[:end], "--token-file", str(file), *words[end:]]
    env = environment(guarded.address, HOME=str(folder))
    holders = [
        Running(["run", "--key", key, "--on-lost", "signal:USR1", "--", "sh", "-c", _STAY],
                {**env, "CONSUL_HTTP_TOKEN": str(guarded.master_token)})
        for key in held
    ]  # fmt: skip
    try:
        assert [holder.line() for holder in holders] == ["ready" for _ in held]
        done = subprocess.run(
            [sys.executable, str(_PROGRAM), str(folder)], env=env, input=json.dumps(commands),
            capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
    finally:
        for holder in holders:
            with holder:
                pass
    found: dict[str, Outcome] = json.loads(done.stdout)
    return found


_STAY = "trap '' USR1; echo ready; exec sleep 600"


@pytest.mark.parametrize("name", _CASES)
def test_the_rules_of_the_guide_are_enough_and_each_that_is_missing_is_named(
    outcomes: dict[str, Outcome], name: str
) -> None:
    """With exactly the rules that it needs for NAME, and with nothing else."""
    case = _CASES[name]
    code, _, errors = outcomes[name]
    assert code == case.code, errors
    assert "denied" not in errors
    for rule in case.needs:
        code, _, errors = outcomes[f"{name} - {rule}"]
        if case.hides:
            assert code == case.code
            assert re.search("token may (not )?read", errors), errors
        else:
            # Several locks need a rule for each.
            lock = _lock(name, rule) + ("/a" if name == "several" else "")
            named = rule.replace("write", case.policy).replace("NAME", lock)
            assert (code, named in errors) == (77, True), (named, errors)


def _lock(name: str, missing: str) -> str:
    """A lock of its own; of one element, as a tree lock needs the rule for the first."""
    return f"acl-{name}-without-{missing.partition(' ')[0] or 'nothing'}".replace(" ", "-")
