"""Which settings there are, and where each may come from beside the command line.

What names one run (--key, --dry-run) or takes a protection away (--no-guardian) is not here:
it can come from the command line only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Setting(NamedTuple):
    """One setting; its name is that of the option, without the dashes."""

    name: str
    table: str
    """Where it stands in the file: [consul]; [defaults], and also [key."..."]; or [key] only."""
    variable: str | None
    secret: bool = False


# The variables of the Consul command line; there is none for the datacenter, as it has none.
_OF_CONSUL = {
    "http-addr": "CONSUL_HTTP_ADDR",
    "token": "CONSUL_HTTP_TOKEN",
    "token-file": "CONSUL_HTTP_TOKEN_FILE",
    "http-auth": "CONSUL_HTTP_AUTH",
    "ssl": "CONSUL_HTTP_SSL",
    "ssl-verify": "CONSUL_HTTP_SSL_VERIFY",
    "ca-file": "CONSUL_CACERT",
    "ca-path": "CONSUL_CAPATH",
    "client-cert": "CONSUL_CLIENT_CERT",
    "client-key": "CONSUL_CLIENT_KEY",
    "tls-server-name": "CONSUL_TLS_SERVER_NAME",
    "datacenter": None,
    "namespace": "CONSUL_NAMESPACE",
    "partition": "CONSUL_PARTITION",
}
_TIMES_OF_CONSUL = ("connect-timeout", "request-timeout", "retry-for")
_DEFAULTS = (
    "ttl", "lock-delay", "heartbeat", "check", "service-check", "meta", "splay", "min-hold",
    "wait", "conflict-exit-code", "fail-open", "unavailable-exit-code",
    "stdin", "foreground", "stop-signal", "kill-after", "max-runtime", "on-lost",
    "keep-leftovers", "daemons", "log-format", "color",
    "timezone", "early", "max-lateness", "overlap", "standby", "max-skew", "history",
    "skip-exit-code", "overlap-exit-code", "require-synced-clock", "report", "chronic",
    "hook-timeout", "outage-quiet",
)  # fmt: skip
# All users of a semaphore must agree on its limit, and a job must bear to be run once more: for all
# keys together that makes no sense.
_OF_A_KEY = ("limit", "retry-crashed", "retry-failed")


def variable_of(name: str) -> str:
    """The variable of a setting of consul-lock.

    Not CONSUL_LOCK_: that prefix is for the variables that describe the lock to a command, and
    programs that it starts would take them for settings.
    """
    return "CONSULLOCK_" + name.upper().replace("-", "_")


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for setting in (
        *(
            Setting(name, "consul", variable, name in ("token", "http-auth"))
            for name, variable in _OF_CONSUL.items()
        ),
        *(Setting(name, "consul", variable_of(name)) for name in _TIMES_OF_CONSUL),
        *(Setting(name, "defaults", variable_of(name)) for name in _DEFAULTS),
        *(Setting(name, "key", None) for name in _OF_A_KEY),
    )
}

CONFIG_VARIABLE = variable_of("config")
"""Names the file; it is read instead of the user's and the system's."""

COMPLETION_VARIABLE = "_CONSUL_LOCK_COMPLETE"
"""No setting: set by the completion scripts; the words of the line are then the arguments."""

# If one of them is set, the other must not come from a source of lower precedence: a token from
# the environment beats a token file of /etc.
_RIVALS = (frozenset(("token", "token-file")), frozenset(("ca-file", "ca-path")))


def rivals(name: str) -> frozenset[str]:
    """The other settings that, where they are given, leave no room for this one."""
    return next((group - {name} for group in _RIVALS if name in group), frozenset())
