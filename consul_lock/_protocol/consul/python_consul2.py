"""The one module of python-consul2 that is used: its endpoints, without the rest of the package.

`import consul` loads requests, urllib3 and four more packages for transports that are never used
here: half of the time that an import of this library took.  So the package is looked for without
importing it, and its ``base.py`` is run as a module of a private name.  Neither ``consul`` nor
``consul.base`` is in `sys.modules` afterwards: a program's own `import consul`, sooner or later,
gets all of it, and what it changes there does not reach this library.

Others are called ``consul``, too: py-consul installs itself over python-consul2 (and the other way
round), a folder or file of the program's own may come first.  They are recognised by the names in
the compiled code of ``base.py``, so nothing of them is run.

It is loaded when this module is imported, not by a flow, as nothing here may wait for a disk at any
other time; and before a program changes its root directory or its path.  That it failed is said
when a client is made: an import of a name of this library never fails for it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from consul_lock.errors import ConfigError

if TYPE_CHECKING:
    import consul.base  # noqa: F401 - tools that put a program into one file see what it needs

_PACKAGE = "consul"
# What its class `Consul` has in it.  Those of the last line are in no earlier or other package that
# has the first ones: python-consul, and the first versions of py-consul.
_ITS_OWN = {
    "KV", "Session", "Txn", "Agent",
    "DiscoveryChain",
}  # fmt: skip

_REMEDY = (
    "py-consul is installed under the same name: give one of the two an environment of its own"
    " ('pipx install consul-lock-toolkit', or a venv); a file or folder 'consul' of your own needs"
    " another name"
)
_AGAIN = "'pip install --force-reinstall python-consul2' brings it back"


class _Unusable(Exception):
    """There is no python-consul2, and what can be done."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem, hint)
        self.problem, self.hint = problem, hint


def base() -> Any:
    """python-consul2's module of endpoints.  Raises `ConfigError` if it is not there."""
    if isinstance(_found, _Unusable):
        raise _error(_found)
    return _found


def refuse_others(client: object) -> None:
    """Raise `ConfigError` for a client of another package that is called ``consul``.

    Anything that is no client of such a package is none of its business.
    """
    for kind in type(client).__mro__:
        if kind.__name__ == "Consul" and kind.__module__.partition(".")[0] == _PACKAGE:
            if not all(hasattr(kind, name) for name in _ITS_OWN):
                module = sys.modules.get(kind.__module__)
                raise _error(_another(getattr(module, "__file__", None)))
            return


def _error(found: _Unusable) -> ConfigError:
    return ConfigError(found.problem, hint=found.hint, kind="no-python-consul2")


def _another(where: str | None) -> _Unusable:
    found = f" ({where})" if where else ""
    return _Unusable(f"the Python package 'consul' is not python-consul2{found}", _REMEDY)


def _look() -> ModuleType | _Unusable:
    spec = _spec()
    if spec is None:
        return _Unusable("python-consul2 is not installed: there is no package 'consul'", _AGAIN)
    where = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    code = _code(spec)
    if code is None or not _classes(code) >= _ITS_OWN:
        return _another(where)
    module = ModuleType(f"{__name__}.base")
    module.__file__ = code.co_filename
    try:
        exec(code, vars(module))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised when a client is made
        return _Unusable(f"python-consul2 cannot be loaded: {error} ({where})", _AGAIN)
    return module


def _spec() -> ModuleSpec | None:
    """Of the package, without importing it."""
    try:
        return find_spec(_PACKAGE)
    except ValueError:  # a program has put something else there, such as a mock
        return PathFinder.find_spec(_PACKAGE)


def _code(package: ModuleSpec) -> CodeType | None:
    """What its ``base`` is compiled to; it is kept in the same place as for any import."""
    inside, name = package.submodule_search_locations, f"{_PACKAGE}.base"
    if inside is None:
        return None
    specs = (finder.find_spec(name, inside) for finder in sys.meta_path)
    loader = next((spec.loader for spec in specs if spec is not None), None)
    try:
        code: CodeType | None = loader.get_code(name)  # type: ignore[union-attr] # else: no code
    except (AttributeError, ImportError, SyntaxError):
        return None
    return code


def _classes(code: CodeType) -> set[str]:
    """The names of what is defined inside of its class ``Consul``."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return {
        each.co_name
        for consul in inner
        if consul.co_name == "Consul"
        for each in consul.co_consts
        if isinstance(each, CodeType)
    }


_found = _look()
