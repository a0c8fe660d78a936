"""A process that drops a client while it holds a lock, and ends; run with ``-m`` and an address."""

from __future__ import annotations

import gc
import sys
import warnings

from consul_lock import Client, Lock

NAME = "drivers/dropped"


def acquire(address: str) -> None:
    """Nobody can release it after that."""
    assert Lock(NAME, client=Client(address)).acquire(timeout=0)


def main(address: str) -> None:
    """See that it is held all the same."""
    warnings.simplefilter("ignore")
    acquire(address)
    gc.collect()
    with Client(address) as other:
        if Lock(NAME, client=other).locked():
            sys.stdout.write("held\n")


if __name__ == "__main__":
    main(sys.argv[1])
