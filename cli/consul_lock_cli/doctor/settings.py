"""Checks of the settings, the configuration file and the times."""

from __future__ import annotations

import os
import stat

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.timing import check_timing

_LOOPBACK = ("127.", "localhost", "::1")


def sources(context: DoctorContext) -> Finding:
    """The variables and files can be read."""
    if context.fault is not None:
        raise Trouble(
            str(context.fault),
            "the other checks ignore it; 'consul-lock config' shows the other settings",
            ExitCode.CONFIG,
        )
    files = ", ".join(str(file.path) for file in context.files) or "no file"
    return ok(f"the environment and {files}")


def settings(context: DoctorContext) -> Finding:
    """The address and the credentials: they contradict neither each other nor common sense."""
    origins = context.connection.origins
    if context.unread and not _from(origins.get("http-addr")):
        raise Trouble(
            "the address of Consul may be in the file that cannot be read",
            "repair the file, or use --http-addr",
            ExitCode.CONFIG,
        )
    config = context.config
    if context.remarks:
        return warn("; ".join(context.remarks), "the token in it is readable by others")
    near = config.unix_socket or config.host.startswith(_LOOPBACK)
    if config.token and config.scheme == "http" and not near:
        return warn(
            f"the token travels to {config.origin} unencrypted",
            "use https://, or an agent on this host",
        )
    if config.scheme == "https" and not config.verify:
        return warn("certificates are not checked", "leave --no-ssl-verify out, and give --ca-file")
    where = _from(origins.get("http-addr"))
    token = _from(origins.get("token-file")) or _from(origins.get("token"))
    return ok(f"{config.origin}{where}, {f'a token{token}' if config.token else 'no token'}")


def _from(origin: Origin | None) -> str:
    known = origin is not None and origin.source != "default"
    return f" (from {shown(origin.where or origin.source, 120)})" if origin and known else ""


def config_files(context: DoctorContext) -> Finding:
    """No other user can redirect the token, or read it."""
    if not context.files:
        return skip("there is none")
    for file in context.files:
        status = file.path.stat()
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
            return warn(
                f"others can change {file.path}", "chown it to yourself or root, and chmod go-w"
            )
        if file.has_secret() and status.st_mode & stat.S_IROTH:
            return warn(f"others can read the secret in {file.path}", f"chmod o-r {file.path}")
    return ok(", ".join(str(file.path) for file in context.files))


def timing(context: DoctorContext) -> Finding:
    """A lost lock leaves the time to stop the command; and how long a crash costs."""
    check_timing(context.ttl, context.lock_delay, context.kill_after)
    if not context.lock_delay:
        return warn(
            "with a lock-delay of 0, others acquire the lock at once when the session is destroyed",
            "use --lock-delay 30s, unless the command needs no time to stop",
        )
    crash = show_duration(2 * context.ttl + context.lock_delay)
    return ok(
        f"after a crash a lock is free in at most {crash}: twice the TTL, as Consul waits that"
        " long, and the lock-delay"
    )
