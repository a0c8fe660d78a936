"""Variables of consul-lock that it does not know: most likely a known one, misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consul_lock_cli.base.text import shown
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS, variable_of

AGAIN = variable_of("again")
"""Set for a leader that begins anew: it has reached Consul before."""

_PREFIX = variable_of("")


def unknown_variables(environ: Iterable[str]) -> Iterator[str]:
    """A sentence about each; what is set there has no effect."""
    for name in sorted(name for name in environ if name.startswith(_PREFIX)):
        known = [setting.variable for setting in SETTINGS.values() if setting.variable]
        if name not in (*known, CONFIG_VARIABLE, AGAIN):
            yield f"{shown(name)} is not a setting{_meant(name, [*known, CONFIG_VARIABLE])}"


def _meant(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # a start without a mistake need not pay for it

    words = {variable.removeprefix(_PREFIX): variable for variable in known}
    found = get_close_matches(name.removeprefix(_PREFIX), words, 1)
    return f"; {words[found[0]]} is" if found else ""
