"""Public names are imported when they are used, and are all there all the same."""

from __future__ import annotations

import ast
import json
import pickle
import pydoc
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import consul_lock
from consul_lock import aio

_PACKAGE = Path(consul_lock.__file__).parent
_APIS = pytest.mark.parametrize("api", [consul_lock, aio], ids=["threads", "asyncio"])

# The modules that a program has loaded by its end.
_LOADED = "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"


def _loaded(program: str) -> set[str]:
    """By a fresh interpreter that runs the program."""
    done = subprocess.run(
        [sys.executable, "-c", program + _LOADED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def _run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _of_library(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "consul_lock"}


@pytest.mark.parametrize("light", ["errors", "limits", "names", "_version"])
def test_errors_limits_and_names_load_nothing_else(light: str) -> None:
    """Of the library, and nothing that it depends on."""
    found = _loaded(f"import consul_lock.{light}")
    assert _of_library(found) == {"consul_lock", f"consul_lock.{light}"}
    assert not found & {"consul", "requests", "urllib3", "six", "ssl", "asyncio", "socket"}


def test_a_bare_import_loads_nothing_and_has_its_modules_as_attributes() -> None:
    """`consul_lock.errors` and `.config` without an import of their own, as ever."""
    assert _of_library(_loaded("import consul_lock")) == {"consul_lock"}
    _run(
        "import consul_lock as c\n"
        "assert c.errors.LockLost is c.LockLost\n"
        "assert c.config.Config().port == 8500\n"
        "assert c.limits.TTL_MIN == 10 and c.names.NAME_MAX == 512\n"
    )


def test_one_name_does_not_load_the_others() -> None:
    """A program with a lock pays for no cron jobs and semaphores, and threads not for asyncio."""
    found = _of_library(_loaded("from consul_lock import Lock"))
    assert not [name for name in found if "cron" in name or "_async" in name]
    assert not {"consul_lock._drivers.asyncio", "consul_lock._blocking.survey"} & found
    assert "consul_lock._protocol.weighted" not in found
    found = _of_library(_loaded("from consul_lock.aio import Lock"))
    assert not [name for name in found if "cron" in name or "_blocking" in name]


@_APIS
def test_every_name_is_there_and_dir_and_star_are_whole(api: types.ModuleType) -> None:
    """Also in a program that has used none of them yet."""
    assert set(api.__all__) <= set(dir(api))
    _run(
        f"import {api.__name__} as api\n"
        "assert set(api.__all__) <= set(dir(api)) and dir(api) == sorted(dir(api))\n"
        "assert all(getattr(api, name) is not None for name in api.__all__)\n"
        f"scope = {{}}\nexec('from {api.__name__} import *', scope)\n"
        "assert set(api.__all__) <= set(scope)\n"
        "assert all(scope[name] is getattr(api, name) for name in api.__all__)\n"
    )


@_APIS
def test_a_wrong_name_is_refused_as_ever(api: types.ModuleType) -> None:
    """With the same error as of any module, which `hasattr` understands."""
    assert not hasattr(api, "Lokc")
    with pytest.raises(AttributeError, match=f"module '{api.__name__}' has no attribute 'Lokc'"):
        api.Lokc  # noqa: B018 - the access is the test
    with pytest.raises(ImportError, match="Lokc"):
        exec(f"from {api.__name__} import Lokc", {})


@_APIS
def test_a_type_checker_sees_the_names_that_exist(api: types.ModuleType) -> None:
    """The plain imports, the table of homes and `__all__` say the same."""
    seen = dict(_seen(Path(api.__file__ or "")))
    homes = vars(api)["_HOMES"]
    modules = dict.fromkeys(vars(api).get("_MODULES", ()), "consul_lock")
    assert seen == {**homes, **modules}
    assert sorted(homes) == sorted(api.__all__)
    for name, home in homes.items():
        assert getattr(api, name) is getattr(import_module(home), name)


def _seen(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for each in node.body:
                assert isinstance(each, ast.ImportFrom)
                yield from ((alias.name, each.module or "") for alias in each.names)


@_APIS
def test_classes_can_be_pickled_and_described(api: types.ModuleType) -> None:
    """As nothing of them is lazy but their import."""
    for name in api.__all__:
        thing = getattr(api, name)
        assert pickle.loads(pickle.dumps(thing)) is thing or isinstance(thing, str)
    text = pydoc.plain(pydoc.render_doc(api))
    assert all(name in text for name in api.__all__ if name != "__version__")
    assert consul_lock.__version__ in text
    error = consul_lock.LockTimeout("text", key="k")
    _run(f"import pickle\nassert pickle.loads({pickle.dumps(error)!r}).key == 'k'\n")


_PROGRAMS = {
    "threads": 'from consul_lock import Client, Lock; Lock("x", client=Client())',
    "asyncio": 'from consul_lock.aio import Client, Lock; Lock("x", client=Client())',
}


@pytest.mark.parametrize("program", _PROGRAMS.values(), ids=[*_PROGRAMS])
def test_a_lock_loads_no_transport_of_python_consul2(program: str) -> None:
    """Nor the package itself; asyncio with threads, or aiohttp with asyncio, as little."""
    found = {name.partition(".")[0] for name in _loaded(program)}
    assert "consul_lock" in found
    assert not found & {"consul", "requests", "urllib3", "charset_normalizer", "idna", "certifi"}
    assert "aiohttp" not in found
    assert ("asyncio" in found) == ("aio" in program)
