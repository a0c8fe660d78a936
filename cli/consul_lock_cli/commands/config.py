"""`consul-lock config`: every setting, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import NAME, Duration, WholeNumber
from consul_lock_cli.output.data_command import DiagnosticCommand
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS
from consul_lock_cli.settings.context import LenientContext, checked, setting_of, written
from consul_lock_cli.settings.sources import FoundSetting, Origin, rank
from consul_lock_cli.spec.connection import PARAMETERS, Connection

_HIDDEN = "(hidden)"
_MORE = frozenset("@?#")


class _Row(NamedTuple):
    name: str
    value: Any
    origin: Origin


@click.command(cls=DiagnosticCommand)
@click.option(
    "-k",
    "--key",
    "--name",
    "key",
    type=NAME,
    help="Show the settings for this lock, with its own tables.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@console_options
@connection_options
def config(connection: Connection, console: Console, key: str | None, as_json: bool) -> int:
    """Show all settings, and where each comes from.

    A flag takes precedence over the environment, then come the file of the user, the file of
    the system, and the default.  Secrets are not shown.

    Example: consul-lock config --key jobs/backup
    """
    ctx = click.get_current_context()
    assert isinstance(ctx, LenientContext)
    problem: Exception | None = ctx.fault
    rows = [_files(ctx)]
    try:
        rows += _of_consul(ctx, connection, console)
        rows += _of_the_command(ctx)
    except click.ClickException:
        raise  # misuse
    except Exception as error:  # noqa: BLE001 - whatever it is, what is known is shown
        problem = problem or error
        rows = [_files(ctx), *_as_written(ctx, connection)]
    _print(rows, as_json, problem)
    if problem is None:
        return 0
    code, hint = failure(problem)
    # The hint of a bad setting is to run this command.
    hint = "" if isinstance(problem, BadSetting) else hint
    console.error(f"{complaint(problem)} ({code:d})", hint)
    console.trace(problem)
    return code


def _files(ctx: LenientContext) -> _Row:
    origin = Origin("default")
    if ctx.config_path is not None:
        origin = Origin("flag", "--config")
    elif CONFIG_VARIABLE in os.environ:
        origin = Origin("environment", CONFIG_VARIABLE)
    return _Row("config", [str(file.path) for file in ctx.settings.files], origin)


def _of_consul(ctx: LenientContext, connection: Connection, console: Console) -> Iterator[_Row]:
    """As the library understands them.  Nothing is sent; raises its error."""
    with connection.client(console) as client:
        resolved = client.config
    origins = {name: ctx.origin(name) for name in PARAMETERS}
    values = {name: getattr(resolved, field, None) for name, field in PARAMETERS.items()}
    values["http-addr"] = resolved.origin
    values["ssl"] = resolved.scheme == "https"
    if origins["ssl"].source == "default" and values["ssl"]:
        origins["ssl"] = origins["http-addr"]
    if values["token"] and rank(origins["token-file"]) <= rank(origins["token"]):
        values["token"], origins["token"] = None, Origin("default")
    values["token-file"] = _raw(ctx, connection, "token-file")
    if resolved.http_auth:
        user, password = resolved.http_auth
        # A lone word may well be a password whose user was forgotten.
        values["http-auth"] = f"{user}:{_HIDDEN}" if password else _HIDDEN
    values["token"] = values["token"] and _HIDDEN
    for name in PARAMETERS:
        yield _Row(name, values[name], origins[name])


def _of_the_command(ctx: LenientContext) -> Iterator[_Row]:
    """Those of the commands, with the defaults that they have there."""
    for name, param in _options(ctx).items():
        found = ctx.find(name)
        if found is not None:
            value = checked(ctx, param, found)
            yield _Row(name, _plain(param, value, written(param, found)), found.origin)
        else:
            default = param.to_info_dict()["default"]
            value = param.type_cast_value(ctx, default)
            yield _Row(name, _plain(param, value, default), Origin("default"))


def _options(ctx: LenientContext) -> dict[str, click.Parameter]:
    """An option of some command for each setting that is not about Consul; `run` goes first."""
    commands = dict(_commands(ctx.find_root().command))
    found: dict[str, click.Parameter] = {}
    for name in sorted(commands, key=lambda name: (name != "run", name)):
        for param in commands[name].params:
            found.setdefault(setting_of(param) or "", param)
    return {name: found[name] for name in SETTINGS if name in found and name not in PARAMETERS}


def _commands(group: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """All below a group, and what is typed for each."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield f"{path}{name}", command
            yield from _commands(command, f"{path}{name} ")


def _plain(param: click.Parameter, value: Any, text: Any) -> Any:
    """Numbers and durations as what they mean, all else as it is written."""
    if param.multiple:
        return list(text or ())
    means = isinstance(param.type, Duration | WholeNumber)
    return value if means or isinstance(value, bool) else text


def _raw(ctx: LenientContext, connection: Connection, name: str) -> Any:
    value = connection.settings.get(PARAMETERS.get(name, ""))
    if value is None and ctx.origin(name).source != "default":
        found = ctx.find(name)
        value = found.value if found else None
    return value


def _as_written(ctx: LenientContext, connection: Connection) -> Iterator[_Row]:
    for name, setting in SETTINGS.items():
        found = ctx.find(name)
        if ctx.origin(name).source == "flag":
            found = FoundSetting(_raw(ctx, connection, name), ctx.origin(name))
        if found is not None:
            secret = setting.secret or (name == "http-addr" and _has_more(str(found.value)))
            yield _Row(name, _HIDDEN if secret else found.value, found.origin)


def _has_more(address: str) -> bool:
    """Whether it is more than an address: people put passwords and tokens there, which is
    refused."""
    return not _MORE.isdisjoint(address) and not address.startswith("unix://")


def _print(rows: list[_Row], as_json: bool, problem: Exception | None) -> None:
    if as_json:
        import json

        items = [
            {"name": name, "value": value, "source": source, "from": where or None}
            for name, value, (source, where) in rows
        ]
        document: dict[str, Any] = {"v": 1, "items": items}
        if problem is not None:
            document["error"] = {"code": int(failure(problem).code), "message": complaint(problem)}
        click.echo(json.dumps(document))
        return
    texts = [(row.name, _text(row), shown(" ".join(filter(None, row.origin)), 200)) for row in rows]
    widths = [max(len(line[column]) for line in texts) for column in (0, 1)]
    for name, value, source in texts:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")


def _text(row: _Row) -> str:
    value = row.value
    if value is None or value in ([], ()):
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_duration(value)
    return shown(" ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value), 200)
