"""What users install: the wheel."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]

_SOURCES = (".py", "py.typed", ".bash", ".zsh", ".fish")
"""What the names of the files end with that a wheel has to have."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the tree by the tool that builds releases, with what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    # No isolation: the build needs no network, and hatchling is in the environment.
    _python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(_ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel in it, and with nothing of the source tree."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    _python("-m", "venv", "--without-pip", str(home))
    python = home / "bin" / "python"
    site = _said(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    # What the .venv has (the dependencies), but after the wheel, and without .pth files, by
    # which an editable install would bring the source tree in.
    ours = _said(Path(sys.executable), "import sysconfig; print(sysconfig.get_path('purelib'))")
    Path(site, "dependencies.pth").write_text(f"{ours}\n")
    _python(
        "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index",
        "--disable-pip-version-check", str(wheel),
    )  # fmt: skip
    return python


def _python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _said(python: Path, program: str) -> str:
    # -I: neither the current folder nor the environment adds to the path.
    done = subprocess.run(
        [str(python), "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _version() -> str:
    scope: dict[str, str] = {}
    exec((_ROOT / "consul_lock" / "_version.py").read_text(), scope)
    return scope["__version__"]


def test_the_wheel_has_the_packages_and_nothing_else(wheel: Path) -> None:
    """No `cli`, no `tests`: names that would be everybody's."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = f"consul_lock_toolkit-{_version()}.dist-info"
    data = info.replace(".dist-info", ".data")
    packages = {name.split("/")[0] for name in names} - {info, data}
    assert packages == {"consul_lock", "consul_lock_cli"}
    assert not [name for name in names if "__pycache__" in name]
    shared = {name.removeprefix(f"{data}/data/") for name in names if name.startswith(data)}
    assert shared == {
        "share/man/man1/consul-lock.1",
        "share/bash-completion/completions/consul-lock",
        "share/zsh/site-functions/_consul-lock",
        "share/fish/vendor_completions.d/consul-lock.fish",
    }


def test_the_wheel_has_every_file_of_the_tree(wheel: Path) -> None:
    """Also those in folders."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".data/" not in name]
    packed = {name for name in names if name.endswith(_SOURCES)}
    bases = ((_ROOT, "consul_lock"), (_ROOT / "cli", "consul_lock_cli"))
    tree = {
        str(path.relative_to(base))
        for base, name in bases
        for path in (base / name).rglob("*")
        if path.name.endswith(_SOURCES)
    }
    assert packed == tree


def test_the_installed_packages_can_be_imported_and_cli_can_not(installed: Path) -> None:
    """From the wheel, not from the source tree."""
    file = _said(installed, "import consul_lock; print(consul_lock.__file__)")
    assert Path(file).is_relative_to(installed.parent.parent)
    assert not _said(installed, "import consul_lock_cli.main, consul_lock.testing")
    program = "import importlib.util as u; print([u.find_spec(n) for n in ('cli', 'tests')])"
    assert _said(installed, program) == "[None, None]"


def test_the_version_is_the_same_everywhere(installed: Path) -> None:
    """In the code, in the metadata, and as the command says it."""
    assert _said(installed, "import consul_lock; print(consul_lock.__version__)") == _version()
    program = "import importlib.metadata as m; print(m.version('consul-lock-toolkit'))"
    assert _said(installed, program) == _version()
    command = [str(installed), "-I", str(installed.parent / "consul-lock"), "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _version() in done.stdout


def test_the_project_file_agrees_with_the_design() -> None:
    """Two dependencies, for asyncio no other, Python 3.11: what the README promises."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["dependencies"] == ["python-consul2>=0.1.5", "click>=8.1"]
    extras = {"cron", "dev", "fuzz", "otel", "prometheus"}
    assert set(project["optional-dependencies"]) == extras
    assert project["scripts"] == {"consul-lock": "consul_lock_cli.entry:main"}
