"""A system that refuses processes, pipes or threads: 71, one line, and nothing is left."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.command import COMMAND, PATIENCE, consul, environment
from tests.cli.process_tree import helpers_of
from tests.support.waiting import eventually

# Without any privilege but to read what root's Python is made of.
_RIGHTS = "+dac_override,+dac_read_search"

# `python -c PROGRAM N ARGUMENTS`: with N descriptors more than a Python needs to get there.
_FEW_DESCRIPTORS = """
import os, resource, sys
import consul_lock_cli.commands.run
from consul_lock_cli.main import main
limit = 3 + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
main(sys.argv[2:])
"""


def _few_descriptors(count: int) -> list[str]:
    return [sys.executable, "-c", _FEW_DESCRIPTORS, str(count)]


def _few_processes(count: int) -> list[str]:
    """Threads too, and the wrapper itself; of somebody who has none, as root has no limit."""
    somebody = str(random.randrange(100_000, 60_000_000))
    return [
        "setpriv", "--reuid", somebody, "--clear-groups", "--bounding-set", f"-all,{_RIGHTS}",
        "--inh-caps", _RIGHTS, "--ambient-caps", _RIGHTS, "prlimit", f"--nproc={count}", *COMMAND,
    ]  # fmt: skip


def _can_limit_processes() -> bool:
    if os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("prlimit")):
        return False
    command = [*_few_processes(9)[:-3], "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "limited, least",
    [
        (_few_descriptors, 1),
        pytest.param(
            _few_processes,
            1,
            marks=pytest.mark.skipif(not _can_limit_processes(), reason="needs root's rights"),
        ),
    ],
)
def test_a_limit_that_is_reached_is_71_and_nothing_is_left(
    limited: Callable[[int], list[str]], least: int, address: str, key: str, tmp_path: Path
) -> None:
    """Whichever process, pipe or thread is one too many: each limit until one will do."""
    started = tmp_path / "started"
    for count in range(least, least + 12):
        mark = uuid4().hex
        command = [*limited(count), "run", "--key", key, "--", "touch", str(started)]
        env = environment(address, CONSUL_LOCK_TEST=mark)
        result = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        eventually(lambda mark=mark: not helpers_of(mark, 0))
        if result.returncode == 0:
            break
        assert not started.exists()
        lines = result.stderr.splitlines()
        assert result.returncode == 71, (count, lines)
        assert [line.split(":")[0] for line in lines] == ["consul-lock", "hint"]
        assert "Errno" not in lines[0]
        assert not consul(address, "GET", f"/v1/kv/{key}?recurse")
    assert started.exists(), result
    assert count >= least + 2
