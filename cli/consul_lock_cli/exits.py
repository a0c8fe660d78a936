"""Exit codes: what each means, and which error gives which.  They are a contract."""

from __future__ import annotations

import enum
from typing import NamedTuple


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

    USAGE = 64, "bad option, duration or key, or waiting for our own ancestor; not started"
    DATA = 65, "the key holds something that is not a lock of this kind; not started"
    UNAVAILABLE = 69, "Consul cannot be reached or has no leader; not started"
    SOFTWARE = 70, "a bug of consul-lock"
    OS = 71, "the system refused a process, a pipe or memory; not started"
    REFUSED = 73, "the server does not accept the session or the lock's value; not started"
    HELD = 75, "somebody else holds the lock, or the time to wait is over (-E); not started"
    LOST = 76, "the lock was lost while the command ran, which was stopped"
    PERMISSION = 77, "the ACL token may not do this; not started"
    CONFIG = 78, "a setting, a variable of the environment or a TLS file is wrong; not started"
    OVERTIME = 124, "the command ran for too long and was stopped"
    NOT_EXECUTABLE = 126, "the command was found but cannot be run"
    NOT_FOUND = 127, "the command was not found"


class Failure(NamedTuple):
    """What becomes of an error: the exit code, and what the user may do."""

    code: ExitCode
    hint: str


# By full name, as importing the classes would cost every start the time of the library.  The
# first class of an error's own order of inheritance that is found here decides.
_FAILURES = {
    "consul_lock.errors.Unavailable": Failure(
        ExitCode.UNAVAILABLE,
        "--http-addr says where Consul is, --retry-for how long to try; nothing was started",
    ),
    "consul_lock.errors.PermissionDenied": Failure(
        ExitCode.PERMISSION,
        "the token comes from --token-file, --token, CONSUL_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN",
    ),
    "consul_lock.errors.Conflict": Failure(ExitCode.DATA, "use another --key"),
    "consul_lock.errors.Refused": Failure(
        ExitCode.REFUSED, "the servers may be configured for other limits; see their log"
    ),
    "consul_lock.errors.ConfigError": Failure(
        ExitCode.CONFIG, "an option beats the environment; 'consul-lock run --help' lists both"
    ),
    "consul_lock.errors.LockTimeout": Failure(ExitCode.HELD, "-w waits longer"),
    "consul_lock.errors.LockLost": Failure(
        ExitCode.LOST, "a longer --lock-delay rides out a longer outage"
    ),
    "builtins.MemoryError": Failure(ExitCode.OS, "free some memory, or raise the limit"),
    "builtins.OSError": Failure(ExitCode.OS, "see the limits of this user: ulimit -a"),
    "builtins.BaseException": Failure(
        ExitCode.SOFTWARE, "this is a bug of consul-lock; -vv shows where"
    ),
}


def failure(error: BaseException) -> Failure:
    """The one place that says which error ends in which exit code."""
    for kind in type(error).__mro__:
        found = _FAILURES.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    raise error
