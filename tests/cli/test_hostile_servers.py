"""`run`, `cron` and the commands that look, where a server is hostile or others wrote into Consul.

Only the documented exit codes come out, none of them for a bug, no traceback, no byte that a
terminal obeys, and COMMAND is started only under a lock that is held.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Set
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consul_lock.testing import World
from tests.cli.command import PATIENCE, environment
from tests.cli.in_process import in_process
from tests.faults.foreign_values import VALUES, damaged
from tests.support.effort import scaled, some
from tests.support.hostile_answers import (
    ALTERED,
    REFUSALS,
    Answered,
    answers,
    changed,
    forward,
    once,
    recorded,
)
from tests.support.http_messages import Message
from tests.support.scripted_server import scripted_server

LOCK, CRON = 3304740253564472344, 6231955483607814123
SEMAPHORE, READ_WRITE = 16210313421097356768, 4377101031871790599

# All but 70, which is a bug, and 76, 124, 126 and 127, for which COMMAND would have to be started.
FORESEEN = {0, 1, 65, 69, 73, 75, 77, 78}

# Those of a monitoring plugin besides, and of what looks on.
OF_LOOKS = {*FORESEEN, 2, 3}

Outcome = tuple[int, str, str]


def outcomes(commands: dict[str, list[str]], address: str, folder: Path) -> dict[str, Outcome]:
    """Each command line by its name, run in one process after the other."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.program_many_commands", str(folder)],
        input=json.dumps(commands),
        env=environment(address, HOME=str(folder), XDG_CONFIG_HOME=str(folder)),
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=True,
    )
    found: dict[str, Outcome] = json.loads(done.stdout)
    return found


def seemly(outcome: Outcome, where: str, foreseen: Set[int] = FORESEEN) -> None:
    """What every end has in common."""
    code, out, errors = outcome
    assert code in foreseen, (where, outcome)
    assert "Traceback" not in errors, (where, errors)
    for text in (out, errors):
        assert all(c.isprintable() or c in "\n\t" for c in text), (where, text)


# The words of a command before its options.
WORDS = 2
RUN = ["run", "--quiet", "--retry-for", "0", "-n", "--key", "hostile", "--", "echo", "started"]
CRON_RUN = ["cron", "run", "--retry-for", "0", "--every", "1h", "hostile", "--", "echo", "started"]
LS = ["ls", "--json", "--retry-for", "0"]


def ask(world: World, method: str, path: str, body: bytes = b"") -> Any:
    """Past the command: the answer of Consul itself."""
    return forward(world, Message(f"{method} {path} HTTP/1.1", {}, body, b""))


def test_no_answer_of_a_server_makes_a_command_fail_otherwise(tmp_path: Path) -> None:
    """One answer that no agent gives, to one of the first requests of a command, or to all."""
    cases = [
        *itertools.product((RUN,), [*REFUSALS, *ALTERED], range(4)),
        *itertools.product((CRON_RUN,), [*REFUSALS, *ALTERED], range(5)),
        *itertools.product((LS,), [*REFUSALS, *ALTERED], range(1)),
    ]
    commands, where = {}, {}
    with ExitStack() as stack:
        for number, (command, case, at) in enumerate(some(cases, 71, "commands")):
            world = World(consul="1.8" if number % 2 else "1.21")
            server = stack.enter_context(scripted_server(once(world, at, case)))
            name = f"{command[0]}: {case} to request {at}"
            commands[name] = _to(command, server.address)
            where[name] = command
        for name, outcome in outcomes(commands, "127.0.0.1:1", tmp_path).items():
            seemly(outcome, name)
            started = outcome[1] == "started\n"
            # What cannot be said of the lock after a good end of COMMAND is a warning.
            assert not started or outcome[0] == 0, (name, outcome)
            assert started or outcome[0] != 0 or where[name] is not RUN, (name, outcome)


# Not made smaller: an answer is small, and each try takes seconds.
_MADE = settings(
    max_examples=scaled(2),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# Commands that one process runs, each with an answer of its own.
_TOGETHER = 4


@pytest.mark.parametrize("command", [RUN, CRON_RUN], ids=["run", "cron run"])
@given(data=st.data())
@_MADE
def test_no_answer_that_hypothesis_makes_starts_a_command_without_its_lock(
    command: list[str], data: st.DataObject
) -> None:
    """Nor ends the command otherwise than with its exit codes, and a word about it."""
    good = _good_answers(tuple(command))
    commands = {}
    with ExitStack() as stack, TemporaryDirectory() as folder:
        for number in range(_TOGETHER):
            at = data.draw(st.integers(0, len(good) - 1))
            made = data.draw(answers(good[at]))
            server = stack.enter_context(scripted_server(changed(World(), at, made)))
            commands[f"{number}: {made!r} to request {at}"] = _to(command, server.address)
        for name, outcome in outcomes(commands, "127.0.0.1:1", Path(folder)).items():
            started = outcome[1] == "started\n"
            # A release that was carried out and answered with a refusal looks like a loss, and so
            # does a key that is not there to a hold that is watched (76).
            seemly(outcome, name, {0, 76} if started else {*FORESEEN, 76})
            assert started or outcome[0] != 0 or command is not RUN, (name, outcome)


@cache
def _good_answers(command: tuple[str, ...]) -> list[Answered]:
    """Those to a command that runs, while nothing goes wrong."""
    found = list[Answered]()
    with scripted_server(recorded(World(), found)) as server, TemporaryDirectory() as folder:
        good = {"good": _to(list(command), server.address)}
        done = outcomes(good, server.address, Path(folder))
    assert done["good"] == [0, "started\n", ""]
    return found


def _to(command: list[str], address: str) -> list[str]:
    return [*command[:WORDS], "--http-addr", address, *command[WORDS:]]


@given(data=st.data())
@settings(_MADE, max_examples=scaled(25))
def test_no_answer_that_hypothesis_makes_breaks_a_command_that_looks(
    crowded: tuple[World, list[str]], data: st.DataObject
) -> None:
    """At everything, or at one name; as text and as JSON."""
    world, _ = crowded
    words = data.draw(st.sampled_from([*LOOKS, *LOOKS_AT_ONE]))
    words = [*words, "crowd/job"] if words in LOOKS_AT_ONE else words
    below = "crowd/" if words in LOOKS else "crowd/job"
    good = forward(world, Message(f"GET /v1/kv/{below}?recurse HTTP/1.1", {}, b"", b""))
    few = json.dumps(json.loads(good.body)[-6:]).encode()
    made = data.draw(answers(good._replace(body=few)))
    with scripted_server(lambda _: iter([made])) as server:
        done = in_process(*words, "--retry-for", "0", env=environment(server.address))
    seemly((done.returncode, done.stdout, done.stderr), f"{words}: {made!r}", OF_LOOKS)
    if "--json" in words and done.returncode == 0:
        json.loads(done.stdout)


@pytest.fixture(scope="module")
def crowded() -> tuple[World, list[str]]:
    """A Consul in which every value stands in every place, by number, and the names there."""
    world, names = World(), list[str]()
    created = ask(world, "PUT", "/v1/session/create", b'{"Name": "\\u001b[2J", "NodeChecks": []}')
    session = json.loads(created.body)["ID"]
    places = [
        (".lock", LOCK, session), (".lock", LOCK, ""), (".lock", SEMAPHORE, ""),
        (".lock", READ_WRITE, ""), (".lock", 0, ""), (".cron", CRON, ""), (".cron", 0, ""),
        (f".queue/{session}", LOCK, session), (session, SEMAPHORE, session),
        (f".lock/{session}", READ_WRITE, session), (f".break/{session}", LOCK, ""),
    ]  # fmt: skip
    for place, flags, holder in places:
        for value in VALUES.values():
            names.append(f"crowd/{len(names)}")
            query = f"flags={flags}" + (f"&acquire={holder}" if holder else "")
            path = f"/v1/kv/{quote(f'{names[-1]}/{place}')}?{query}"
            assert ask(world, "PUT", path, value[:3000]).body.strip() == b"true"
    for value in _damaged_records(world):
        names.append(f"crowd/{len(names)}")
        ask(world, "PUT", f"/v1/kv/{names[-1]}/.cron?flags={CRON}", value)
    return world, names


def _damaged_records(world: World) -> list[bytes]:
    """Of a job that has run and is paused: each field in turn is something else."""
    with scripted_server(once(world, -1, "")) as server:
        import consul_lock

        with consul_lock.Client(server.address, retry_for=0) as client:
            with consul_lock.CronGuard("crowd/job", client=client, every="1h").claim(3600.0):
                pass
            consul_lock.CronRecords(client).pause("crowd/job", 1e6, reason="x")
    record = json.loads(ask(world, "GET", "/v1/kv/crowd/job/.cron").body)[0]
    return [value for _, value in damaged(json.loads(base64.b64decode(record["Value"])))]


LOOKS = (
    ["ls"], ["ls", "--json"], ["ls", "crowd/", "--format", "{name} {holder.host} {holder.since}"],
    ["cron", "ls"], ["cron", "ls", "--json"], ["clean", "crowd/", "--dry-run"],
    ["ls", "--dead", "--json"], ["exporter", "--once", "crowd/"], ["cron", "check", "crowd/"],
    ["doctor", "--key", "crowd/doctor", "--long-poll", "50ms"],
)  # fmt: skip
LOOKS_AT_ONE = (
    ["status"], ["status", "--json"], ["holders"], ["holders", "--json"], ["cron", "history"],
    ["cron", "history", "--json"], ["cron", "show"], ["check"], ["cron", "check"],
)  # fmt: skip


def test_whatever_is_in_consul_can_be_shown(
    crowded: tuple[World, list[str]], tmp_path: Path
) -> None:
    """In lists, by name, as a table and as JSON."""
    world, names = crowded
    looks = [
        *LOOKS,
        *(
            [*words, name]
            for words, name in some(itertools.product(LOOKS_AT_ONE, names), 61, "looks")
        ),
    ]
    with scripted_server(once(world, -1, "")) as server:
        for words in looks:
            done = in_process(*words, "--retry-for", "0", env=environment(server.address))
            seemly((done.returncode, done.stdout, done.stderr), " ".join(words), OF_LOOKS)
            if "--json" in words and done.returncode == 0:
                json.loads(done.stdout)


def test_nothing_is_started_beside_what_others_wrote(
    crowded: tuple[World, list[str]], tmp_path: Path
) -> None:
    """`run` and `cron run` say what they found, and leave it there; or it was in nobody's way."""
    world, names = crowded
    commands = {}
    for name in some(names, 197, "runs"):
        commands[f"run {name}"] = [name if word == "hostile" else word for word in RUN]
        commands[f"cron {name}"] = [name if word == "hostile" else word for word in CRON_RUN]
    with scripted_server(once(world, -1, "")) as server:
        for name, outcome in outcomes(commands, server.address, tmp_path).items():
            seemly(outcome, name)
            started = outcome[1] == "started\n"
            assert not started or outcome[0] == 0, (name, outcome)
            assert started or outcome[0] != 0 or name.startswith("cron"), (name, outcome)
