"""Types of values: what is refused before anything is sent, and what is completed."""

from __future__ import annotations

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.types import (
    COMMAND,
    CRON_NAME,
    DURATION,
    FILE,
    NAME,
    POSITIVE,
    PREFIX,
    Runner,
    WholeNumber,
    check_name,
)

_BAD = {
    "": "", "/a": "a", "a/": "a", "a//b": "a/b", ".": "", "..": "", "a/../b": "b", "./a": "a",
    " a": "a", "a ": "a", " /a": "a", "a\n": "a", "a\x00b": "", "a\x7f": "", "x" * 513: "",
    "é" * 257: "", "\udcff": "",
}  # fmt: skip
"""Names, and those that are most likely meant."""

_GOOD = ["a", "a b", "a%2Fb", "a?b#c", "é", "a/.lock", "...", "x" * 512]


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_name_is_refused_with_a_better_one(name: str) -> None:
    """Consul's tools clean or reject these, each in another way."""
    with pytest.raises(Misuse, match="bad key") as caught:
        check_name(name)
    better = _BAD[name]
    assert caught.value.hint.startswith(f'use "{better}"' if better else "use names like")


@pytest.mark.parametrize("name", _GOOD)
def test_a_good_name_is_kept_as_it_is(name: str) -> None:
    """Odd is not bad."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "text, kept", [("", ""), ("jobs", "jobs"), ("jobs/", "jobs/"), ("a b", "a b")]
)
def test_a_prefix_may_end_with_a_slash_or_be_that_of_all(text: str, kept: str) -> None:
    """Where a name may not."""
    assert PREFIX.convert(text, None, None) == kept


@pytest.mark.parametrize("text", ["/", "//", "a//", "/a", "a//b/", "..", "../"])
def test_a_text_that_no_name_begins_with_is_no_prefix(text: str) -> None:
    """It would show nothing, and seem to say that there is nothing."""
    with pytest.raises(Misuse, match="bad key"):
        PREFIX.convert(text, None, None)


def test_a_duration_is_read_and_a_default_is_taken_as_it_is() -> None:
    """Defaults are seconds already; click converts them, too."""
    assert (DURATION.convert("1m30s", None, None), DURATION.convert(3, None, None)) == (90.0, 3.0)
    assert DURATION.convert("0", None, None) == 0.0


def test_a_duration_that_cannot_be_0_says_which_option_it_is_of() -> None:
    """The message begins with the option, as nobody types a duration alone."""
    option = click.Option(["-t", "--connect-timeout"])
    for kind, text, why in (
        (POSITIVE, "0", 'bad duration "0": must be more than 0'),
        (POSITIVE, "0ms", "must be more than 0"),
        (DURATION, "soon", 'bad duration "soon"'),
    ):
        with pytest.raises(Misuse) as refused:
            kind.convert(text, option, None)
        assert refused.value.message.startswith("--connect-timeout: ")
        assert why in refused.value.message


@click.command(cls=Runner)
@click.option("--file", type=FILE)
@click.option("-v", is_flag=True)
@click.argument("command", nargs=-1, type=COMMAND)
def runner(file: str | None, v: bool, command: tuple[str, ...]) -> object:
    """Give back what arrives."""
    return file, v, command


@pytest.mark.parametrize("text, number", [("0", 0), ("255", 255), (7, 7)])
def test_a_whole_number_may_be_either_end(text: object, number: int) -> None:
    """As typed, and as a default."""
    assert WholeNumber(0, 255).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["-1", "256", "1.5", "", "x"])
def test_another_number_is_refused_with_those_that_there_are(text: str) -> None:
    """In words, not as a formula."""
    with pytest.raises(Misuse) as refused:
        WholeNumber(0, 255).convert(text, None, None)
    assert (refused.value.message, refused.value.hint) == (f'bad number "{text}"', "use 0 to 255")
    with pytest.raises(Misuse) as refused:
        WholeNumber(1).convert("0", None, None)
    assert refused.value.hint == "use 1 or more"


def test_options_after_the_command_are_its_own() -> None:
    """With and without --."""
    for words in (["-v", "ls", "-v", "--file", "x"], ["-v", "--", "ls", "-v", "--file", "x"]):
        assert runner.main(words, standalone_mode=False) == (
            None, True, ("ls", "-v", "--file", "x"),
        )  # fmt: skip


@pytest.mark.parametrize(
    "words, kind, value",
    [(["ls", "-v"], "command", "2"), (["ls"], "command", "1")],
)
def test_a_shell_is_asked_to_complete_the_words_of_the_command(
    words: list[str], kind: str, value: str
) -> None:
    """It knows the options of `ls`; it is given how many words of COMMAND there are before."""
    context = runner.make_context("runner", words, resilient_parsing=True)
    (item,) = runner.shell_complete(context, "")
    assert (item.type, item.value) == (kind, value)


def test_one_that_locks_nothing_takes_no_name_first() -> None:
    """There the first word is the command, whatever follows it."""
    assert runner.main(["env", "--", "x"], standalone_mode=False) == (
        None, False, ("env", "--", "x"),
    )  # fmt: skip


def test_before_the_command_options_are_completed() -> None:
    """By click, which knows them."""
    context = runner.make_context("runner", [], resilient_parsing=True)
    assert {item.value for item in runner.shell_complete(context, "--f")} == {"--file"}
    (item,) = FILE.shell_complete(context, runner.params[0], "/et")
    assert item.type == "file"


@pytest.mark.parametrize("kind, cron", [(NAME, False), (PREFIX, False), (CRON_NAME, True)])
def test_names_that_there_are_complete_a_name(
    kind: click.ParamType, cron: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Locks for a lock, jobs for a job."""
    asked = []

    def names(connection: object, incomplete: str, jobs: bool) -> list[str]:
        asked.append((incomplete, jobs))
        return ["jobs/a", "jobs/b"]

    monkeypatch.setattr("consul_lock_cli.completion.answer.names", names)
    context = runner.make_context("runner", [], resilient_parsing=True)
    found = kind.shell_complete(context, runner.params[0], "jo")
    assert [item.value for item in found] == ["jobs/a", "jobs/b"]
    assert asked == [("jo", cron)]
