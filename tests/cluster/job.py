"""A program: notes when it runs, and runs until a file exists.

`python -m tests.cluster.job LOG LOCK WHO FILE`, under `consul-lock run`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support.event_log import SharedEventLog
from tests.support.waiting import eventually

# Seconds: ends a job whose test has failed, and nothing else.
PATIENCE = 180.0


def main(log: str, lock: str, who: str, until: str) -> None:
    """Run."""
    with SharedEventLog(Path(log)).under(lock, who, int(os.environ["CONSUL_LOCK_TOKEN"])):
        eventually(Path(until).exists, PATIENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
