"""`consul-lock run` where something is missing, replaced, very large, or cut off by a proxy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import consul_lock
import consul_lock_cli
from tests.cli.command import COMMAND, PATIENCE, Running, environment
from tests.cli.conftest import Result
from tests.support.actions import PASS, Action
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]

_READ_ONLY = "mount -o remount,ro,bind /"
_NO_SHELL = 'mount --bind /dev/null "$(readlink -f /bin/sh)"'


def _in_a_system(change: str, *words: str, address: str) -> Result:
    """A command after a change of the file system that nobody else sees."""
    program = ["unshare", "-m", "sh", "-c", f'{change} && exec "$@"', "sh"]
    return subprocess.run(
        [*program, *words],
        env=environment(address),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _changeable(change: str) -> bool:
    return not _in_a_system(change, "true", address="").returncode


@pytest.mark.parametrize("change", [_READ_ONLY, _NO_SHELL], ids=["read-only root", "no shell"])
def test_it_needs_no_file_of_its_own_and_no_shell(change: str, address: str, key: str) -> None:
    """It runs, and releases; a descriptor takes the report where no file can be written."""
    if not _changeable(change):
        pytest.skip("the file system cannot be changed here")
    command = (*COMMAND, "run", "--key", key, "--status-fd", "2", "--", "echo", "mine")
    for _ in range(2):
        result = _in_a_system(change, *command, address=address)
        assert (result.returncode, result.stdout) == (0, "mine\n")
        (report,) = result.stderr.splitlines()
        assert '"exit_code": 0' in report


def test_the_command_gets_almost_two_megabytes_of_arguments(locked_run: LockedRun) -> None:
    """Linux takes 2 MiB with the environment, and 128 KiB for one."""
    program = "import sys; print(sum(map(len, sys.argv[1:])))"
    words = ["x" * 100_000] * 18
    result = locked_run("--", sys.executable, "-c", program, *words)
    assert (result.returncode, result.stdout) == (0, "1800000\n")


def test_the_command_inherits_descriptors_and_none_of_consul_lock(address: str, key: str) -> None:
    """Those that the caller has opened for it."""
    reader, writer = os.pipe()
    program = (
        f"import os; os.write({writer}, b'through');"
        " print([int(each) for each in os.listdir('/proc/self/fd')])"
    )
    try:
        result = subprocess.run(
            [*COMMAND, "run", "--key", key, "--", sys.executable, "-c", program],
            env=environment(address),
            pass_fds=(writer,),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert os.read(reader, 100) == b"through"
        (listing,) = set(json.loads(result.stdout)) - {0, 1, 2, writer}
        assert listing < 5  # that of the folder itself, the first number that was free
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("end", ["own", "break"])
def test_it_comes_to_its_end_though_it_was_deinstalled_meanwhile(
    end: str, tmp_path: Path, address: str, key: str
) -> None:
    """An upgrade replaces the files of a consul-lock that is at work."""
    packages = tmp_path / "packages"
    for package in (consul_lock, consul_lock_cli, click):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, packages / source.name, ignore=shutil.ignore_patterns("*.pyc"))
    ending = tmp_path / "end"
    waiting = f"echo ready; while [ ! -e {ending} ]; do sleep 0.05; done; exit 5"
    arguments = ["run", "--key", key, "--", "sh", "-c", waiting]
    with Running(arguments, environment(address, PYTHONPATH=str(packages))) as running:
        assert running.line() == "ready"
        shutil.rmtree(packages)
        if end == "own":
            ending.touch()
        else:
            broken = [*COMMAND, "break", key, "--yes"]
            subprocess.run(broken, env=environment(address), check=True, capture_output=True)
        assert running.wait() == (5 if end == "own" else 76), running.errors()
        assert "Traceback" not in running.errors()
        assert "No module" not in running.errors()
    if end == "own":
        again = [*COMMAND, "run", "-n", "--key", key, "--", "true"]
        subprocess.run(again, env=environment(address), check=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(504, {"content-type": "text/html"}, b"<html>504 nginx</html>"),
        Answer(502, {"content-type": "text/html"}, b"<html>502 nginx</html>"),
    ],
    ids=["504", "502"],
)
def test_a_proxy_that_ends_long_requests_keeps_nobody_from_the_lock(
    answer: Answer, holder: Running, address: str, key: str
) -> None:
    """As nginx does after its proxy_read_timeout: the waiter asks again, and keeps its place."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return answer if "index=" in path else PASS

    with Proxy(address, rule) as proxy:
        arguments = ["run", "-k", key, "--", "echo", "mine"]
        with Running(arguments, environment(proxy.address)) as running:
            eventually(lambda: proxy.count("GET", "kv?wait") >= 2)
            holder.send(15)
            assert running.line() == "mine"
            assert running.wait() == 0
            assert running.errors() == ""
