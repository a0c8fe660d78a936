"""Messages of consul-lock itself: which of them are printed, where, and in which form."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import pytest

from consul_lock_cli.base import console as module
from consul_lock_cli.base.console import Console, confirmed, require_terminal
from consul_lock_cli.base.errors import Misuse
from tests.cli.in_process import own_messages

Capture = pytest.CaptureFixture[str]


def _make(verbosity: int = 0, quiet: bool = False, json: bool = False) -> Console:
    console = Console()
    console.verbosity, console.quiet, console.json = verbosity, quiet, json
    return console


def _say_all(console: Console) -> None:
    console.error("failed", "do this")
    console.warn("odd")
    console.note("known")
    console.debug("progress")


@pytest.mark.parametrize(
    "verbosity, quiet, lines",
    [
        (0, False, ["consul-lock: failed", "hint: do this", "consul-lock: warning: odd",
                    "consul-lock: known"]),
        (1, False, ["consul-lock: failed", "hint: do this", "consul-lock: warning: odd",
                    "consul-lock: known", "consul-lock: progress"]),
        (0, True, ["consul-lock: failed"]),
        (2, True, ["consul-lock: failed"]),
    ],
)  # fmt: skip
def test_what_is_printed(verbosity: int, quiet: bool, lines: list[str], capsys: Capture) -> None:
    """Errors always; hints, warnings and notes unless quiet; progress if it is asked for."""
    _say_all(_make(verbosity, quiet))
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines() == lines


def test_in_json_each_message_is_an_event(capsys: Capture) -> None:
    """With what all are about, and what else is known of it by name."""
    console = _make(verbosity=1, json=True)
    console.about["key"] = "jobs/a"
    console.error("failed", "do this", event="lost", code=76)
    console.warn("odd", event="unrecorded")
    console.note("known", n=1)
    console.debug("progress", event="acquired", token=7)
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(each.pop("ts").endswith("Z") and each.pop("key") == "jobs/a" for each in found)
    assert found == [
        {"level": "error", "event": "lost", "message": "failed", "hint": "do this", "code": 76},
        {"level": "warning", "event": "unrecorded", "message": "odd"},
        {"level": "info", "event": "note", "message": "known", "n": 1},
        {"level": "info", "event": "acquired", "message": "progress", "token": 7},
    ]


def test_quiet_json_has_errors_without_hints(capsys: Capture) -> None:
    """One line that a program can read."""
    _say_all(_make(quiet=True, json=True))
    (line,) = capsys.readouterr().err.splitlines()
    assert "hint" not in json.loads(line)


@pytest.mark.parametrize("verbosity, shown", [(0, False), (1, False), (2, True)])
def test_a_traceback_is_for_who_asks_twice(verbosity: int, shown: bool, capsys: Capture) -> None:
    """As text, or in one event."""
    for form in (False, True):
        _make(verbosity, json=form).trace(KeyError("x"))
        errors = capsys.readouterr().err
        assert ("KeyError: 'x'" in errors) is shown
        if form and shown:
            assert json.loads(errors)["event"] == "traceback"


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, _Broken()], ids=["closed", "broken"])
def test_a_stderr_that_takes_nothing_is_no_reason_to_fail(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds a lock goes on."""
    monkeypatch.setattr(sys, "stderr", stream)
    _say_all(_make(verbosity=1))


def _read(descriptor: int) -> str:
    """All that is in a pipe."""
    text = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(descriptor, 65536):
            text += part
    return text.decode()


class _Impatient(io.StringIO):
    """A pipe; where a write would wait for its reader, the test fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        try:
            return os.write(self._descriptor, text.encode())
        except BlockingIOError:
            raise AssertionError("this would wait") from None


def test_nobody_is_waited_for_while_something_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pipe has no room for is dropped; when there is room again, the next is printed."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    monkeypatch.setattr(module, "_READER", 0.0)
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0) as stream:
        monkeypatch.setattr(sys, "stderr", _Impatient(stream.fileno()))
        console = _make()
        console.hurried = True
        console.note("first")
        for _ in range(200):
            console.note("x" * 5000)
        console.note("last")
        text = _read(reading)
        console.note("again")
        again = _read(reading)
    assert text.startswith("consul-lock: first\n")
    assert "last" not in text
    assert again == "consul-lock: again\n"


@pytest.fixture
def heard() -> Iterator[Console]:
    """One that prints what the library says."""
    with own_messages():
        console = _make()
        console.listen()
        yield console


def test_warnings_of_the_library_are_printed_as_others(heard: Console, capsys: Capture) -> None:
    """Not in the format of Python, with a line of its code."""
    warnings.warn("the token file is readable by others", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == (
        "consul-lock: warning: the token file is readable by others\n"
    )


def test_warnings_of_an_event_can_be_taken_for_a_while(heard: Console, capsys: Capture) -> None:
    """Those of other events, and later ones, are printed."""
    log = logging.getLogger("consul_lock.test")
    taken: list[str] = []
    with heard.taking("unavailable", taken.append):
        log.warning("away", extra={"event": "unavailable"})
        log.warning("odd", extra={"event": "other"})
    log.warning("still away", extra={"event": "unavailable"})
    assert taken == ["away"]
    said = capsys.readouterr().err.splitlines()
    assert said == ["consul-lock: warning: odd", "consul-lock: warning: still away"]


def test_the_log_of_the_library_is_printed_by_its_level(heard: Console, capsys: Capture) -> None:
    """Warnings always, the rest with -v; the event of a record is kept."""
    log = logging.getLogger("consul_lock.test")
    log.setLevel(logging.DEBUG)
    log.info("trying again")
    log.error("broken %d", 7)
    assert capsys.readouterr().err == "consul-lock: warning: broken 7\n"
    heard.verbosity, heard.json = 1, True
    log.info("trying again")
    log.warning("the value was overwritten", extra={"event": "overwritten"})
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["level"], each["event"]) for each in found] == [
        ("info", "note"), ("warning", "overwritten"),
    ]  # fmt: skip


def test_what_the_library_says_of_a_lock_is_left_to_the_command(
    heard: Console, capsys: Capture
) -> None:
    """It reports a loss in its own words, with what it does about it; the warnings that it has
    always printed have the fields of the others by now, and are printed as ever."""
    log = logging.getLogger("consul_lock")
    about = {"consul_lock_key": "jobs/a/.lock"}
    log.warning("'jobs/a' was lost", extra={"consul_lock_event": "lost", **about})
    log.warning("a request failed", extra={"consul_lock_event": "retrying", **about})
    assert capsys.readouterr().err == ""
    both = {"event": "renewal-failing", "consul_lock_event": "renewal-failing"}
    log.warning("renewing sessions fails", extra=both)
    assert capsys.readouterr().err == "consul-lock: warning: renewing sessions fails\n"


@pytest.mark.parametrize("stdin", [None, io.StringIO("y\n")], ids=["closed", "a pipe"])
def test_without_a_terminal_nothing_is_confirmed(
    stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script has to say --yes."""
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(Misuse, match="stdin is not a terminal") as refused:
        require_terminal("use --yes")
    assert refused.value.hint == "use --yes"


@pytest.mark.parametrize(
    "typed, yes",
    [
        ("y\n", True), ("YES\n", True), (" yes \n", True),
        ("\n", False), ("n\n", False), ("yo\n", False), ("", False), ("y", True),
    ],
)  # fmt: skip
def test_only_yes_is_yes(
    typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The end of what is typed is a no; the next message begins on a line of its own."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert confirmed("break it") is yes
    output, errors = capsys.readouterr()
    assert (output, errors) == ("", "break it? [y/N]: " + ("" if typed.endswith("\n") else "\n"))
