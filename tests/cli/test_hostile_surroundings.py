"""What another user may have put around consul-lock: the folder it starts in, PATH, PYTHONPATH, and
rights that are not the caller's.  SECURITY.md says which of these are defended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, PATIENCE, environment

Result = subprocess.CompletedProcess[str]

_SCRIPT = str(Path(sys.executable).with_name("consul-lock"))
"""The installed command."""

_PLANTED = "import os, sys; os.write(2, b'PLANTED\\n'); sys.exit(99)\n"


def _start(*words: str, cwd: Path, **more: str) -> Result:
    return subprocess.run(
        words, cwd=cwd, env=environment(None, HOME=str(cwd), **more), capture_output=True,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the rights of another user")
@pytest.mark.parametrize("kind", ["user", "group"])
def test_with_the_rights_of_another_user_than_the_caller_it_refuses(
    tmp_path: Path, kind: str
) -> None:
    """As a set-user-ID program around it would give them: before anything is read or started."""
    borrow = "os.setresuid(65534, 0, 0)" if kind == "user" else "os.setresgid(65534, 0, 0)"
    words = [sys.executable, "-m", "consul_lock_cli", "run", "-k", "k", "--", "echo", "started"]
    program = f"import os, sys; {borrow}; os.execv(sys.executable, {words!r})"
    result = _start(sys.executable, "-c", program, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (78, "")
    first, hint = result.stderr.splitlines()
    assert first.startswith("consul-lock: refusing to run set-user-ID or set-group-ID")
    assert hint.startswith("hint: ")


def test_nothing_in_the_folder_where_it_starts_is_run_or_read(
    tmp_path: Path, address: str, key: str
) -> None:
    """Neither a module, nor a setting, nor a program of COMMAND's name: it may be /tmp."""
    for name in ("click.py", "json.py", "consul.py", "consul_lock.py", "sitecustomize.py"):
        (tmp_path / name).write_text(_PLANTED)
    for name in ("config.toml", "consul-lock.toml", ".consul-lock.toml"):
        (tmp_path / name).write_text("[consul]\nhttp-addr = '127.0.0.1:1'\n")
    (tmp_path / "planted").write_text("#!/bin/sh\necho PLANTED\n")
    (tmp_path / "planted").chmod(0o755)
    words = (_SCRIPT, "run", "--key", key, "--")
    result = _start(*words, "echo", "ran", cwd=tmp_path, CONSUL_HTTP_ADDR=address)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")
    result = _start(*words, "planted", cwd=tmp_path, CONSUL_HTTP_ADDR=address)
    assert (result.returncode, result.stdout) == (127, "")
    assert "PLANTED" not in result.stderr


def test_no_program_but_command_is_looked_up_in_path(
    tmp_path: Path, address: str, key: str
) -> None:
    """The shell of a hook has an absolute path.  COMMAND is found as by any shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "python3", "consul", "ps", "stty", "id", "hostname", "mycommand"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/ran\n")
        (folder / name).chmod(0o755)
    words = (_SCRIPT, "run", "--key", key, "--on-acquire", ":", "--on-success", ":", "--")
    variables = {"CONSUL_HTTP_ADDR": address, "PATH": str(folder)}
    assert _start(*words, "/bin/echo", cwd=tmp_path, **variables).returncode == 0
    assert not (tmp_path / "ran").exists()
    assert _start(*words, "mycommand", cwd=tmp_path, **variables).returncode == 0
    assert (tmp_path / "ran").read_text() == "mycommand\n"


def test_pythonpath_is_obeyed_unless_python_is_started_isolated(tmp_path: Path) -> None:
    """As SECURITY.md says: what sets the environment decides what runs.  With -I, as after sudo,
    which removes the variable, it is not looked at; nor is the folder of ``-m`` with -P."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "click.py").write_text(_PLANTED)
    assert _start(_SCRIPT, "version", cwd=tmp_path, PYTHONPATH=str(folder)).returncode == 99
    isolated = (sys.executable, "-I", _SCRIPT, "version")
    result = _start(*isolated, cwd=tmp_path, PYTHONPATH=str(folder))
    assert (result.returncode, result.stderr) == (0, "")
    assert _start(*COMMAND, "version", cwd=folder).returncode == 99
    module = (sys.executable, "-P", "-m", "consul_lock_cli", "version")
    assert _start(*module, cwd=folder).returncode == 0
