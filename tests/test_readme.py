"""The blocks of README.md are run, and what it says of files and commands is true."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CRON = (ROOT / "docs" / "cron.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README + CRON, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The blocks of the README, and of docs/cron.md, in one language."""
    return [text for found, text in BLOCKS if found == language]


def environment(address: str, tmp_path: pathlib.Path) -> dict[str, str]:
    """The agent of the tests, and a `consul-lock` on PATH."""
    wrapper = tmp_path / "consul-lock"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m consul_lock_cli "$@"\n')
    wrapper.chmod(0o755)
    (tmp_path / "sync").write_text("#!/bin/sh\necho ran $CONSUL_LOCK_CRON_SLOT\n")
    (tmp_path / "sync").chmod(0o755)
    for name in ("report", *re.findall(r"\./(\w+\.sh)", README)):
        (tmp_path / name).write_text("#!/bin/sh\necho ran $CONSUL_LOCK_KEY\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CONSUL_HTTP_ADDR": address}


@pytest.mark.parametrize("text", blocks("python"))
def test_python_blocks_run(text, agent, tmp_path):
    """Each Python block runs by itself against a real agent, and warns of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", text],
        env=environment(agent.address, tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_shell_blocks_run(agent, tmp_path):
    """The shell block runs line by line, with scripts of our own in place of the user's."""
    (text,) = (t for t in blocks("bash"))
    for line in text.splitlines():
        done = subprocess.run(
            ["sh", "-e", "-c", line],
            env=environment(agent.address, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
        keys = re.findall(r"--key (\S+)", line)
        if keys and "--dry-run" not in line:
            assert done.stdout == f"ran {' '.join(keys)}\n", line


@pytest.mark.parametrize("text", blocks("crontab"))
def test_crontab_block_runs(agent, tmp_path, text):
    """The job of the crontab line runs once for its slot, and is silent where it is not run."""
    command = re.sub(r"/usr/local/bin/\w+", "sync", text.split("root ", 1)[1])
    env = environment(agent.address, tmp_path)
    hosts = [
        subprocess.run(
            ["sh", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        for _ in range(3)
    ]
    assert [(host.returncode, host.stderr) for host in hosts] == [(0, "")] * 3
    slots = [host.stdout for host in hosts if host.stdout]
    # One, or two if a slot has ended meanwhile.
    assert 1 <= len(slots) < 3
    assert len(set(slots)) == len(slots)
    assert all(re.fullmatch(r"ran \d{4}-\d\d-\d\dT\d\d:\d0:00Z\n", slot) for slot in slots)


def test_what_it_links_to_is_there():
    """Every link to a file of the repository leads somewhere."""
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]


def test_make_knows_what_it_names():
    """Every `make` target that the README names is in the Makefile."""
    named = set(re.findall(r"^    make (\w+)$", README, re.MULTILINE))
    assert named == {"demo", "test"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)
