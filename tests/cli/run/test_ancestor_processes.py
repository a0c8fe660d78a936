"""Waiting for a process above this one is refused, though no variable speaks of its lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from consul_lock import Status, Survey
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.run.ancestor_processes import refuse_ancestor_processes, unnamed_ancestors
from consul_lock_cli.spec.lock import LockKind, LockSpec
from tests.cli.command import COMMAND
from tests.cli.conftest import Result
from tests.cli.inspect_fixture import ask
from tests.cli.output.examples import holder, status

LockedRun = Callable[..., Result]

_ABOVE = frozenset([42])
_HOST = os.uname().nodename


class _Seen:
    """A survey that shows one status for every name."""

    def __init__(self, status: Status) -> None:
        self.status: Callable[[str], Status] = lambda _: status


def _refused(spec: LockSpec, seen: Status) -> bool:
    try:
        refuse_ancestor_processes(cast("Survey", _Seen(seen)), spec, _ABOVE)
    except Misuse:
        return True
    return False


def _held(*pids: int, host: str = _HOST, **more: Any) -> Status:
    return status(*(holder(host, pid=pid) for pid in pids), **more)


@pytest.mark.parametrize(
    "mode, limit, seen, refused",
    [
        (LockKind.LOCK, 1, _held(42), True),
        (LockKind.LOCK, 1, _held(43), False),
        (LockKind.LOCK, 1, _held(42, host="elsewhere"), False),
        (LockKind.LOCK, 1, _held(), False),
        (LockKind.MULTI, 1, _held(42), True),
        (LockKind.SEMAPHORE, 2, _held(42, kind="semaphore"), False),
        (LockKind.SEMAPHORE, 2, _held(42, 42, kind="semaphore"), True),
        (LockKind.SHARED, None, _held(42, kind="read-write", mode="read"), False),
        (LockKind.SHARED, None, _held(42, kind="read-write", mode="write"), True),
        (LockKind.EXCLUSIVE, 1, _held(42, kind="read-write", mode="read"), True),
        (LockKind.TREE, 1, _held(42, kind="read-write", mode="write"), True),
    ],
)
def test_what_ends_only_with_this_process_is_refused(
    mode: LockKind, limit: int | None, seen: Status, refused: bool
) -> None:
    """By the host and the process that a holder names."""
    assert _refused(LockSpec(("a/b",), mode, limit), seen) is refused


def test_only_processes_of_consul_lock_above_this_one_count(tmp_path: Path) -> None:
    """Up to the first process, or to what /proc hides."""
    for pid, parent, words in (
        (9, 8, b"sudo\0consul\0"),
        (8, 7, b"/usr/bin/python3\0/usr/bin/consul-lock\0run\0"),
        (7, 6, b"python3\0-m\0consul_lock_cli\0run\0"),
        (6, 5, b"sh\0-c\0true\0x\0consul-lock\0"),
    ):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes(words)
        (folder / "stat").write_text(f"{pid} (a ) b) S {parent} 1 1")
    assert unnamed_ancestors(tmp_path, 9) == {7, 8}
    assert unnamed_ancestors(tmp_path / "none", 9) == frozenset()


@pytest.mark.parametrize(
    "line, is_one",
    [
        ("/usr/local/bin/consul-lock run", True),
        ("python /venv/bin/consul-lock run", True),
        ("/usr/bin/python3.12 -I -Wd -X dev /venv/bin/consul-lock run", True),
        ("python3 -m consul_lock_cli run", True),
        ("python3 -Im consul_lock_cli.__main__ run", True),
        ("python3 -mconsul_lock_cli run", True),
        ("pypy3 --check-hash-based-pycs=always /src/consul_lock_cli run", True),
        ("python3 /src/consul_lock_cli/__main__.py run", True),
        ("make -C /src/consul-lock", False),
        ("vi consul-lock", False),
        ("/src/consul-lock/run-tests", False),
        ("python3 /src/consul-lock/setup.py", False),
        ("python3 -m pytest consul-lock", False),
        ("python3 -m consul_lock_clients", False),
        ("python3 -W consul-lock", False),
        ("python3 -c consul_lock_cli consul-lock", False),
        ("python3 /src/other/__main__.py consul-lock", False),
        ("python3 -", False),
        ("lock-guardian: /usr/bin/consul-lock", False),
    ],
)
def test_a_consul_lock_is_known_by_the_name_of_its_program(
    tmp_path: Path, line: str, is_one: bool
) -> None:
    """Or by what a Python runs; not by an argument that has that name in it."""
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "cmdline").write_bytes(line.replace(" ", "\0").encode() + b"\0")
    (tmp_path / "9" / "stat").write_text("9 (a) S 0 1 1")
    assert unnamed_ancestors(tmp_path, 9) == ({9} if is_one else frozenset())


def test_giving_up_at_once_and_another_key_are_fine(
    locked_run: LockedRun, address: str, key: str
) -> None:
    """Below an ancestor that the environment says nothing of."""
    bare = ["env", "-i", f"PATH={os.environ['PATH']}", f"CONSUL_HTTP_ADDR={address}", *COMMAND]
    assert locked_run("--", *bare, "run", "-n", "--key", key, "--", "true").returncode == 75
    assert locked_run("--", *bare, "run", "--key", f"{key}-b", "--", "true").returncode == 0


@pytest.mark.parametrize(
    "outer, inner",
    [
        (("run", "--key"), ("run", "--key")),
        (("run", "--key"), ("leader", "--key")),
        (("run", "--key"), ("cron", "run", "--slot", "b", "--overlap", "wait", "--name")),
        (("cron", "run", "--slot", "a", "--name"), ("cron", "run-now", "--wait", "1h")),
        (("cron", "run", "--slot", "a", "--name"), ("run", "--key")),
    ],
)
def test_whatever_waits_for_an_ancestor_without_the_environment_is_refused(
    outer: tuple[str, ...], inner: tuple[str, ...], address: str, key: str
) -> None:
    """Each command that waits, below one that holds: at once, with 64."""
    bare = ["env", "-i", f"PATH={os.environ['PATH']}", f"CONSUL_HTTP_ADDR={address}", *COMMAND]
    result = ask(address, *outer, key, "--", *bare, *inner, key, "--", "true")
    assert result.returncode == 64
    assert f"{key} would deadlock with an ancestor of this process (session " in result.stderr


def test_what_does_not_wait_for_an_ancestor_is_not_refused(address: str, key: str) -> None:
    """A job that skips the slot if an earlier run is alive, and one of another name."""
    bare = ["env", "-i", f"PATH={os.environ['PATH']}", f"CONSUL_HTTP_ADDR={address}", *COMMAND]
    outer = ["cron", "run", "--name", key, "--slot", "a", "--", *bare, "cron", "run"]
    skipping = ask(address, *outer, "--name", key, "--slot", "b", "--", "echo", "started")
    assert (skipping.returncode, skipping.stdout) == (0, "")
    outer[5] = "c"
    other = ["--name", f"{key}-b", "--slot", "b", "--overlap", "wait"]
    assert ask(address, *outer, *other, "--", "echo", "started").stdout == "started\n"
