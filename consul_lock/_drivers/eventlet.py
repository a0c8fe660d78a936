"""Refusing a process that eventlet has monkey-patched.

gevent is supported: it puts a ``select.poll`` and threads of its own in place of Python's.
eventlet takes ``select.poll`` away, and its authors advise against new uses of it.
"""

from __future__ import annotations

import sys

from consul_lock.errors import ConfigError


def refuse_eventlet() -> None:
    """Raise `ConfigError` if eventlet has replaced what waits or connects."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None:
        return
    if any(patcher.is_monkey_patched(what) for what in ("socket", "select", "thread")):
        raise ConfigError(
            problem="eventlet has monkey-patched this process, with which consul-lock does not"
            " work",
            hint="use gevent, threads or asyncio",
            kind="eventlet",
        )
