"""Which error ends in which exit code, and what the user may do about it."""

from __future__ import annotations

import re
from typing import NamedTuple

from consul_lock_cli.base.exit_codes import ExitCode


class Failure(NamedTuple):
    """What becomes of an error: the exit code, and what the user may do."""

    code: ExitCode
    hint: str


class _Case(NamedTuple):
    """A line of the table: what the library says, and what we say instead."""

    kind: str
    """The class of the error."""
    told: str
    """What its message looks like; empty: whatever it is."""
    code: ExitCode
    text: str
    """What failed, with the groups of ``told``; empty: the message itself."""
    hint: str


# Names of classes, as importing them would cost every start the time of the library.
_LIBRARY = "consul_lock.errors."
_SOURCE = "'consul-lock config' shows where the token comes from"

_DENIED = r"(.*?): the token may not do this .*?; it needs the rule +("
_CLOCKS = "'timedatectl' shows whether a clock is right; reset the record when all of them are"

_NEEDED = rf"the token needs  \2  ; {_SOURCE}"

# The library advises programs, which have arguments; we advise people, who have options.  So
# what it says is cut off where its advice begins.  The first class of an error's own order of
# inheritance that is found here decides, and of its lines the first that matches.
_CASES = [
    _Case(
        "Unavailable", r"(cannot reach Consul at .*?); is the agent", ExitCode.UNAVAILABLE,
        r"\1",
        "is the agent running? --http-addr or CONSUL_HTTP_ADDR says where it is;"
        " 'consul-lock doctor' checks more",
    ),
    _Case(
        "Unavailable", r"(cannot resolve .*?);", ExitCode.UNAVAILABLE, r"\1",
        "is the name spelt right, and in the search domain of this host? --http-addr or"
        " CONSUL_HTTP_ADDR has it",
    ),
    _Case(
        "Unavailable", r"(slot .* was not run: the claim was sent, and Consul never said .*?) \(",
        ExitCode.UNAVAILABLE, r"\1",
        "the slot may be lost; --retry-for says how long to try",
    ),
    _Case(
        "Unavailable", r"(.*leader.*?)(?:; 'consul operator.*)?$", ExitCode.UNAVAILABLE, r"\1",
        "'consul operator raft list-peers' shows the servers; a longer --retry-for rides out a"
        " longer election",
    ),
    _Case(
        "Unavailable", r"(.* limits the rate of our requests .*?); it is tried",
        ExitCode.UNAVAILABLE, r"\1",
        "fewer clients at this address, or higher limits of the agent, would help",
    ),
    _Case(
        "Unavailable", "", ExitCode.UNAVAILABLE, "",
        "--http-addr says where Consul is, --retry-for how long to try",
    ),
    _Case(
        "PermissionDenied", r"(.*): the token is unknown .* rule  ", ExitCode.PERMISSION,
        r'the token is unknown to the cluster ("ACL not found"; \1)',
        f"it has expired, was deleted, or is of another cluster; {_SOURCE}",
    ),
    _Case(
        "PermissionDenied", rf'{_DENIED}(session)_prefix "" {{ policy = "(\w+)" }})',
        ExitCode.PERMISSION, r"permission denied: \3:\4 (\1)", _NEEDED,
    ),
    _Case(
        "PermissionDenied", rf'{_DENIED}(\w+)_prefix "(.*)" {{ policy = "(\w+)" }})',
        ExitCode.PERMISSION, r'permission denied: \3:\5 on "\4" (\1)', _NEEDED,
    ),
    _Case(
        "PermissionDenied", r"(.*?); it needs the rule +(.*)", ExitCode.PERMISSION,
        r"permission denied: \1", rf"the token needs  \2  ; {_SOURCE}",
    ),
    _Case("PermissionDenied", "", ExitCode.PERMISSION, "", _SOURCE),
    _Case(
        "Conflict", r"semaphore limit conflict \(lock: (\d+), local: (\d+)\): '(.*)' has",
        ExitCode.DATA, r"\3 is a semaphore with limit \1, wanted \2",
        r"all users of a semaphore must agree on --limit; 'consul-lock break --delete \3' removes"
        " it when nobody holds it",
    ),
    _Case(
        "Conflict", r"(.*? holds a .*?, not a .*?) \(flags", ExitCode.DATA, r"\1",
        "all users of a name must agree on the kind of lock; or use another --key",
    ),
    _Case(
        "Conflict", r"(.*?); it is left alone", ExitCode.DATA, r"\1",
        "use another --key; or delete what is there, if nobody needs it",
    ),
    _Case(
        "Conflict", r"('(.*?)/\.cron'): (.*?); it is left as it is", ExitCode.DATA, r"\1: \3",
        r"use another --name; or, if nobody needs it, 'consul-lock cron reset --force \2'"
        " writes it anew",
    ),
    _Case(
        "Conflict", r"('(.*)/\.cron' is at slot .*?): (one name has IDs or times, not both);",
        ExitCode.DATA, r"\1: \3",
        r"use another --name; or 'consul-lock cron reset \2' if the job has changed",
    ),
    _Case("Conflict", "", ExitCode.DATA, "", "use another --key"),
    _Case(
        "Refused", "", ExitCode.REFUSED, "",
        "the servers may be configured for other limits; see their log",
    ),
    _Case(
        "ConfigError", r"(.* speaks TLS):", ExitCode.CONFIG, r"\1, and the address says http",
        "use https:// in the address, or CONSUL_HTTP_SSL=true",
    ),
    _Case(
        "ConfigError", r"(.* does not speak TLS)", ExitCode.CONFIG, r"\1",
        "use http:// in the address, and no CONSUL_HTTP_SSL=true",
    ),
    _Case(
        "ConfigError", r"(TLS: the certificate of .* is not trusted .*?);", ExitCode.CONFIG, r"\1",
        "--ca-file or CONSUL_CACERT has the certificate of its CA; if only the name is wrong:"
        " --tls-server-name server.dc1.consul",
    ),
    _Case(
        "ConfigError", r"(TLS: .* refused us .*?):", ExitCode.CONFIG, r"\1",
        "it may want a certificate of ours: --client-cert and --client-key",
    ),
    _Case(
        "ConfigError", r"(.*python-consul2.*?); (.*)", ExitCode.CONFIG, r"\1", r"\2",
    ),
    _Case(
        "ConfigError", r"schedule= needs cronsim: (.*?);", ExitCode.CONFIG,
        "--schedule needs cronsim", r"\1 has it; --every and --slot need nothing more",
    ),
    _Case(
        "ConfigError", r"schedule=(.*)", ExitCode.CONFIG, r"--schedule \1",
        "five fields are wanted, for a day that comes: '30 2 * * 1-5' is 2:30 on working days",
    ),
    _Case(
        "ConfigError", r"timezone=(.*? is unknown on this host)", ExitCode.CONFIG,
        r"--timezone \1", "names are as in 'Europe/Berlin'; if that is one, install tzdata",
    ),
    _Case(
        "ConfigError", r"(a slot at .* since the epoch): is the clock", ExitCode.CONFIG, r"\1",
        "'timedatectl' shows whether the clock of this host is set",
    ),
    _Case(
        "ConfigError", "", ExitCode.CONFIG, "",
        "an option beats the environment; 'consul-lock run --help' lists both",
    ),
    _Case(
        "consul_lock_cli.base.errors.BadSetting", "", ExitCode.CONFIG, "",
        "'consul-lock config' shows the settings, and where each comes from",
    ),
    _Case(
        "ClockSkew",
        r"'(.*?)': (the record is at .*?, written by .*?, and this host is at .*?): (.*?), and",
        ExitCode.CONFIG, r"\1: \2: \3",
        r"'timedatectl' on both hosts shows which clock is wrong; when it is right, 'consul-lock"
        r" cron reset \1' forgets that slot",
    ),
    _Case("ClockSkew", "", ExitCode.CONFIG, "", _CLOCKS),
    _Case("LockTimeout", "", ExitCode.HELD, "", "-w waits longer"),
    _Case("LockLost", "", ExitCode.LOST, "", "a longer --lock-delay rides out a longer outage"),
    _Case(
        "builtins.MemoryError", "", ExitCode.OS, "", "free some memory, or raise the limit"
    ),
    _Case(
        "builtins.RuntimeError", r"can't start new thread", ExitCode.OS, "cannot start a thread",
        "see the limits of this user: ulimit -a",
    ),
    _Case(
        "builtins.OSError", r"(?:\[Errno \d+\] )?(.*)", ExitCode.OS, r"\1",
        "see the limits of this user: ulimit -a",
    ),
    _Case(
        "builtins.BaseException", "", ExitCode.SOFTWARE, "",
        "this is a bug of consul-lock; -vv shows where",
    ),
]  # fmt: skip


def failure(error: BaseException) -> Failure:
    """The one place that says which error ends in which exit code."""
    case, found = _case(error)
    return Failure(case.code, found.expand(case.hint) if found.re.groups else case.hint)


def complaint(error: BaseException) -> str:
    """What failed, in words for whoever typed the command."""
    case, found = _case(error)
    return found.expand(case.text) if case.text else str(error)


def _case(error: BaseException) -> tuple[_Case, re.Match[str]]:
    text = str(error)
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        for case in _CASES:
            if case.kind == name or f"{_LIBRARY}{case.kind}" == name:
                found = re.match(case.told, text, re.DOTALL)
                if found:
                    return case, found
    raise error
