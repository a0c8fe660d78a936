"""The blocks of README.md and three pages of docs/ are run; what they say of files is true."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()
CRON = (ROOT / "docs" / "cron.md").read_text()
MONITORING = (ROOT / "docs" / "monitoring.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README + GUIDE + CRON, re.MULTILINE | re.DOTALL)
# Its other blocks are for Prometheus.
BLOCKS += re.findall(r"^```(python)\n(.*?)^```$", MONITORING, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The blocks of the README, the guide, docs/cron.md and docs/monitoring.md in one language."""
    return [text for found, text in BLOCKS if found == language]


def environment(address: str, tmp_path: pathlib.Path) -> dict[str, str]:
    """The agent of the tests, and a `consul-lock` on PATH."""
    wrapper = tmp_path / "consul-lock"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m consul_lock_cli "$@"\n')
    wrapper.chmod(0o755)
    for name in ("report", *re.findall(r"\./(\w+\.sh)", GUIDE)):
        (tmp_path / name).write_text("#!/bin/sh\necho ran $CONSUL_LOCK_KEY\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CONSUL_HTTP_ADDR": address}


def shell(
    command: str, env: dict[str, str], folder: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    """Run one line, as a user types it."""
    return subprocess.run(
        ["sh", "-e", "-c", command],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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


@pytest.mark.parametrize("text", blocks("bash"))
def test_shell_blocks_run(agent, tmp_path, text):
    """The shell blocks run line by line; the guide's with scripts in place of the user's."""
    for line in text.splitlines():
        done = shell(line, environment(agent.address, tmp_path), tmp_path)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        keys = re.findall(r"--key (\S+)", line)
        if "./" in line and "--dry-run" not in line:
            assert done.stdout == f"ran {' '.join(keys)}\n", line
        elif keys and "--dry-run" not in line:
            (words,) = re.findall(r" -- echo (\S+)", line)
            assert done.stdout == f"{words}\n", line


def test_the_commands_of_the_readme_need_no_file_of_the_user():
    """They work as they stand on a new machine; the crontab lines, too."""
    here = re.findall(r"^```(?:bash|crontab)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(here) == 2
    assert not [block for block in here if "./" in block]


def test_the_install_block_installs_the_command(tmp_path):
    """The lines run in a checkout, with two folders in place of those of the system.

    Nothing is downloaded: what the package needs is taken from where these tests run.
    """
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("consul_lock", "cli", "scripts"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("pyproject.toml", "hatch_build.py", "README.md"):
        shutil.copy(ROOT / name, checkout)
    (tmp_path / "opt").mkdir()
    (tmp_path / "bin").mkdir()
    env = {
        **os.environ,
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's own riddle: 0 turns the isolation off
    }
    (text,) = blocks("sh")
    assert len(text.splitlines()) == 3
    text = text.replace("/opt/", f"{tmp_path}/opt/").replace("/usr/local/bin", f"{tmp_path}/bin")
    done = shell(text.replace("python3", sys.executable), env, checkout)
    assert done.returncode == 0, done.stderr
    command = tmp_path / "bin" / "consul-lock"
    assert command.resolve().is_relative_to(tmp_path / "opt")
    done = shell(f"{command} version && {command} cron run --help", env, tmp_path)
    assert done.returncode == 0, done.stderr
    program = "import consul_lock, consul_lock_cli; print(consul_lock.__file__)"
    python = tmp_path / "opt" / "consul-lock" / "bin" / "python"
    where = shell(f"{python} -c '{program}'", env, tmp_path).stdout
    assert pathlib.Path(where).is_relative_to(tmp_path / "opt")


@pytest.mark.parametrize("text", blocks("crontab"))
def test_crontab_block_runs(agent, tmp_path, text):
    """The job of the crontab line runs once for its slot, and is silent where it is not run.

    The environment is that of Debian's cron, which has no folder of the administrator on PATH.
    """
    wrapper = environment(agent.address, tmp_path)
    command = text.split("root ", 1)[1].replace("/usr/local/bin/", f"{tmp_path}/")
    # Other tests run a job of the same name on this agent, and miss its slots.
    command = re.sub(r" --name (\S+) ", r" --name of-the-docs/\1 ", command)
    assert " --name of-the-docs/" in command
    assert "%" not in command  # it ends the line in a crontab
    env = {
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "HOME": str(tmp_path),
        "LOGNAME": "root",
        "CONSUL_HTTP_ADDR": wrapper["CONSUL_HTTP_ADDR"],
    }
    hosts = [shell(command, env, tmp_path) for _ in range(3)]
    assert [(host.returncode, host.stderr) for host in hosts] == [(0, "")] * 3
    slots = [host.stdout for host in hosts if host.stdout]
    # One, or two if a slot has ended meanwhile.
    assert 1 <= len(slots) < 3
    assert len(set(slots)) == len(slots)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d0:00Z\n", slot) for slot in slots)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_point_at_something_that_exists(page):
    """Every link to a file of the repository leads somewhere, and so does one to a heading."""
    links = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text())
    for target, heading in links:
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, (target, heading)


def test_every_page_is_linked():
    """The README leads to each page of docs/ in one step."""
    assert not [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in README]


def test_make_knows_what_it_names():
    """Every `make` target that the README names is in the Makefile."""
    named = set(re.findall(r"^    make (\w+)$", README, re.MULTILINE))
    assert named == {"demo", "test"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_the_demo_installs_no_tools_of_developers():
    """Its environment is made of the package and what that needs."""
    makefile = (ROOT / "Makefile").read_text()
    (stamp,) = re.findall(r"^demo: (\S+)$", makefile, re.MULTILINE)
    (recipe,) = re.findall(rf"^{stamp}: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert re.search(r" -e \.$", recipe, re.MULTILINE)
    assert "dev" not in recipe
