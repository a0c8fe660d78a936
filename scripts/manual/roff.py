"""The man page, for groff and mandoc."""

from __future__ import annotations

import re

from consul_lock_cli.main import cli
from scripts.manual.content import (
    EXAMPLES,
    FILES,
    Entry,
    commands,
    common_options,
    exit_codes,
    variables,
)


def man_page() -> str:
    """consul-lock(1)."""
    lines = [
        '.TH CONSUL-LOCK 1 "" "consul-lock" "User Commands"', ".SH NAME",
        "consul\\-lock \\- distributed locks on Consul, for shell scripts and cron jobs",
        ".SH SYNOPSIS", *_as_is([command.usage for command in commands()]),
        ".SH DESCRIPTION", _roff(cli.help or ""), ".SH COMMANDS",
    ]  # fmt: skip
    for command in commands():
        lines.append(f".SS {_roff(command.path.removeprefix('consul-lock '))}")
        for text in command.paragraphs:
            lines += _block(text)
        lines += _terms(command.options)
    lines += [".SH OPTIONS OF MOST COMMANDS", *_terms(common_options())]
    lines += [
        ".SH EXIT STATUS",
        "That of the command that was run, 128+n if signal n killed it, or",
    ]
    lines += [*_terms(exit_codes()), ".SH ENVIRONMENT", *_terms(variables())]
    lines += [".SH FILES", *_terms(FILES), ".SH EXAMPLES"]
    for text, example in EXAMPLES:
        lines += [".PP", _roff(text), *_as_is([f"    {example}"])]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR consul (1), flock (1), timeout (1)", ""])


def _terms(entries: list[Entry]) -> list[str]:
    return [line for term, text in entries for line in (".TP", f".B {_roff(term)}", _roff(text))]


def _as_is(lines: list[str]) -> list[str]:
    return [".PP", ".nf", *(_roff(line) for line in lines), ".fi"]


def _roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    # A dot or a quote at the beginning of a line would be a request.
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def _block(text: str) -> list[str]:
    if text.startswith("\b"):
        return _as_is(text.lstrip("\b\n").splitlines())
    if text.startswith("Example: "):
        return _as_is([f"    {text.removeprefix('Example: ')}"])
    return [".PP", _roff(text)]
