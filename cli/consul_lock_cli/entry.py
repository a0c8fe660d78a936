"""Where `consul-lock` begins.  It imports next to nothing, so this is soon after its start."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    quiet = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if quiet:
        # Else Ctrl-C during an import is a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import consul_lock_cli.main
    from consul_lock_cli.process import libc

    libc.keep_memory_private()
    if quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    consul_lock_cli.main.main()
