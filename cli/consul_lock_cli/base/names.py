"""Names of locks on a command line, and text of others on a terminal."""

from __future__ import annotations

from consul_lock.names import fault_of
from consul_lock_cli.base.console import Misuse

_EXAMPLES = 'use names like "backup" or "jobs/nightly"'


def check_name(name: str) -> str:
    """The name itself.  Raises `Misuse` saying what is wrong with it, and what may be meant."""
    fault = fault_of(name)
    if fault is None:
        return name
    hint = f'use "{shown(fault.instead)}"' if fault.instead else _EXAMPLES
    raise Misuse(f'bad key "{shown(name)}": {fault.why}', hint)


def shown(text: str, most: int = 60) -> str:
    """Text of others made safe for a terminal: nothing that moves the cursor, not too long."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return safe if len(safe) <= most else safe[: most - 3] + "..."
