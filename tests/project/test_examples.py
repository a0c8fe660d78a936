"""Every example runs, and does what it says."""

from __future__ import annotations

import ast
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from consul_lock import Client, Lock
from consul_lock_cli.main import cli
from consul_lock_cli.process.descendants import Process
from tests.cli.command import children, is_guardian
from tests.support.waiting import eventually

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

EXPECTED = {
    "lock.py": ["mine, with the token", "others see:"],
    "asyncio_lock.py": [f"task {number} has the lock" for number in range(10)],
    "guarded_write.py": ["the counter is 2"],
    "events.py": [
        "waiting, as it is held by the first",
        "handed over to the second",
        "handed over after a wait: True",
        "released after it was held: True",
        "events that nobody has seen: 0",
    ],
    "loss.py": ["lost: session-invalid", "held: False", "ended with: session-invalid"],
    "semaphore.py": [
        *(f"download {number} ran" for number in range(3)),
        "the big job has two slots",
        "a small one fits in beside it: True",
        "and no more than one: False",
        "with a limit of 4: True",
        "holders: 3",
    ],
    "read_write.py": [
        "the writer is alone",
        "a reader got in beside it: False",
        "after the downgrade it did: True",
        "and the former writer reads on: True",
    ],
    "cron_job.py": [
        "not more than one of them has run it: True",
        "attempt 1 has a token: True",
        "it failed",
        "attempt 2 is well",
        "once more: taken",
        "CronRecord(name='examples/report'",
    ],
    "related.py": [
        "pears are free: False",
        "the cart is free: False",
        "the neighbour is free: True",
    ],
    "election.py": [
        "leads, with the token",
        "it is lost: its session is destroyed",
        "nobody leads",
        "both have led: node-1 node-2",
    ],
    "asyncio_election.py": [
        "term 1 begins",
        "others see: node-1 in its term 1",
        "the lead is lost, so the task is cancelled",
        "term 2 begins",
        "done",
    ],
    "deploy.sh": ["deploying with fencing token"],
    "demo.py": ["first: the lock is mine", "second: the lock is mine", "one after the other"],
}


def test_every_example_has_a_test():
    """An example that is not run is a claim that nobody checks."""
    found = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert found == set(EXPECTED)


def test_a_program_needs_nothing_but_the_library():
    """It runs wherever that is installed, without a package that a newcomer would have to find."""
    for path in EXAMPLES.glob("*.py"):
        modules = [
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        ]
        roots = {name.partition(".")[0] for name in modules}
        assert roots - sys.stdlib_module_names <= {"consul_lock"}, path.name


def _command_lines() -> list[list[str]]:
    """Those of consul-lock in the crontab, the unit of systemd and the CronJob."""
    crontab = (EXAMPLES / "crontab").read_text().replace("\\%", "%")
    service = (EXAMPLES / "systemd" / "sync.service").read_text()
    job = (EXAMPLES / "kubernetes-cronjob.yaml").read_text().partition("command:\n")[2]
    return [
        *(
            shlex.split(line.split(" root ")[1])
            for line in crontab.splitlines()
            if " root " in line
        ),
        shlex.split(re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)[0]),
        re.findall(r"^ +- (.*)$", job, re.MULTILINE),
    ]


@pytest.mark.parametrize("words", _command_lines(), ids=lambda words: words[-1])
def test_the_jobs_of_the_examples_can_be_started(words, agent):
    """With a dry run: the options are right, and what is to be run is a program's path."""
    program, *options = words
    assert pathlib.Path(program).name == "consul-lock"
    assert options[:2] == ["cron", "run"]
    at = options.index("--")
    assert options[at + 1].startswith("/usr/local/bin/")
    done = subprocess.run(
        [sys.executable, "-m", "consul_lock_cli", *options[:at], "--dry-run", "--", "true"],
        env={**os.environ, "CONSUL_HTTP_ADDR": agent.address},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["leader", "backup"])
def test_the_services_of_the_examples_have_options_that_there_are(name):
    """They are parsed as the command does it; systemd replaces nothing in them."""
    unit = (EXAMPLES / "systemd" / f"{name}.service").read_text()
    program, command, *options = shlex.split(re.findall(r"(?m)^ExecStart=(.*)$", unit)[0])
    assert program == "/usr/local/bin/consul-lock"
    words = cli.commands[command].make_context(command, options).params["command"]
    assert words == (f"/usr/local/bin/{options[-1].rpartition('/')[2]}",)


def test_the_service_of_the_exporter_has_options_that_there_are():
    """It watches the prefixes that docs/monitoring.md has, where that page says."""
    unit = (EXAMPLES / "systemd" / "exporter.service").read_text()
    program, command, *options = shlex.split(re.findall(r"(?m)^ExecStart=(.*)$", unit)[0])
    assert (program, command) == ("/usr/local/bin/consul-lock", "exporter")
    found = cli.commands[command].make_context(command, options).params
    assert found["prefix"] == ("jobs/", "deploy/")
    assert str(found["listen"]) == "127.0.0.1:9852"


def _pid_namespace() -> bool:
    asked = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    return shutil.which("unshare") is not None and not subprocess.run(asked, check=False).returncode


@pytest.mark.skipif(not _pid_namespace(), reason="needs a pid namespace of its own")
def test_the_command_line_of_the_container_works_as_pid_1(agent):
    """As `docker stop` does it: TERM goes to pid 1 alone; the worker stops, an orphan is reaped,
    the lock is free, and its exit code is that of the worker."""
    lines = (EXAMPLES / "docker" / "Dockerfile").read_text()
    (entry,) = re.findall(r"(?m)^ENTRYPOINT (.*)$", lines)
    (command,) = re.findall(r"(?m)^CMD (.*)$", lines)
    program, *options = json.loads(entry)
    assert (program, json.loads(command)) == ("consul-lock", ["/usr/local/bin/worker"])
    worker = str(EXAMPLES / "docker" / "worker")
    # The sleep of the inner shell is an orphan once that has ended.
    orphan = f"(sh -c 'sleep 600 & :' &) ; readlink /proc/1/exe; exec {shlex.quote(worker)}"
    pid_1 = [sys.executable, "-m", "consul_lock_cli", *options, "sh", "-c"]
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *pid_1]
    env = {**os.environ, "CONSUL_HTTP_ADDR": agent.address}
    with subprocess.Popen(
        [*alone, orphan],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as outer:  # fmt: skip
        try:
            assert (
                pathlib.Path(outer.stdout.readline().strip())
                == pathlib.Path(sys.executable).resolve()
            )
            assert outer.stdout.readline().startswith("worker: has the lock, with the token ")
            (inside,) = (
                pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            )
            adopted = eventually(lambda: _orphan(int(inside)))
            os.kill(adopted, signal.SIGKILL)
            eventually(lambda: not pathlib.Path(f"/proc/{adopted}").exists())
            os.kill(int(inside), signal.SIGTERM)
            output, errors = outer.communicate(timeout=60)
        finally:
            outer.kill()
    # The shell of the worker may say that its sleep was terminated.
    assert (output, outer.returncode) == ("worker: stopping\n", 0)
    assert "consul-lock" not in errors
    with Client(agent.address) as client, Lock("worker", client=client)(timeout=0):
        pass
    assert subprocess.run([*alone, "exit 3"], env=env, check=False).returncode == 3


def _orphan(pid):
    """The pid of the sleep that the guardian, below this process, has adopted; None: not yet."""
    for guardian in children(pid):
        for child in children(guardian) if is_guardian(guardian) else ():
            if Process(child, "S").command_line() == "sleep 600":
                return child
    return None


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_units_of_the_examples(tmp_path):
    """But for the program, which is somewhere else here."""
    for name in sorted(path.name for path in (EXAMPLES / "systemd").iterdir()):
        text = (EXAMPLES / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/local/bin/consul-lock", "/bin/true"))
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_says_what_it_should(name, agent, tmp_path):
    """It ends well, and prints its words; the demo begins with the command that it is."""
    wrapper = tmp_path / "consul-lock"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m consul_lock_cli "$@"\n')
    wrapper.chmod(0o755)
    program = [] if name.endswith(".sh") else [sys.executable, "-W", "error::ResourceWarning"]
    done = subprocess.run(
        [*program, str(EXAMPLES / name)],
        env={
            **{name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"},
            "CONSUL_HTTP_ADDR": agent.address,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in EXPECTED[name]:
        assert words in done.stdout, done.stdout + done.stderr
    assert name != "demo.py" or done.stdout.startswith("$ consul-lock dev -- ")
