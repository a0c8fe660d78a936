"""Where `consul-lock` begins.  It imports next to nothing, so this is soon after its start."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

_CONFIG = 78


def main() -> NoReturn:
    """Run the command line and exit."""
    _refuse_borrowed_rights()
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


def _refuse_borrowed_rights() -> None:
    """Do nothing with the rights of another user than the caller: COMMAND, hooks, the address and
    the files are the caller's choice, so those rights would be the caller's for anything.

    The kernel ignores the set-user-ID bit of a script, but not that of a program around it.
    """
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        text = (
            "consul-lock: refusing to run set-user-ID or set-group-ID: the caller chooses COMMAND"
            f" ({_CONFIG})\nhint: let sudo run consul-lock with a fixed command line\n"
        )
        try:
            os.write(2, text.encode())
        finally:
            os._exit(_CONFIG)
