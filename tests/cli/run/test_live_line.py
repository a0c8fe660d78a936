"""The line of a waiting `run` on a terminal, and what is there instead of it elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.cli.inspect_fixture import (
    Hand,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.support.waiting import eventually

Start = Callable[..., Running]


class Screen:
    """`consul-lock run` with its stderr on a terminal of its own."""

    def __init__(self, arguments: list[str], env: dict[str, str], columns: int = 160) -> None:
        self._screen, device = pty.openpty()
        self.resize(columns)
        self._process = subprocess.Popen(
            [*COMMAND, "run", *arguments],
            env=env,
            stdin=device,
            stdout=subprocess.DEVNULL,
            stderr=device,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        )
        os.close(device)
        self.seen = ""

    def resize(self, columns: int) -> None:
        """To so many columns."""
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, size)

    def frames(self) -> list[str]:
        """The lines that were shown up to now, one in the place of the other."""
        return [frame for frame in self.seen.split("\r\x1b[K") if frame]

    def read_until(self, wanted: str) -> str:
        """What was written up to now, once it has ``wanted`` in it."""
        end = time.monotonic() + PATIENCE
        while not re.search(wanted, self.seen):
            assert time.monotonic() < end, self.seen
            readable, _, _ = select.select([self._screen], [], [], PATIENCE)
            assert readable, self.seen
            self.seen += os.read(self._screen, 4096).decode()
        return self.seen

    def rest(self) -> str:
        """All that was written, when it has ended; ends it if it has not."""
        assert self._process.wait(PATIENCE) == 0
        # The end of a terminal is an error.
        with contextlib.suppress(OSError):
            while part := os.read(self._screen, 4096):
                self.seen += part.decode()
        return self.seen

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        os.close(self._screen)


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    """Those in this list are closed after the test."""
    opened: list[Screen] = []
    yield opened
    for each in opened:
        each.close()


def test_a_person_sees_the_holder_and_how_many_are_ahead(
    holder: Running, start: Start, screens: list[Screen], address: str, key: str
) -> None:
    """Kept up to date, and gone without a trace when it is had."""
    before = start("--", "sh", "-c", "exec sleep 600")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    screen = Screen(["-k", key, "--", "true"], environment(address, TERM="xterm"))
    screens.append(screen)
    seen = screen.read_until("1 ahead in the queue")
    who = rf"consul-lock: waiting for {key}, held by \S+ pid {holder.pid} \(\S+\) for \S+"
    assert re.search(who + "; 1 ahead in the queue", seen)
    holder.send(signal.SIGTERM)
    screen.read_until(rf"held by \S+ pid {before.pid} \(\S+\) for \S+; next in the queue")
    before.send(signal.SIGTERM)
    seen = screen.rest()
    assert seen.endswith("\r\x1b[K")
    assert "\n" not in seen


def test_the_line_fits_a_narrow_terminal(
    hand: Hand, screens: list[Screen], address: str, key: str
) -> None:
    """With wide characters and escapes in what others say, and when the terminal is resized."""
    name = f"{key}/\u30ed\u30c3\u30af"
    host = "\u30db\u30b9\u30c8\x1b[2J\u30db\u30b9\u30c8"
    hand.hold(name, {"host": host, "pid": 4242, "user": "root", "since": time.time() - 185})
    screen = Screen(["-k", name, "--", "true"], environment(address, TERM="xterm"), 20)
    screens.append(screen)
    screen.read_until("waiting: 3m")
    screen.resize(160)
    screen.read_until("waiting for")
    narrow, *_, wide = screen.frames()
    assert narrow.startswith("waiting: 3m")
    assert sum(1 + (ord(c) > 0x3000) for c in narrow) <= 19
    assert wide.startswith(f"consul-lock: waiting for {name}, held by \u30db\u30b9\u30c8\\x1b[2J")
    assert all("\x1b" not in frame for frame in screen.frames())


@pytest.mark.parametrize(
    "options, term", [(["-q"], "xterm"), ([], "dumb"), (["-n", "-E", "0"], "xterm")]
)
def test_no_live_line_if_it_is_not_wanted(
    holder: Running,
    screens: list[Screen],
    address: str,
    key: str,
    options: list[str],
    term: str,
) -> None:
    """Quiet, or on a terminal that cannot do it, or without waiting: no control codes."""
    screen = Screen(["-k", key, *options, "--", "true"], environment(address, TERM=term))
    screens.append(screen)
    if "-n" not in options:
        eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
        holder.send(signal.SIGTERM)
    assert "\x1b" not in screen.rest()


def test_the_lines_report_a_lock_delay(start: Start, address: str, key: str) -> None:
    """Its holder's session was destroyed: it looks free, and is had only when that is over."""
    holder = start("--lock-delay", "6s", "--kill-after", "1s", "--", "sh", "-c", "echo; sleep 600")
    holder.line()
    waiter = start("-v", "--", "echo", "mine")
    eventually(lambda: f"pid {holder.pid}" in waiter.errors())
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    destroyed = time.monotonic()
    assert consul(address, "PUT", f"/v1/session/destroy/{entry['Session']}")
    assert waiter.line() == "mine"
    # Of Consul's timer, which begins when it has the request.
    assert time.monotonic() - destroyed >= 5.5
    assert f"waiting for {key}, free, but in lock-delay" in waiter.errors()
    assert holder.wait() == 76


def test_the_log_as_json_is_an_object_a_line(holder: Running, start: Start, key: str) -> None:
    """Each with its time, level and event; the errors too."""
    waiter = start("-v", "--log-format", "json", "--", "true")
    eventually(lambda: "waiting" in waiter.errors())
    holder.send(signal.SIGTERM)
    assert waiter.wait() == 0
    told = [json.loads(line) for line in waiter.errors().splitlines()]
    events = [each["event"] for each in told if each["event"] != "waiting"]
    assert events == ["acquired", "started", "exited", "released"]
    assert all(each["key"] == key and each["level"] == "info" for each in told)
    assert all(re.fullmatch(r"\S+T\S+\.\d{3}Z", each["ts"]) for each in told)
    acquired = next(each for each in told if each["event"] == "acquired")
    assert acquired["token"] > 0
    failed = start("--log-format", "json", "-n", "--ttl", "5s", "--", "true")
    assert failed.wait() == 64
    (error,) = map(json.loads, failed.errors().splitlines())
    assert (error["level"], error["code"]) == ("error", 64)
