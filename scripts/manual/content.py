"""What the manual says: read from the commands, so that it cannot say anything else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import NamedTuple

import click

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.main import cli
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS
from consul_lock_cli.settings.context import setting_of

# Each is run by a test, with a stand-in for the programs that it names.
EXAMPLES = [
    ("Wait at most ten minutes for the lock, then back up:",
     "consul-lock run --key backup -w 10m -- backup-all"),
    ("In a crontab of all hosts: only the first host runs it, and the others end with success:",
     "consul-lock run --key jobs/report -n -E 0 -- report"),
    ("At most three downloads at once in the whole datacenter:",
     "consul-lock run --key downloads --limit 3 -- download"),
    ("A shell command under the lock:",
     "consul-lock run --key deploy/web -c 'deploy && smoke-test'"),
    ("Which settings hold for a lock, and where each comes from:",
     "consul-lock config --key jobs/report"),
]  # fmt: skip


class Entry(NamedTuple):
    """An option, a variable or a code, and what it means."""

    term: str
    text: str


class Command(NamedTuple):
    """One command; its own options, without those that most commands have."""

    path: str
    usage: str
    paragraphs: list[str]
    options: list[Entry]
    common: bool
    """Whether it has some of those, too."""


def commands() -> Iterator[Command]:
    """All of them, in the order of their names."""
    with click.Context(cli, info_name="consul-lock") as root:
        yield from _below(cli, root)


def _below(group: click.Group, above: click.Context) -> Iterator[Command]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if command.hidden:
            continue
        with click.Context(command, info_name=name, parent=above) as ctx:
            own = [param for param in command.params if not _is_common(param)]
            yield Command(
                ctx.command_path,
                _usage(command, ctx.command_path),
                _paragraphs(command),
                [entry for param in own for entry in _entry(param)],
                any(_is_common(param) for param in command.params),
            )
            if isinstance(command, click.Group):
                yield from _below(command, ctx)


def common_options() -> list[Entry]:
    """The options that all commands have which talk to Consul, or all of them."""
    command = cli.commands["run"]
    found = [param for param in command.params if _is_common(param)]
    return [entry for param in found for entry in _entry(param)]


def _is_common(param: click.Parameter) -> bool:
    setting = setting_of(param)
    of_consul = setting is not None and SETTINGS[setting].table == "consul"
    return of_consul or param.name in ("config", "verbose", "quiet", "log_format")


def _paragraphs(command: click.Command) -> list[str]:
    """Of its help and its epilog; with "\\b" before one that is to be left as it is."""
    told = (command.help, command.epilog)
    text = "\n\n".join(inspect.cleandoc(part) for part in told if part)
    # Exit codes have a section of their own.
    text = re.sub(r"\x08?\n?Exit codes, beside.*\Z", "", text, flags=re.DOTALL).strip()
    parts = re.split(r"\n[ \t]*\n", text)
    return [part if part.startswith("\b") else " ".join(part.split()) for part in parts if part]


def _entry(param: click.Parameter) -> Iterator[Entry]:
    if not isinstance(param, click.Option) or param.hidden:
        return
    setting = SETTINGS.get(setting_of(param) or "")
    places = [setting.variable or ""] if setting else []
    if setting is not None:
        table = '[key."..."]' if setting.table == "key" else f"[{setting.table}]"
        places.append(f"{table} {setting.name}")
    where = f" ({', '.join(filter(None, places))})" if places else ""
    # What --help says in brackets about variables is said here of all of them.
    text = re.sub(r" \[CONSUL[A-Z_]*\]", "", " ".join((param.help or "").split()))
    yield Entry(_term(param), re.sub(r"\[CONSUL[A-Z_]*; ", "[", text) + where)


# Not click's own words for these, which change from one version of it to the next.
def _term(option: click.Option) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        return f"{names} / {', '.join(option.secondary_opts)}"
    return names if option.is_flag or option.count else f"{names} {_metavar(option)}"


def _metavar(param: click.Parameter) -> str:
    if param.metavar:
        return param.metavar
    if isinstance(param.type, click.Choice):
        return "|".join(map(str, param.type.choices))
    if isinstance(param, click.Argument):
        return (param.name or "").upper()
    return param.type.name


def _usage(command: click.Command, path: str) -> str:
    words = [path, command.options_metavar or ""]
    for param in command.params:
        if isinstance(param, click.Argument):
            text = _metavar(param) if param.required else f"[{_metavar(param)}]"
            words.append(f"{text}..." if param.nargs == -1 else text)
    if isinstance(command, click.Group):
        words.append("COMMAND [ARG]...")
    return " ".join(filter(None, words))


def variables() -> list[Entry]:
    """All variables of the environment that are read."""
    found = [
        Entry(CONFIG_VARIABLE, "The file with settings, instead of the user's and the system's."),
        Entry("NO_COLOR", "If it is not empty: no colours, unless --color asks for them."),
        Entry("XDG_CONFIG_HOME", "The folder in which the user's file is [~/.config]."),
    ]
    found += [
        Entry(setting.variable, f"The same as --{setting.name}.")
        for setting in SETTINGS.values()
        if setting.variable is not None
    ]
    return sorted(found)


def exit_codes() -> list[Entry]:
    """All exit codes of consul-lock, as `ExitCode` has them."""
    return [Entry(str(int(code)), f"{code.sentence} ({code.name})") for code in ExitCode]


FILES = [
    Entry("$XDG_CONFIG_HOME/consul-lock/config.toml",
          "Settings of the user, in TOML: [consul], [defaults], and [key.\"jobs/*\"] for the locks"
          " whose names fit. Without the variable it is in ~/.config."),
    Entry("/etc/consul-lock/config.toml", "Settings of the system; those of the user beat them."),
]  # fmt: skip
