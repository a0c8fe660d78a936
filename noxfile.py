"""The wider checks: other Pythons, the built wheel, coverage.  `make test` is the daily one."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "wheel"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13"]

# What tests read, apart from the packages themselves.
WITH_TESTS = [
    "tests", "benchmarks", "contrib", "examples", "docs", "scripts", "pyproject.toml",
    "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "LICENSE",
]  # fmt: skip
# These look at the source tree, which the wheel session hides on purpose.
OF_THE_TREE = [
    "--ignore=tests/project/test_packaging.py",
    "--ignore=tests/project/test_layers.py",
    "--deselect=tests/project/test_readme.py::test_the_install_block_installs_the_command",
]


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff and mypy."""
    session.install("-e", ".[cron,dev]")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session
def types(session: nox.Session) -> None:
    """Let pyright read the public API as a user does; mypy does so in `lint`."""
    session.install("-e", ".[cron]", "pyright[nodejs]>=1.1.400")
    session.run("pyright")


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """Run the tests against the wheel as users install it, out of sight of the source tree."""
    session.run("python", "-m", "pip", "install", "--quiet", "build", silent=True)
    built = Path(session.create_tmp()) / "wheel"
    session.run("python", "-m", "build", "--wheel", "--outdir", str(built), silent=True)
    (found,) = built.glob("*.whl")
    session.install(f"{found}[cron,dev]")
    away = Path(session.create_tmp()) / "away"
    shutil.rmtree(away, ignore_errors=True)
    away.mkdir()
    for name in WITH_TESTS:
        _copy(Path(name), away)
    session.chdir(away)
    session.run("pytest", *OF_THE_TREE, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Say which lines no test reaches."""
    session.install("-e", ".[cron,dev]", "coverage[toml]>=7")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report", "--show-missing", "--skip-covered")


def _copy(source: Path, folder: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, folder / source.name)
    elif source.exists():
        shutil.copy(source, folder)
