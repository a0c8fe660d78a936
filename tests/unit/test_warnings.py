"""A warning points at the innermost line that is not of the library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import pytest

from consul_lock._warnings import warn_caller


def _called_through(modules: Sequence[str], function: Callable[[], None]) -> Callable[[], None]:
    """A function that is called by one of the last module, which one of the module before it
    calls, and so on; each on line 2 of a file that is named like its module."""
    for module in reversed(modules):
        scope = {"__name__": module, "function": function}
        exec(compile("def run():\n    function()", module, "exec"), scope)
        function = scope["run"]  # type: ignore[assignment] # the program defines it
    return function


@pytest.mark.parametrize(
    "modules, blamed",
    [
        (["program"], "program"),
        (["program", "consul_lock"], "program"),
        (["program", "consul_lock._blocking.lock", "consul_lock._drivers.threads"], "program"),
        (["program", "consul_lock.aio", "contextlib"], "contextlib"),
        (["program", "consul_lock._drivers.threads", "callback", "consul_lock"], "callback"),
        (["consul_lock_cli.main", "consul_lock"], "consul_lock_cli.main"),
        (["program", "consul_locksmith"], "consul_locksmith"),
    ],
    ids=str,
)
def test_it_points_at_the_innermost_caller_that_is_not_of_the_library(
    modules: list[str], blamed: str
) -> None:
    """However many frames of the library lie in between; a package whose name merely begins in
    the same way is not of it."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        _called_through(modules, _warn)()
    [warning] = seen
    assert (warning.filename, warning.lineno) == (blamed, 2)
    assert warning.category is ResourceWarning
    assert str(warning.message) == "left open"
    assert warning.source is _SOURCE


_SOURCE = object()

_OF_LIBRARY = {"__name__": "consul_lock.test", "warn_caller": warn_caller, "source": _SOURCE}
exec("def warn():\n    warn_caller('left open', ResourceWarning, source=source)", _OF_LIBRARY)
_warn: Callable[[], None] = _OF_LIBRARY["warn"]  # type: ignore[assignment] # the line above
