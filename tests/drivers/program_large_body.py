"""A program: read bodies of 1 GB from the addresses that are given, with the API that is named.

For each it prints by how many bytes the process has grown so far, and how the read ended.
"""

from __future__ import annotations

import resource
import sys
from typing import Any

from consul_lock import ConsulLockError
from tests.drivers.request_once import on_loop, on_threads


def peak() -> int:
    """Of the memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ended(ask: Any, address: str) -> str:
    """Ask once, as a user would."""
    try:
        return str(ask(address, request_timeout=60))
    except ConsulLockError as error:
        return f"{type(error).__name__} {error}"


def main(api: str, *addresses: str) -> None:
    """Ask one after the other."""
    ask, before = on_loop if api == "asyncio" else on_threads, peak()
    for address in addresses:
        said = ended(ask, address)
        sys.stdout.write(f"{peak() - before} {said}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
