"""What becomes of the end of a command: an exit code, or a death, and one line of text."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click
import pytest

from consul_lock import LockTimeout
from consul_lock_cli import main as module
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import BadSetting, Misuse
from consul_lock_cli.process.interrupt import Interrupted

_BUG = "this is a bug of consul-lock; -vv shows where"
_SETTINGS = "'consul-lock config' shows the settings, and where each comes from"

Capture = pytest.CaptureFixture[str]


class _Ended(BaseException):
    """The process would have ended: with a code, or minus a signal."""


def _end(code: int) -> NoReturn:
    raise _Ended(code)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``ending(how, verbosity=...)``: how the process ends if the command ends so."""

    def end(how: BaseException | int | None, words: list[str] | None = None, **more: Any) -> int:
        def command(arguments: object, prog_name: str, obj: Console, **_: object) -> int | None:
            for name, value in more.items():
                setattr(obj, name, value)
            if isinstance(how, BaseException):
                raise how
            return how

        monkeypatch.setattr(module.cli, "main", command)
        with pytest.raises(_Ended) as ended:
            module.main(words or [])
        code: int = ended.value.args[0]
        return code

    monkeypatch.setattr(module, "leave", _end)
    monkeypatch.setattr(module, "die_by", lambda signum: _end(-signum))
    return end


@pytest.mark.parametrize(
    "how, code",
    [
        (None, 0),
        (0, 0),
        (42, 42),
        (Interrupted(signal.SIGHUP), -signal.SIGHUP),
        (KeyboardInterrupt(), -signal.SIGINT),
        (click.Abort(), -signal.SIGINT),
    ],
    ids=repr,
)
def test_an_end_without_an_error_is_silent(
    how: BaseException | int | None, code: int, ending: Callable[..., int], capsys: Capture
) -> None:
    """A signal is died of, so that a shell sees it."""
    assert ending(how) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "how, code, lines",
    [
        (click.UsageError("no"), 64, ["no", "'consul-lock --help' lists the options"]),
        (Misuse("no", "do so"), 64, ["no", "do so"]),
        (BadSetting("bad"), 78, ["bad (78)", _SETTINGS]),
        (KeyError("x"), 70, ["KeyError: 'x' (70)", _BUG]),
        (SystemExit(3), 70, ["SystemExit: 3 (70)", _BUG]),
        (LockTimeout("held"), 75, ["held (75)", "use -w to wait longer"]),
    ],
    ids=repr,
)  # fmt: skip
def test_an_error_is_a_line_with_a_hint(
    how: BaseException, code: int, lines: list[str], ending: Callable[..., int], capsys: Capture
) -> None:
    """Only of a bug the class is shown; misuse has no code, which nobody would look up."""
    assert ending(how) == code
    what, hint = capsys.readouterr().err.splitlines()
    assert [what, hint] == [f"consul-lock: {lines[0]}", f"hint: {lines[1]}"]


def test_the_hint_names_the_command_whose_options_were_wrong(
    ending: Callable[..., int], capsys: Capture
) -> None:
    """Its own --help has them."""
    parent = click.Context(click.Group("all"), info_name="consul-lock")
    ctx = click.Context(click.Command("run"), parent, info_name="run")
    assert ending(click.UsageError("no", ctx)) == 64
    assert "hint: 'consul-lock run --help' lists" in capsys.readouterr().err


@pytest.mark.parametrize("how", [KeyError("x"), click.UsageError("no")])
def test_a_traceback_is_shown_on_request(
    how: BaseException, ending: Callable[..., int], capsys: Capture
) -> None:
    """With -vv only."""
    ending(how, verbosity=1)
    assert "Traceback" not in capsys.readouterr().err
    ending(how, verbosity=2)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, hints",
    [
        ("run --nonsense -q", 0),
        ("run --quiet --nonsense", 0),
        ("run --nonsense -- grep -q", 1),
        ("run --nonsense", 1),
    ],
)
def test_an_unknown_option_leaves_quiet_in_force(
    words: str, hints: int, ending: Callable[..., int], capsys: Capture
) -> None:
    """No option was read then; a -q behind -- is the command's."""
    assert ending(click.NoSuchOption("--nonsense"), words.split()) == 64
    assert capsys.readouterr().err.count("hint: ") == hints


class _Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, _Full()], ids=["closed", "full"])
def test_the_process_ends_whatever_becomes_of_its_streams(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: what a thread still waits for does not hold it up."""
    monkeypatch.setattr(os, "_exit", _end)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(_Ended) as ended:
        module.leave(75)
    assert ended.value.args == (75,)


def test_what_was_printed_is_flushed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be lost: nothing else of Python ends."""
    flushed: list[str] = []

    class Stream(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    for name in ("stdout", "stderr"):
        stream = Stream()
        stream.write(name)
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(os, "_exit", lambda code: flushed.append(str(code)))
    module.leave(0)
    assert flushed == ["stdout", "stderr", "0"]
