"""A table that is drawn anew on the terminal, as large as the window is.

It is plain text and the control codes that every terminal has had since the VT100: to the upper
left corner, and erase all.  What does not fit is cut off, as a line that wraps would push others
out at the top.  A terminal that is dumb gets the tables one below the other.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import click

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import cut, shown, width
from consul_lock_cli.output.lock_table import on_terminal

if TYPE_CHECKING:
    from consul_lock_cli.output.data_command import Output

T = TypeVar("T")

WATCH = "Show it again after each change, until a signal."

_CLEAR = "\x1b[H\x1b[2J"
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
_RESET = "\x1b[0m"

# Columns and lines of a terminal that does not say how large it is.
_SIZE = (80, 24)


class Screen:
    """``with Screen(color) as screen:`` what is drawn is drawn anew when the window changes."""

    def __init__(self, color: bool) -> None:
        self._color = color
        self._dumb = os.environ.get("TERM", "dumb") == "dumb"
        self._render: Callable[[], str] | None = None
        self._drawing = False
        self._again = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGWINCH, self._resized)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGWINCH, self._before)

    def draw(self, render: Callable[[], str]) -> None:
        """Show what ``render()`` returns, in the place of what was shown before."""
        self._render = render
        self._again = True
        while self._again:  # the window may change meanwhile
            self._again, self._drawing = False, True
            try:
                self._write(render())
            finally:
                self._drawing = False

    def _resized(self, signum: int, frame: FrameType | None) -> None:
        # This interrupts the main thread anywhere, in a write to the same stream, too.
        if self._drawing:
            self._again = True
        elif self._render is not None and not self._dumb:
            self.draw(self._render)

    def _write(self, text: str) -> None:
        text = text if self._color else click.unstyle(text)
        text = f"{text}\n\n" if self._dumb else _CLEAR + fitted(text, *_size())
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()


def _size() -> tuple[int, int]:
    try:
        columns, lines = os.get_terminal_size(1)
    except OSError:
        return _SIZE
    return columns or _SIZE[0], lines or _SIZE[1]


def fitted(text: str, columns: int, lines: int) -> str:
    """What fits into a window; the last line says how much more there is."""
    # The cursor stays below the text, so that a shell does not write over it.
    every, room = text.split("\n"), max(1, lines - 1)
    if len(every) > room:
        more = len(every) - room + 1
        every = [*every[: room - 1], f"... and {more} more lines"]
    # In the last column some terminals wrap already.
    shown = "\n".join(cut_styled(line, max(1, columns - 1)) for line in every)
    return f"{shown}\n" if lines > 1 else shown


def cut_styled(line: str, columns: int) -> str:
    """As much of the beginning of a line as fits; its colours take no room."""
    if width(_STYLE.sub("", line)) <= columns:
        return line
    kept, left = "", columns
    for part in _STYLE.split(line):
        if _STYLE.fullmatch(part):
            kept += part
            continue
        fits = cut(part, left)
        kept, left = kept + fits, left - width(fits)
        if fits != part:
            break
    return kept + (_RESET if _STYLE.search(kept) else "")


def check_watch(output: Output, other: str = "") -> None:
    """Raise `Misuse` for what does not go with --watch; ``other`` is an option that does not."""
    if output.template is not None:
        raise Misuse("--watch and --format contradict each other", "--json prints a line a change")
    if other:
        raise Misuse(f"--watch and {other} contradict each other", "leave one of them out")


def follow(
    found: Iterable[T],
    output: Output,
    document: Callable[[T, float], str],
    render: Callable[[T, float], str],
) -> None:
    """Show each that differs from the one before it: on a terminal in its place, elsewhere (and
    with --json) as a JSON document on a line.  Both functions get the time, too."""
    differing = _differing(found)
    if output.as_json or not on_terminal():
        for each in differing:
            output.text(document(each, time.time()))
        return
    with Screen(output.color) as screen:
        for each in differing:
            screen.draw(partial(_now, each, render))


def _now(each: T, render: Callable[[T, float], str]) -> str:
    return render(each, time.time())


def _differing(found: Iterable[T]) -> Iterator[T]:
    last: T | None = None
    for each in found:
        if last is None or each != last:
            last = each
            yield each


def watched(text: str, nothing: str, prefix: str, now: float, *, hidden: bool) -> str:
    """What a --watch shows: the time, what it is about, and the table if there is one."""
    where = f' below "{shown(prefix, 512)}"' if prefix else ""
    lines = [time.strftime("%H:%M:%S", time.localtime(now)) + (where or " all keys")]
    if hidden:
        lines.append("some keys are hidden from this token")
    return "\n".join([*lines, "", text or f"{nothing}, or none that the token may read"])
