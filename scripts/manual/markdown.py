"""The reference in docs/cli.md: a page by hand, with a generated part."""

from __future__ import annotations

import re

from scripts.manual.content import Entry, commands, common_options, exit_codes, variables

BEGIN, END = "<!-- generated: make docs -->\n", "<!-- end of what is generated -->\n"


def reference() -> str:
    """The generated part of docs/cli.md."""
    lines = ["## Options of most commands", "", *_table("option", common_options())]
    lines.append("\nCommands that do not talk to Consul have the first three at most.\n")
    for command in commands():
        lines += [f"## {command.path}", "", f"    {command.usage}", ""]
        for text in command.paragraphs:
            lines += [_block(text), ""]
        lines += [*_table("option", command.options), ""]
        if command.common:
            lines += ["And the [options of most commands](#options-of-most-commands).", ""]
    lines += ["## Exit codes", "", *_table("code", exit_codes()), ""]
    lines += ["## Variables", "", *_table("variable", variables())]
    return "\n".join(lines) + "\n"


def _table(title: str, entries: list[Entry]) -> list[str]:
    rows = [f"| `{entry.term.replace('|', chr(92) + '|')}` | {_escaped(entry.text)} |"
            for entry in entries]  # fmt: skip
    return [f"| {title} | |", "|---|---|", *rows] if rows else []


def _escaped(text: str) -> str:
    return re.sub(r"([|*<>\[\]])", r"\\\1", text)


def bring_up_to_date(page: str) -> str:
    """The page, with its generated part made anew."""
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def _block(text: str) -> str:
    if text.startswith("\b"):
        return "\n".join(f"    {line}" for line in text.lstrip("\b\n").splitlines())
    if text.startswith("Example: "):
        return f"    {text.removeprefix('Example: ')}"
    return _escaped(text)
