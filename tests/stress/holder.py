"""A process that holds something until it is killed.

`python -m tests.stress.holder ADDRESS KIND NAME OPTIONS`, the options as JSON; it prints its
session when it holds, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys

from consul_lock import Client
from tests.stress.kinds import make


def main(address: str, kind: str, name: str, options: str) -> None:
    """Acquire, say so, and wait to be killed."""
    held = make(kind, name, Client(address), json.loads(options))
    held.acquire()
    sys.stdout.write(f"{held.session_id}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # The process that started it is gone: no time for the ways of a clean end.
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
