"""A process that does all that the library warns of; run with ``-m``, an API, an address and a
token file that every user can read.

It prints what was warned of as JSON.  A comment says which lines are to be warned of, and why.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from consul_lock import Client, Lock, aio

NAME = "drivers/warned"

Seen = list[tuple[str, int, str, str]]
"""File, line, category and text of each warning."""


@contextmanager
def recorded(seen: Seen) -> Iterator[None]:
    """See what is warned of in there."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    seen += [(w.filename, w.lineno, w.category.__name__, str(w.message)) for w in caught]


def of_child(reader: int, writer: int) -> Seen:
    """What was seen there."""
    os.close(writer)
    with os.fdopen(reader) as said:
        found: Seen = [(file, line, kind, text) for file, line, kind, text in json.load(said)]
    os.wait()
    return found


def threads(address: str, token_file: str) -> Seen:
    """With the API of threads."""
    seen: Seen = []
    with recorded(seen):
        Client(address, token_file=token_file)  # threads TokenFileWarning
        Lock(NAME)  # threads TokenFileWarning
    del os.environ["CONSUL_HTTP_TOKEN_FILE"]
    holder = Client(address)
    dropped = Lock(f"{NAME}/dropped", client=holder)
    dropped.acquire()
    with recorded(seen):
        dropped = Lock(NAME, client=holder)  # threads ResourceWarning
    unclosed = Client(address)
    with Lock(f"{NAME}/unclosed", client=unclosed):
        pass
    with recorded(seen):
        del unclosed  # threads ResourceWarning
    dropped.acquire()
    pipe = os.pipe()
    if os.fork() == 0:
        in_child: Seen = []
        with recorded(in_child):
            dropped.release()  # threads RuntimeWarning
        with os.fdopen(pipe[1], "w") as out:
            json.dump(in_child, out)
        os._exit(0)
    seen += of_child(*pipe)
    dropped.release()
    holder.close()
    return seen


async def release(lock: aio.Lock) -> None:
    """Do so on the loop of a child."""
    await lock.release()  # asyncio RuntimeWarning


async def tasks(address: str, token_file: str) -> Seen:
    """With the API of asyncio."""
    seen: Seen = []
    with recorded(seen):
        aio.Client(address, token_file=token_file)  # asyncio TokenFileWarning
        aio.Lock(NAME)  # asyncio TokenFileWarning
    del os.environ["CONSUL_HTTP_TOKEN_FILE"]
    holder = aio.Client(address)
    dropped = aio.Lock(f"{NAME}/dropped", client=holder)
    await dropped.acquire()
    with recorded(seen):
        dropped = aio.Lock(NAME, client=holder)  # asyncio ResourceWarning
    unclosed = aio.Client(address)
    async with aio.Lock(f"{NAME}/unclosed", client=unclosed):
        pass
    with recorded(seen):
        del unclosed  # asyncio ResourceWarning
    await dropped.acquire()
    pipe = os.pipe()
    if os.fork() == 0:
        in_child: Seen = []
        with recorded(in_child):
            asyncio.run(release(dropped))
        with os.fdopen(pipe[1], "w") as out:
            json.dump(in_child, out)
        os._exit(0)
    seen += of_child(*pipe)
    await dropped.release()
    await holder.close()
    return seen


def main(api: str, address: str, token_file: str) -> None:
    """Do all of it, and print what was seen."""
    # For the default client, which reads them.
    os.environ.update(CONSUL_HTTP_ADDR=address, CONSUL_HTTP_TOKEN_FILE=token_file)
    arguments = address, token_file
    seen = threads(*arguments) if api == "threads" else asyncio.run(tasks(*arguments))
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
