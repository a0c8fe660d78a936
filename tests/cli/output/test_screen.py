"""A table that is drawn anew: what of it fits into a window, and when it is drawn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import width
from consul_lock_cli.output.data_command import Output
from consul_lock_cli.output.screen import (
    Screen,
    check_watch,
    cut_styled,
    fitted,
    follow,
    watched,
)
from consul_lock_cli.output.template import Template

CLEAR = "\x1b[H\x1b[2J"

Size = Callable[[int, int], None]


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> Size:
    """``size(80, 24)``: the window is of that size from then on."""
    monkeypatch.setenv("TERM", "xterm")

    def resize(columns: int, lines: int) -> None:
        found = os.terminal_size((columns, lines))
        monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: found)

    resize(80, 24)
    return resize


def test_what_does_not_fit_is_cut_off_and_counted() -> None:
    """No line wraps, and the cursor stays below the text; the last line says what is missing."""
    text = "\n".join(f"line {number} {'x' * 100}" for number in range(10))
    assert fitted("one\ntwo", 80, 24) == "one\ntwo\n"
    lines = fitted(text, 20, 5).split("\n")
    assert lines == ["line 0 " + "x" * 12, "line 1 " + "x" * 12, "line 2 " + "x" * 12,
                     "... and 7 more line", ""]  # fmt: skip
    for columns, rows in ((1, 1), (2, 2), (7, 3)):
        shown = fitted(text, columns, rows)
        assert shown.count("\n") < rows
        assert all(width(line) <= max(1, columns - 1) for line in shown.split("\n"))


def test_colours_take_no_room_and_do_not_leak() -> None:
    """A cut inside of a colour ends it; wide characters count twice."""
    red = click.style("held", fg="red")
    assert cut_styled(f"{red} job", 8) == f"{red} job"
    assert click.unstyle(cut_styled(f"{red} job", 6)) == "held j"
    assert cut_styled(f"{red} job", 2).endswith("\x1b[0m")
    assert cut_styled("\u30ed\u30c3\u30af", 5) == "\u30ed\u30c3"


def test_each_is_drawn_in_the_place_of_the_last(size: Size, capsys: Any) -> None:
    """And drawn anew when the window changes, as large as it is then."""
    with Screen(color=False) as screen:
        screen.draw(lambda: click.style("a table", bold=True))
        size(5, 24)
        signal.raise_signal(signal.SIGWINCH)
        assert capsys.readouterr().out == f"{CLEAR}a table\n{CLEAR}a ta\n"

        def changing() -> str:
            if not capsys.readouterr().out:
                signal.raise_signal(signal.SIGWINCH)
            return "x"

        screen.draw(changing)
        assert capsys.readouterr().out.count(CLEAR) == 1
    assert signal.getsignal(signal.SIGWINCH) is not screen._resized


def test_a_dumb_terminal_gets_no_control_codes(
    size: Size, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """One table below the other."""
    monkeypatch.setenv("TERM", "dumb")
    with Screen(color=False) as screen:
        screen.draw(lambda: "one")
        screen.draw(lambda: "two")
    assert capsys.readouterr().out == "one\n\ntwo\n\n"


def test_only_changes_are_shown(capsys: Any) -> None:
    """Each as a document, where nobody looks."""
    output = Output(as_json=False, template=None, color=False)
    follow([[], [], [1], [1], []], output, lambda each, now: f"{each}", lambda each, now: "no")
    assert capsys.readouterr().out.split() == ["[]", "[1]", "[]"]


def test_what_is_watched_says_when_and_what_is_not_seen() -> None:
    """With keys that the token may not read, too."""
    assert watched("table", "nothing", "jobs/", 0.0, hidden=False)[8:] == ' below "jobs/"\n\ntable'
    text = watched("", "there are no keys", "", 0.0, hidden=True)
    assert text[8:].splitlines() == [
        " all keys", "some keys are hidden from this token", "",
        "there are no keys, or none that the token may read",
    ]  # fmt: skip


def test_a_watch_is_refused_beside_what_has_no_changes() -> None:
    """A template has no end of a list, and what the dead have left is no list of locks."""
    plain = Output(as_json=False, template=None, color=False)
    check_watch(plain)
    with pytest.raises(Misuse, match="--dead"):
        check_watch(plain, "--dead")
    with pytest.raises(Misuse, match="--format"):
        check_watch(Output(False, Template("{name}", ("name",)), False))
