"""Exit codes: what each means.  They are a contract."""

from __future__ import annotations

import enum

NOT_SO = 1
"""Exit code of a question that is answered with no."""


class ExitCode(enum.IntEnum):
    """What `consul-lock` itself says; any other code is the command's own.

    64 to 78 are those of sysexits.h, 124 is that of timeout(1), 126 and 127 are the shell's.
    """

    sentence: str

    def __new__(cls, code: int, sentence: str) -> ExitCode:
        """A member is its code, and has its sentence."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    USAGE = (
        64,
        "bad option, duration or key, or waiting for an ancestor of this process; not started",
    )
    DATA = 65, "the key holds something that is not a lock of this kind; not started"
    UNAVAILABLE = 69, "Consul cannot be reached or has no leader; not started"
    SOFTWARE = 70, "a bug of consul-lock"
    OS = 71, "the system refused a process, a pipe or memory; not started"
    REFUSED = 73, "the server does not accept the session or the lock's value; not started"
    HELD = 75, "another process holds the lock, or the wait timed out (-E); not started"
    LOST = 76, "the lock was lost while the command ran, which was stopped"
    PERMISSION = 77, "the ACL token may not do this; not started"
    CONFIG = 78, "a setting, a variable of the environment or a TLS file is wrong; not started"
    OVERTIME = 124, "the command ran for longer than --max-runtime and was stopped"
    NOT_EXECUTABLE = 126, "the command was found but cannot be run"
    NOT_FOUND = 127, "the command was not found"


# Columns of the list in `--help`, which indents it by two of 80.
_COLUMNS = 76


def _listed(code: ExitCode) -> str:
    """The code and its sentence, on as many lines as that takes."""
    lines = [f"{code:5d} "]
    for word in code.sentence.split():
        if len(lines[-1]) + 1 + len(word) > _COLUMNS:
            lines.append(" " * 6)
        lines[-1] += f" {word}"
    return "\n".join(lines)


EPILOG = (
    "\b\nExit codes, besides those of COMMAND itself (128+n if signal n killed it):\n"
    + "\n".join(_listed(code) for code in ExitCode)
)
"""What `--help` of a command that runs another one ends with."""
