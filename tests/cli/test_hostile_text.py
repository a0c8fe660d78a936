"""Text that other users of Consul have chosen, and that of a server, in every output of the
command: it is shown, and nothing in it is obeyed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.command import PATIENCE, environment
from tests.cli.hostile_scene import FORGED, HOSTILE, NAME, HostileScene, harmful
from tests.cli.in_process import in_process
from tests.cli.program_many_commands import Outcome
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.scripted_server import scripted_server

_PROGRAM = Path(__file__).with_name("program_many_commands.py")
_FIELDS = "{name} {holder.host} {holder.user} {holder.command} {holder.meta} {holder.value} {state}"
_LOCKS = ("lock", "lead", "rw", "sem", "dead", "broken", "foreign")
_JOBS = ("job", "busy", "idle", "none", "newer", "odd", "id")

# Each kind of output once: a terminal of its own takes its time.
_ON_A_TERMINAL = (
    "ls", "clean", "watch", "cron ls", "break", "status lock", "status foreign", "status broken",
    "holders lock", "holders sem", "cron show job", "cron show odd", "cron history job", "run -n",
    "run -w", "run --dry-run", "cron run job", "cron run busy", "cron run busy --dry-run",
)  # fmt: skip

_AGAIN = ("--", "true")


@pytest.fixture(scope="module")
def scene(agent: Agent) -> Iterator[HostileScene]:
    """What others have written."""
    made = HostileScene(agent, f"hostile-{uuid4().hex[:12]}")
    yield made
    made.close()


def _reads(scene: HostileScene) -> dict[str, list[str]]:
    """Commands that show what is there, by a name for the test."""
    prefix = f"{scene.prefix}/"
    found: dict[str, list[str]] = {
        "ls": ["ls", prefix],
        "ls --format": ["ls", prefix, "--format", _FIELDS],
        "ls --dead": ["ls", prefix, "--dead"],
        "clean": ["clean", "--dry-run", prefix],
        "watch": ["watch", prefix, "--initial", "--once"],
        "cron ls": ["cron", "ls", prefix],
        "cron check": ["cron", "check", prefix],
        "exporter": ["exporter", "--once", prefix],
        "cron ls --format": ["cron", "ls", prefix, "--format", "{name} {host} {paused.reason}"],
        "wait": ["wait", scene.name("lock"), "--free", "-w", "0.01"],
        "break": ["break", scene.name("lock")],
        "break of what is free": ["break", scene.name("broken"), "--yes"],
        "status of a bad name": ["status", f"{prefix}{NAME}"],
    }
    for name in _LOCKS:
        found[f"status {name}"] = ["status", scene.name(name)]
        found[f"holders {name}"] = ["holders", scene.name(name)]
        found[f"check {name}"] = ["check", scene.name(name), "--max-age", "0"]
    for name in _JOBS:
        found[f"cron show {name}"] = ["cron", "show", scene.name(name)]
        found[f"cron check {name}"] = ["cron", "check", scene.name(name)]
        found[f"cron history {name}"] = ["cron", "history", scene.name(name)]
        found[f"cron pause {name}"] = ["cron", "pause", scene.name(name)]
    return found


def _runs(scene: HostileScene) -> dict[str, list[str]]:
    """Commands that want what others hold, or change it."""
    lock, every = scene.name("lock"), ("--every", "1h")
    found: dict[str, list[str]] = {
        "run -n": ["run", "-v", "-k", lock, "-n", *_AGAIN],
        "run --dry-run": ["run", "-k", lock, "--dry-run", *_AGAIN],
        "run -w": ["run", "-v", "-k", lock, "-w", "3", *_AGAIN],
        "run of a foreign key": ["run", "-k", scene.name("foreign"), "-w", "0.3", *_AGAIN],
        "run -x": ["run", "-v", "-k", scene.name("rw"), "-x", "-w", "0.3", *_AGAIN],
        "run --limit": ["run", "-k", scene.name("sem"), "--limit", "3", "-w", "0.3", *_AGAIN],
        "leader": ["leader", "-k", scene.name("lead"), "-w", "0.3", *_AGAIN],
        "resize": ["resize", scene.name("sem"), "5"],
    }
    for name in _JOBS:
        job = scene.name(name)
        found[f"cron run {name}"] = ["cron", "run", "-v", "--name", job, *every, *_AGAIN]
    dry = ["cron", "run", "--name", scene.name("busy"), *every, "--dry-run", *_AGAIN]
    found["cron run busy --dry-run"] = dry
    lost = ("--name", scene.name("lost"), *every)
    found["cron run lost"] = ["cron", "run", *lost, "--on-lost-run", "env", *_AGAIN]
    found["cron run-now"] = ["cron", "run-now", scene.name("busy"), *_AGAIN]
    found["cron resume"] = ["cron", "resume", scene.name("job")]
    found["cron reset"] = ["cron", "reset", "--force", scene.name("none"), "--yes"]
    found["cron forget"] = ["cron", "forget", scene.name("idle"), "--yes"]
    found["break --yes"] = ["break", scene.name("lead"), "--yes"]
    return found


def _done(
    scene_agent: Agent, commands: dict[str, list[str]], folder: Path, *more: str
) -> dict[str, Outcome]:
    program = [sys.executable, str(_PROGRAM), str(folder), *more]
    env = environment(scene_agent.address, TERM="xterm", COLUMNS="200", HOME=str(folder))
    done = subprocess.run(
        program, env=env, input=json.dumps(commands), capture_output=True, text=True,
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    found: dict[str, Outcome] = json.loads(done.stdout)
    return found


def _judge(found: dict[str, Outcome]) -> None:
    bad = {name: harmful("".join(texts)) for name, (_, *texts) in found.items()}
    assert {name: faults for name, faults in bad.items() if faults} == {}
    assert {name: o for name, o in found.items() if "Traceback" in o[2] or o[0] == 70} == {}


def test_the_judge_finds_all_of_it() -> None:
    """What the scene has in it, and a line that consul-lock has not written."""
    found = harmful(HOSTILE)
    assert FORGED in found
    for each in "\x1b\x07\x9b\x85\x7f\x08\0\u2028\u202e\u2066\u200b\ufeff\xad\U000e0041":
        assert repr(each) in found
    assert harmful("\x1b[31mheld\x1b[0m  web\r\n\x1b[H\x1b[2J") == []


def test_what_others_have_written_is_shown_and_not_obeyed_in_a_pipe(
    agent: Agent, scene: HostileScene
) -> None:
    """By commands that look: as text, and as JSON, which is ASCII."""
    found: dict[str, Outcome] = {}
    reads = {**_reads(scene), "doctor": ["doctor", "--key", scene.name("doctor")]}
    for name, words in reads.items():
        result = in_process(*words, env=environment(agent.address))
        found[name] = (result.returncode, result.stdout, result.stderr)
        if "--format" in words or words[0] in ("doctor", "exporter", "watch"):
            continue
        result = in_process(*words, "--json", env=environment(agent.address))
        found[f"{name} --json"] = (result.returncode, result.stdout, result.stderr)
        assert result.stdout.isascii()
    _judge(found)
    assert "consul_lock_holders{" in found["exporter"][1]
    # It is there, escaped.
    for name in ("ls", "status lock", "holders lock", "cron show job", "cron ls --format"):
        assert r"web\x1b[2J" in found[name][1], name
    assert json.loads(found["status lock --json"][1])["items"][0]["holders"][0]["host"] == HOSTILE


def test_what_others_have_written_is_shown_and_not_obeyed_on_a_terminal(
    agent: Agent, scene: HostileScene, tmp_path: Path
) -> None:
    """With its colours, and the live line of who waits."""
    every = {**_reads(scene), **_runs(scene)}
    found = _done(agent, {name: every[name] for name in _ON_A_TERMINAL}, tmp_path, "--terminal")
    _judge(found)
    for name in ("ls", "watch", "status lock", "run -n", "run -w", "cron run busy", "break"):
        assert r"web\x1b[2J" in found[name][1], (name, found[name])


def test_what_others_have_written_is_reported_and_not_obeyed_by_what_runs_in_a_pipe(
    agent: Agent, tmp_path: Path
) -> None:
    """Its messages have the names of holders, reasons of pauses, and values."""
    own = HostileScene(agent, f"hostile-{uuid4().hex[:12]}")
    try:
        found = _done(agent, _runs(own), tmp_path)
    finally:
        own.close()
    _judge(found)
    # What a hook gets is one line of its environment, whatever the host of the record is.
    assert "\nCONSUL_LOCK_CRON_LOST_HOST=web\\x1b[2J" in found["cron run lost"][2]
    for name in ("run -n", "run --dry-run", "run -w"):
        assert r"web\x1b[2J" in found[name][1] + found[name][2], (name, found[name])


@pytest.mark.parametrize("status", [200, 301, 401, 403, 418, 429, 500, 504])
def test_an_answer_of_a_server_is_reported_and_not_obeyed(status: int, tmp_path: Path) -> None:
    """The agent's or that of a proxy before it: on one line, in text and as JSON."""
    location = {"Location": "http://x.invalid/\x9b1;1H\x1b[2J"} if status == 301 else {}
    answer = Answer(status, location, (HOSTILE * 3).encode())
    with scripted_server(answer) as server:
        env = environment(server.address, CONSULLOCK_RETRY_FOR="0", HOME=str(tmp_path))
        for words in (["ls"], ["status", "k"], ["cron", "show", "k"], ["doctor"],
                      ["ls", "--log-format", "json"]):  # fmt: skip
            result = in_process(*words, env=env)
            assert result.returncode not in (0, 70), result
            assert harmful(result.stdout + result.stderr) == [], words
            if words[0] in ("ls", "status"):
                assert len(result.stderr.splitlines()) <= 2
