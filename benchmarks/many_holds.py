"""Holds many locks of one client for a while, and counts how many of them were lost.

python benchmarks/many_holds.py [--locks N] [--seconds S] [--delay MS] [--serial] [--asyncio]
                                [--busy N] [--json FILE]

Beside it run one real Consul agent and processes that keep a core busy each.  With a delay all
requests go through a relay in a process of its own, which lets each byte wait for so long, as a
network does; ``--serial`` takes one request of a connection at a time instead, as an agent far
away from its servers does, or a proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from real import real_agent

from consul_lock import Client, Lock, aio
from consul_lock._drivers.http import Encoder

# Locks acquired at once: else a start at 25 ms a request would take minutes.
_AT_ONCE = 16


class Counted:
    """Requests of this process from here on."""

    def __init__(self) -> None:
        self.requests = 0
        encode = Encoder.encode

        def counted(encoder: Encoder, request: Any) -> bytes:
            self.requests += 1
            return encode(encoder, request)

        Encoder.encode = counted  # type: ignore[method-assign] # for the whole process


def burn() -> None:
    """Keep a core busy."""
    while True:
        pass


def relay(port: int, delay: float, serial: bool, where: Any) -> None:
    """Pass bytes on to a port, so many seconds later."""
    asyncio.run(_relay(port, delay, serial, where))


async def _relay(port: int, delay: float, serial: bool, where: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            if serial:
                await _one_by_one(reader, writer, there, back, delay)
            else:
                await asyncio.gather(_later(reader, back, delay), _later(there, writer, 0.0))
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
            back.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    where.put(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _later(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await source.read(65536):
        if delay:
            loop.call_later(delay, sink.write, data)
        else:
            sink.write(data)
    loop.call_later(delay, sink.close)


async def _one_by_one(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    back: asyncio.StreamWriter,
    delay: float,
) -> None:
    while True:
        request = await _message(reader)
        await asyncio.sleep(delay)
        back.write(request)
        writer.write(await _message(there))


async def _message(source: asyncio.StreamReader) -> bytes:
    head = await source.readuntil(b"\r\n\r\n")
    length = next(
        (
            int(line[15:])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ),
        0,
    )
    return head + await source.readexactly(length)


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += str(entry.readlink()).startswith("socket:")
        except OSError:
            pass  # the one of the listing itself
    return found


class Watch:
    """What is printed in the end."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self.lost: list[str] = []
        self.threads = self.sockets = 0

    def on_lost(self, reason: Any) -> None:
        self.lost.append(reason.value)

    def begin(self) -> None:
        self._cpu, self._start = time.process_time(), time.monotonic()
        self._sent = self._counted.requests

    def look(self) -> None:
        self.threads = max(self.threads, threading.active_count())
        self.sockets = max(self.sockets, sockets())

    def end(self) -> dict[str, float]:
        took = time.monotonic() - self._start
        return {
            "told": len(self.lost),
            "seconds": took,
            "cpu_percent": 100 * (time.process_time() - self._cpu) / took,
            "requests_per_second": (self._counted.requests - self._sent) / took,
            "threads": self.threads,
            "sockets": self.sockets,
        }


def with_threads(address: str, given: Any, watch: Watch) -> tuple[dict[str, float], int]:
    with Client(address) as client:
        locks = [
            Lock(f"many/{n}", client=client, on_lost=watch.on_lost) for n in range(given.locks)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda lock: lock.acquire(), locks))
        watch.begin()
        end = time.monotonic() + given.seconds
        while time.monotonic() < end:
            time.sleep(1.0)
            watch.look()
        figures = watch.end()
        return figures, sum(lock.held for lock in locks)


async def with_tasks(address: str, given: Any, watch: Watch) -> tuple[dict[str, float], int]:
    async with aio.Client(address) as client:
        locks = [
            aio.Lock(f"many/{n}", client=client, on_lost=watch.on_lost) for n in range(given.locks)
        ]
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def acquire(lock: aio.Lock) -> None:
            async with at_once:
                await lock.acquire()

        await asyncio.gather(*map(acquire, locks))
        watch.begin()
        end = time.monotonic() + given.seconds
        while time.monotonic() < end:
            await asyncio.sleep(1.0)
            watch.look()
        figures = watch.end()
        return figures, sum(lock.held for lock in locks)


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold many locks of one client.")
    parser.add_argument("--locks", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds a request")
    parser.add_argument("--serial", action="store_true", help="one request a connection at a time")
    parser.add_argument("--asyncio", action="store_true")
    parser.add_argument("--busy", type=int, default=1, help="processes that keep a core busy")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with real_agent() as agent, ExitStack() as stack:

        def beside(target: Any, *args: Any) -> None:
            process = spawn.Process(target=target, args=args, daemon=True)
            process.start()
            stack.callback(process.kill)

        address = agent.address
        if given.delay:
            where = spawn.Queue()
            beside(relay, agent.http_port, given.delay / 1000, given.serial, where)
            address = f"http://127.0.0.1:{where.get()}"
        for _ in range(given.busy):
            beside(burn)
        watch = Watch(Counted())
        if given.asyncio:
            figures, held = asyncio.run(with_tasks(address, given, watch))
        else:
            figures, held = with_threads(address, given, watch)
        lost = given.locks - held
        what = {"locks": given.locks, "lost": lost, **figures}
    for name, value in what.items():
        print(f"{name:20} {value:.0f}")
    if given.json:
        given.json.write_text(json.dumps(what))


if __name__ == "__main__":
    main()
