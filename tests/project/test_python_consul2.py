"""python-consul2 is found without an import of it, and what is another `consul` is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import consul
import pytest
import six

import consul_lock
from tests.support.promised import missing

_LIBRARY = Path(consul_lock.__file__).parent
_CONSUL = Path(consul.__file__).parent
_NEITHER = "assert not {'consul', 'consul.base', 'requests', 'urllib3'} & set(sys.modules)\n"
_REMEDY = "an environment of its own"


def _python(
    program: str, *path: Path, cwd: Path | None = None, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, with folders before its own ones."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *flags, "-c", f"import sys\n{program}"],
        env=env, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _runs(program: str, *path: Path, cwd: Path | None = None) -> None:
    done = _python(program, *path, cwd=cwd)
    assert done.returncode == 0, done.stderr


# What a client says, and with what kind; importing its name must work all the same.
_COMPLAINT = """
from {module} import Client, ConfigError, Lock
try:
    Client("127.0.0.1")
except ConfigError as error:
    assert not any(name.split(".")[0] == "consul" for name in sys.modules), "it was run"
    print(error.kind, error)
"""


def _complaint(*path: Path, module: str = "consul_lock", flags: tuple[str, ...] = ()) -> str:
    done = _python(_COMPLAINT.format(module=module), *path, flags=("-X", "dev", *flags))
    # Nor is anything half made left over for the end of the program.
    assert (done.returncode, done.stderr) == (0, "")
    kind, _, text = done.stdout.strip().partition(" ")
    assert kind == "no-python-consul2", done.stdout
    return text


# -- python-consul2 ------------------------------------------------------------------------------

_THEIRS = """
import consul, consul.base, consul.std
assert consul.Consul is consul.std.Consul and issubclass(consul.Consul, consul.base.Consul)
assert consul.Consul(port=9).kv.agent.http.base_uri == "http://127.0.0.1:9"
assert Client.from_consul(consul.Consul(port=9)).config.port == 9
consul.base.Consul.KV.get = None  # what a program changes there is its own affair
"""
_STILL = """
from consul_lock._protocol.consul import python_consul2
assert python_consul2.base().Consul.KV.get is not None
assert python_consul2.base() is not consul.base
"""


def test_a_programs_own_import_stays_whole_whichever_comes_first() -> None:
    """Neither package is in `sys.modules` for this library, so each import gets all of it."""
    _runs(f"from consul_lock import Client, Lock\nClient()\n{_NEITHER}{_THEIRS}{_STILL}")
    _runs(f"import consul\nfrom consul_lock import Client\n{_THEIRS}Client()\n{_STILL}")
    _runs(f"from consul_lock.aio import Client\nimport consul\n{_THEIRS}{_STILL}")


def test_a_mock_in_its_place_is_not_examined() -> None:
    """A mock of `consul` in tests of a program has no specification."""
    _runs(
        "import types, unittest.mock\n"
        "for stand_in in types.ModuleType('consul'), unittest.mock.Mock():\n"
        "    sys.modules['consul'] = stand_in\n"
        "    sys.modules.pop('consul_lock._protocol.consul.python_consul2', None)\n"
        "    from consul_lock._protocol.consul import python_consul2\n"
        "    assert python_consul2.base().Consul.KV\n"
        "    assert sys.modules['consul'] is stand_in\n"
    )


def test_it_is_found_in_a_zip_file(tmp_path: Path) -> None:
    """As a program that is one file brings it along."""
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(six.__file__, "six.py")
        for source in _CONSUL.glob("*.py"):
            packed.write(source, f"consul/{source.name}")
        for source in _LIBRARY.rglob("*.py"):
            packed.write(source, source.relative_to(_LIBRARY.parent))
    program = (
        "from consul_lock import Client, Lock\n"
        "Lock('x', client=Client())\n"
        "from consul_lock._protocol.consul.python_consul2 import base\n"
        f"assert base().__file__.startswith({str(archive)!r}), base().__file__\n"
    )
    done = _python(program, archive, flags=("-S",), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path) -> None:
    """Configuration of Consul in a folder of that name, where a program is started."""
    (tmp_path / "consul").mkdir()
    (tmp_path / "consul" / "agent.hcl").touch()
    _runs("from consul_lock import Client\nClient()", tmp_path, cwd=tmp_path)


# -- others --------------------------------------------------------------------------------------


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "consul" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


# The endpoints of `consul.base`, as far as it is looked at.
_OLD = "class Consul:\n" + "".join(
    f"    class {name}:\n        pass\n" for name in ("KV", "Txn", "Agent", "Session")
)
_OTHERS = {
    "py-consul, as it is now": {
        "__init__.py": "from consul.std import Consul\n__version__ = '1.8.0'\n",
        "std.py": "from consul import base\nclass Consul(base.Consul):\n    pass\n",
        "base.py": "from consul.api.kv import KV\n\n\nclass Consul:\n    pass\n",
        "api/__init__.py": "",
        "api/kv.py": "class KV:\n    pass\n",
    },
    "py-consul, as it was, and python-consul": {
        "__init__.py": "from consul.base import Consul\n",
        "base.py": _OLD,
    },
    "a package of the program": {"__init__.py": "", "client.py": ""},
    "one with another base": {"__init__.py": "", "base.py": "this is no Python"},
    "a module": {"../consul.py": "Consul = object\n"},
}


@pytest.mark.parametrize("module", ["consul_lock", "consul_lock.aio"])
@pytest.mark.parametrize("files", _OTHERS.values(), ids=[*_OTHERS])
def test_another_consul_is_named_with_the_remedy(
    files: dict[str, str], module: str, tmp_path: Path
) -> None:
    """When a client is made, not by an import; and nothing of it is run."""
    (tmp_path / "consul").mkdir()
    text = _complaint(_write(tmp_path, files), module=module)
    assert "'consul' is not python-consul2" in text
    assert str(tmp_path) in text
    assert _REMEDY in text
    assert "pipx" in text


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library and nothing that it needs."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "consul_lock").symlink_to(_LIBRARY)
    return folder


def test_no_consul_at_all_is_said(alone: Path, tmp_path: Path) -> None:
    """Uninstalling py-consul takes files of python-consul2 along."""
    assert "not installed" in _complaint(alone, flags=("-S",))
    # The rest of such a package: a folder that is no package any more.
    text = _complaint(_write(tmp_path, {"tornado.py": ""}), alone, flags=("-S",))
    assert "'consul' is not python-consul2" in text
    assert str(tmp_path) in text


def test_one_that_cannot_be_run_is_said(alone: Path, tmp_path: Path) -> None:
    """With what it says itself, here that the module six is missing."""
    shutil.copytree(_CONSUL, tmp_path / "consul")
    text = _complaint(tmp_path, alone, flags=("-S",))
    assert "python-consul2 cannot be loaded: No module named 'six'" in text
    assert "pip install" in text


# -- the real ones -------------------------------------------------------------------------------


class Installed(NamedTuple):
    """A real package, in a folder of its own."""

    name: str
    folder: Path


@pytest.fixture(scope="module", params=["py-consul==1.8.0", "py-consul==1.2.1"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed by pip; where pip cannot get it, the imitations above are all there is."""
    folder = tmp_path_factory.mktemp("other")
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--only-binary", ":all:", "--target", str(folder), request.param,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        missing(f"{request.param} cannot be installed: {done.stderr}")
    return Installed(request.param, folder)


def test_a_real_py_consul_is_named(other: Installed) -> None:
    """By a client of each API, by `from_consul` given one of its own, and by a Config."""
    for module in ("consul_lock", "consul_lock.aio"):
        assert str(other.folder) in _complaint(other.folder, module=module)
    program = """
import consul
from consul_lock import Client, ConfigError, aio
from consul_lock.config import Config
theirs = consul.Consul(port=9)
for make in Client.from_consul, aio.Client.from_consul, Config.from_consul:
    try:
        make(theirs)
    except ConfigError as error:
        assert error.kind == "no-python-consul2", error.kind
        assert "environment of its own" in error.hint
        assert consul.__path__[0] in error.problem, error
    else:
        raise SystemExit(f"{make} took it")
"""
    _runs(program, other.folder)


def test_python_consul2_over_py_consul_works_and_doctor_warns(
    other: Installed, tmp_path: Path
) -> None:
    """The reverse: what is there is whole for this library, and broken for the other."""
    shutil.copytree(other.folder / "consul", tmp_path / "consul")
    shutil.copytree(_CONSUL, tmp_path / "consul", dirs_exist_ok=True)
    _runs("from consul_lock import Client\nClient()", tmp_path)
    if (tmp_path / "consul" / "callback.py").exists():  # else they look the same
        finding = _doctor(tmp_path)
        assert finding["verdict"] == "warn"
        assert _REMEDY in finding["hint"]


# -- the command ---------------------------------------------------------------------------------


def _command(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(path), "CONSUL_HTTP_ADDR": "127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, "-m", "consul_lock_cli", *arguments],
        env=env, capture_output=True, text=True, check=False, cwd=path,
    )  # fmt: skip


def _doctor(path: Path) -> dict[str, str]:
    said = json.loads(_command("doctor", "--json", path=path).stdout)
    found: dict[str, str] = next(i for i in said["items"] if i["check"] == "packages")
    return found


@pytest.fixture
def imitation(tmp_path: Path) -> Path:
    """A folder in which py-consul is installed, as far as anybody looks."""
    return _write(tmp_path, _OTHERS["py-consul, as it is now"])


@pytest.mark.parametrize(
    "arguments",
    [["run", "--key", "k", "--", "true"], ["ls"], ["cron", "ls"], ["status", "k"]],
    ids=" ".join,
)
def test_the_command_ends_with_78_and_one_line(arguments: list[str], imitation: Path) -> None:
    """Also if it is started where a folder of that name is."""
    done = _command(*arguments, path=imitation)
    assert done.returncode == 78, done.stderr
    error, hint = done.stderr.splitlines()
    assert error.startswith("consul-lock: the Python package 'consul' is not python-consul2")
    assert hint.startswith("hint: py-consul is installed under the same name")
    assert _REMEDY in hint


def test_help_and_misuse_do_not_need_it(imitation: Path) -> None:
    """Nothing of it is loaded for them."""
    assert _command("run", "--help", path=imitation).returncode == 0
    assert _command("run", "--key", "a//b", "--", "true", path=imitation).returncode == 64


def test_doctor_says_which_it_is(imitation: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As the first thing that matters: nothing behind it can be tried without."""
    finding = _doctor(imitation)
    assert finding["verdict"] == "fail"
    assert "not python-consul2" in finding["text"]
    assert _REMEDY in finding["hint"]
    assert _doctor(tmp_path_factory.mktemp("empty"))["text"] == f"python-consul2 in {_CONSUL}"
