"""The manual says what the commands are: docs/cli.md, the man page, and their examples."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.main import cli
from consul_lock_cli.settings.catalogue import SETTINGS
from consul_lock_cli.settings.context import SettingsContext
from scripts.manual.__main__ import main
from scripts.manual.content import EXAMPLES
from scripts.manual.markdown import bring_up_to_date
from scripts.manual.roff import man_page
from tests.cli.command import COMMAND, PATIENCE
from tests.cli.isolated_home import Home

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs" / "cli.md"


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Each command and its names."""

    def below(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
        for name, command in group.commands.items():
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from below(command, f"{path} {name}")

    return below(cli, "consul-lock")


def test_the_reference_is_up_to_date() -> None:
    """If this fails, a command has changed: `make docs` brings docs/cli.md up to date."""
    page = _PAGE.read_text()
    assert page == bring_up_to_date(page)


@pytest.mark.parametrize("text", [_PAGE.read_text(), man_page()], ids=["docs/cli.md", "man page"])
def test_every_command_option_variable_and_code_is_in_it(text: str) -> None:
    """Seen from the commands, not from what writes the manual."""
    plain = text.replace("\\-", "-")
    for path, command in all_commands():
        assert path.removeprefix("consul-lock ") in plain
        for param in command.params:
            for name in (*param.opts, *param.secondary_opts):
                assert not name.startswith("-") or re.search(rf"{name}\b", plain), f"{path} {name}"
    for code in ExitCode:
        assert code.sentence.replace("-", "") in plain.replace("-", "")
    for setting in SETTINGS.values():
        assert setting.variable is None or setting.variable in plain


def test_the_generated_part_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    """What people wrote around it stays."""
    page = tmp_path / "page.md"
    page.write_text(
        "above\n<!-- generated: make docs -->\nold\n<!-- end of what is generated -->\nbelow"
    )
    main(["reference", str(page)])
    once = page.read_text()
    assert once.startswith("above\n")
    assert once.endswith("\nbelow")
    assert "\nold\n" not in once
    main(["reference", str(page)])
    assert page.read_text() == once
    with pytest.raises(ValueError, match="the page has no"):
        bring_up_to_date("nothing\n")


def test_the_man_page_is_one(tmp_path: Path) -> None:
    """For man, without a complaint of groff, where there is one."""
    main(["share", str(tmp_path)])
    page = tmp_path / "man" / "man1" / "consul-lock.1"
    text = page.read_text()
    sections = re.findall(r"(?m)^\.SH (.*)", text)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert {"EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"} <= set(sections)
    groff = shutil.which("groff")
    if groff is not None:
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-ww", str(page)],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.stderr == ""
        assert "consul-lock run --key backup -w 10m -- backup-all" in done.stdout


def test_text_that_looks_like_a_request_of_roff_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A help text may begin with a dot, and have a backslash in it."""
    monkeypatch.setattr(cli, "help", ".so /etc/passwd\n'b and a\\fB")
    assert "\\&.so /etc/passwd\n\\&'b and a\\efB" in man_page()


def test_some_commands_have_a_second_name() -> None:
    """As other tools call them."""
    for second, first in (("list", "ls"), ("force-release", "break")):
        assert cli.get_command(click.Context(cli), second) is cli.commands[first]


def examples() -> Iterator[str]:
    """Those of the help texts."""
    for _, command in all_commands():
        text = re.split(r"\n\s*\n", f"{command.help or ''}\n\n{command.epilog or ''}")
        parts = [part for part in text if part.strip().startswith("Example: ")]
        yield from (" ".join(part.split()).removeprefix("Example: ") for part in parts)


@pytest.mark.parametrize("example", list(examples()))
def test_the_examples_of_the_help_texts_are_right(example: str) -> None:
    """Each is a command line that its command takes."""
    words = takewhile(lambda word: word not in ("&&", "||", "|", ">"), shlex.split(example))
    program, name, *arguments = words
    assert program == "consul-lock"
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.get_command(click.Context(command), name)
    assert command is not None
    with command.make_context(name, arguments) as ctx:
        assert isinstance(ctx, SettingsContext)


@pytest.mark.parametrize("example", [example for _, example in EXAMPLES])
def test_the_examples_of_the_man_page_run(
    home: Home, tmp_path: Path, address: str, example: str
) -> None:
    """As they are, in a shell, with stand-ins for the programs of their users."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {"consul-lock": f'exec {shlex.join(COMMAND)} "$@"'}
    texts |= dict.fromkeys(
        ("backup-all", "report", "download", "deploy", "smoke-test"), "echo done"
    )
    for name, text in texts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", example],
        env=home.environment(address, PATH=f"{programs}:{os.environ['PATH']}"),
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "done" in done.stdout or " config " in example


def test_the_file_in_the_manual_is_one(home: Home) -> None:
    """The example of docs/cli.md is read without a fault."""
    (text,) = re.findall(r"```toml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    token = home.folder / "token"
    token.write_text("t")
    token.chmod(0o600)
    home.write(text.replace("/etc/consul-lock/token", str(token)))
    seen = home.settings("--key", "jobs/report")
    assert seen["wait"]["value"] == 0.0
    assert seen["lock-delay"]["value"] == 45.0
    assert home.settings("--key", "downloads")["limit"]["value"] == 3
