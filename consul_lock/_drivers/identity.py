"""Who this process is, as the values of its locks show others."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import Path

from consul_lock._protocol.flow import Identity
from consul_lock._version import __version__


def identity() -> Identity:
    """Host, process, user and program.  Nothing here goes to the network."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())  # a container without an entry for it
    host = socket.gethostname()
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    about = {
        "host": host,
        "pid": os.getpid(),
        "user": user,
        "command": program,
        "tool": f"consul-lock/{__version__}",
    }
    return Identity(about, f"consul-lock {host}:{os.getpid()}")
