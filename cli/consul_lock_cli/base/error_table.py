"""Which error ends in which exit code, and what the user may do about it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from consul_lock.errors import (
    ClockSkew,
    ConfigError,
    Conflict,
    ConsulLockError,
    ErrorKind,
    LockLost,
    LockTimeout,
    PermissionDenied,
    Refused,
    Unavailable,
)
from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.base.exit_codes import ExitCode


class Failure(NamedTuple):
    """What becomes of an error: the exit code, and what the user may do."""

    code: ExitCode
    hint: str


class _Case(NamedTuple):
    """What the command makes of an error."""

    code: ExitCode
    hint: str | Callable[[Any], str]
    text: Callable[[Any], str] = str
    """What failed."""


_problem = attrgetter("problem")

_SOURCE = (
    "'consul-lock config' shows where the token comes from; CONSUL_HTTP_TOKEN or --token-file sets"
    " it"
)
_LIMITS = "see the limits of this user: ulimit -a"


def _name(error: Any) -> str:
    """The name of the lock or job whose key an error is about."""
    return (error.key or "").removesuffix("/.lock").removesuffix("/.cron")


def _denied(error: PermissionDenied) -> str:
    access = f"{error.access} ({error.action})" if error.access else error.problem
    return f"permission denied: {access}"


def _needed(error: PermissionDenied) -> str:
    return f"the token needs  {error.rule}  ; {_SOURCE}" if error.rule else _SOURCE


def in_options(error: ConfigError, text: str) -> str:
    """A text of the error, with options (``--lock-delay 5``) for the arguments of the library
    (``lock_delay=5``)."""
    for name in error.settings:
        text = text.replace(f"{name}=", f"--{name.replace('_', '-')} ")
    return text


RENEW = "renew the certificate of the agent; or is the clock of this host wrong?"
OWN_REFUSED = (
    "is the certificate of --client-cert expired, or of a CA that the agent does not trust?"
    " 'openssl x509 -noout -enddate -issuer -in FILE' shows it"
)
_PROXY = (
    "a proxy in front of Consul must let an answer take 20s or more (nginx: proxy_read_timeout);"
    " 'consul-lock doctor' tries long requests"
)
_TRUST = (
    "--ca-file or CONSUL_CACERT has the certificate of its CA; if only the name is wrong:"
    " --tls-server-name server.dc1.consul"
)
_CLIENT = "it may require a client certificate: --client-cert and --client-key"
_LOGIN = "--http-auth or CONSUL_HTTP_AUTH has user and password for it"
_ELSEWHERE = "does --http-addr or CONSUL_HTTP_ADDR point to Consul, or to something before it?"

# Of system calls that failed: what a limit of the user's causes, and a place that is full.
_OF_LIMITS = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _of_system(error: OSError) -> str:
    if error.errno in _FULL:
        return "free some room where the output goes"
    return _LIMITS if error.errno in _OF_LIMITS else ""


def _refused(error: Refused) -> str:
    if "Enterprise" in error.answer:
        return (
            "this Consul has no namespaces and partitions: leave out --namespace and --partition,"
            " and unset CONSUL_NAMESPACE and CONSUL_PARTITION"
        )
    if error.kind == "health-check":
        return "register the check at the agent first; 'consul-lock doctor' shows what it knows"
    return "the servers may be configured for other limits; see their log"


def _broken_off(error: Unavailable) -> str:
    return _PROXY if error.status in (None, 502, 504) else _ADDRESS


_ADDRESS = "--http-addr sets the address of Consul, --retry-for how long to try"
_REACH = (
    "is the agent running? set its address with --http-addr or CONSUL_HTTP_ADDR;"
    " 'consul-lock doctor' checks more"
)
_UNREACHED = _Case(ExitCode.UNAVAILABLE, _REACH, _problem)
_FOREIGN = _Case(
    ExitCode.DATA, "use another --key; or delete what is there, if nobody needs it", _problem
)
_DENIED = _Case(ExitCode.PERMISSION, _needed, _denied)

# By class and kind; None: all other kinds of the class.  The library advises programs, which have
# arguments; the command advises people, who have options, so it has hints of its own.
CASES: dict[tuple[type[BaseException], ErrorKind | None], _Case] = {
    (Unavailable, "refused"): _UNREACHED,
    (Unavailable, "unreachable"): _UNREACHED,
    (Unavailable, "dns"): _Case(
        ExitCode.UNAVAILABLE,
        "check the spelling of the name in --http-addr or CONSUL_HTTP_ADDR, and the search domain"
        " of this host",
        _problem,
    ),
    (Unavailable, "claim-unknown"): _Case(
        ExitCode.UNAVAILABLE, "the slot may be lost; --retry-for sets how long to try", _problem
    ),
    (Unavailable, "no-leader"): _Case(
        ExitCode.UNAVAILABLE,
        "'consul operator raft list-peers' shows the servers; a longer --retry-for covers a"
        " longer election",
        _problem,
    ),
    (Unavailable, "rate-limit"): _Case(
        ExitCode.UNAVAILABLE,
        "fewer clients at this address, or higher limits of the agent or the servers, would help",
        _problem,
    ),
    **{
        (Unavailable, kind): _Case(ExitCode.UNAVAILABLE, _broken_off)
        for kind in ("hung-up", "broken", "server-error")
    },
    (Unavailable, "proxy"): _Case(
        ExitCode.UNAVAILABLE, lambda e: _LOGIN if e.status == 401 else _ELSEWHERE, _problem
    ),
    (Unavailable, None): _Case(ExitCode.UNAVAILABLE, _ADDRESS),
    (PermissionDenied, "unknown-token"): _Case(
        ExitCode.PERMISSION,
        f"it has expired, was deleted, or is of another cluster; {_SOURCE}",
        lambda e: f'the token is unknown to the cluster ("ACL not found"; {e.action})',
    ),
    (PermissionDenied, "denied"): _DENIED,
    (PermissionDenied, "hidden-keys"): _DENIED,
    (Conflict, "limit"): _Case(
        ExitCode.DATA,
        lambda e: (
            "all users of a semaphore must agree on --limit; 'consul-lock break --delete"
            f" {_name(e)}' removes it when nobody holds it"
        ),
        lambda e: f"{_name(e)} is a semaphore with limit {e.limit}, wanted {e.wanted}",
    ),
    (Conflict, "other-kind"): _Case(
        ExitCode.DATA,
        "all users of a name must agree on the kind of lock; or use another --key",
        _problem,
    ),
    (Conflict, "foreign"): _FOREIGN,
    (Conflict, "damaged"): _FOREIGN,
    (Conflict, "cron-record"): _Case(
        ExitCode.DATA,
        lambda e: (
            "use another --name; or, if nobody needs it, 'consul-lock cron reset --force"
            f" {_name(e)}' writes it anew"
        ),
        _problem,
    ),
    (Conflict, "slot-form"): _Case(
        ExitCode.DATA,
        lambda e: (
            f"use another --name; or 'consul-lock cron reset {_name(e)}' if the job has changed"
        ),
        _problem,
    ),
    (Conflict, None): _Case(ExitCode.DATA, "use another --key"),
    (Refused, None): _Case(ExitCode.REFUSED, _refused),
    (ConfigError, "needs-tls"): _Case(
        ExitCode.CONFIG,
        "use https:// in the address, or CONSUL_HTTP_SSL=true",
        lambda e: f"{e.problem}, and the address says http",
    ),
    (ConfigError, "no-tls"): _Case(
        ExitCode.CONFIG, "use http:// in the address, and no CONSUL_HTTP_SSL=true", _problem
    ),
    (ConfigError, "certificate"): _Case(
        ExitCode.CONFIG,
        _TRUST,
        _problem,
    ),
    (ConfigError, "certificate-expired"): _Case(ExitCode.CONFIG, RENEW, _problem),
    (ConfigError, "client-certificate"): _Case(
        ExitCode.CONFIG,
        lambda e: OWN_REFUSED if "client_key" in e.settings else _CLIENT,
        _problem,
    ),
    (ConfigError, "not-consul"): _Case(
        ExitCode.CONFIG, lambda e: _LOGIN if "http_auth" in e.settings else _ELSEWHERE, _problem
    ),
    (ConfigError, "no-python-consul2"): _Case(ExitCode.CONFIG, attrgetter("hint"), _problem),
    (ConfigError, "no-cronsim"): _Case(
        ExitCode.CONFIG,
        "pip install '.[cron]' in a checkout of consul-lock has it; --every needs nothing more",
        lambda _: "--schedule needs cronsim",
    ),
    (ConfigError, "schedule"): _Case(
        ExitCode.CONFIG,
        "give five fields, for a day that exists: '30 2 * * 1-5' is 2:30 on working days",
        lambda e: in_options(e, str(e)),
    ),
    (ConfigError, "timezone"): _Case(
        ExitCode.CONFIG,
        "names are as in 'Europe/Berlin'; if that is one, install tzdata",
        lambda e: in_options(e, e.problem),
    ),
    (ConfigError, "clock"): _Case(
        ExitCode.CONFIG, "'timedatectl' shows whether the clock of this host is set", _problem
    ),
    (ConfigError, None): _Case(
        ExitCode.CONFIG,
        "an option takes precedence over the environment; 'consul-lock run --help' lists both",
    ),
    (BadSetting, None): _Case(
        ExitCode.CONFIG, "'consul-lock config' shows the settings, and where each comes from"
    ),
    (ClockSkew, None): _Case(
        ExitCode.CONFIG,
        lambda e: (
            "'timedatectl' on both hosts shows which clock is wrong; when it is right, 'consul-lock"
            f" cron reset {_name(e)}' forgets that slot"
        ),
        lambda e: (
            f"{_name(e)}: the record is at slot {e.found}, written by {e.host}, and this host is"
            f" at {e.slot}: a clock is wrong by {e.ahead:g} s or more"
        ),
    ),
    (LockTimeout, None): _Case(ExitCode.HELD, "use -w to wait longer"),
    (LockLost, None): _Case(ExitCode.LOST, "a longer --lock-delay covers a longer outage"),
    (MemoryError, None): _Case(ExitCode.OS, "free some memory, or raise the limit"),
    (OSError, None): _Case(
        ExitCode.OS, _of_system, lambda e: str(e).removeprefix(f"[Errno {e.errno}] ")
    ),
    (BaseException, None): _Case(
        ExitCode.SOFTWARE, "this is a bug of consul-lock; -vv shows where"
    ),
}

_NO_THREAD = _Case(ExitCode.OS, _LIMITS, lambda _: "cannot start a thread")


def failure(error: BaseException) -> Failure:
    """The one place that says which error ends in which exit code."""
    case = _case(error)
    return Failure(case.code, case.hint if isinstance(case.hint, str) else case.hint(error))


def never_answered(error: Unavailable) -> str:
    """The hint, if nothing has ever answered at the address: more time is no help then."""
    if error.kind in ("hung-up", "broken"):
        return _ELSEWHERE
    hint = failure(error).hint
    return _REACH if hint == _ADDRESS else hint


def complaint(error: BaseException) -> str:
    """What failed, in the terms of the command line."""
    return _case(error).text(error)


def _case(error: BaseException) -> _Case:
    # Python has no class of its own for this one.
    if type(error) is RuntimeError and str(error).startswith("can't start new thread"):
        return _NO_THREAD
    kind = error.kind if isinstance(error, ConsulLockError) else None
    # The nearest class decides: most errors of the library are an OSError or a ValueError, too.
    for each in type(error).__mro__:
        if found := CASES.get((each, kind)) or CASES.get((each, None)):
            return found
    raise error
