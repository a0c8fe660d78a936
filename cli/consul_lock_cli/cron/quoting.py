"""The command line of a cron job, as the files want it that start it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

# In these a shell puts something else; a single quote would keep it from that.
_SUBSTITUTED = re.compile(r"\$\(.*\)|`.*`|\$\w|\$\{")


def for_a_shell(words: Sequence[str], slot: str | None) -> str:
    """One line for /bin/sh; in the slot, variables are left for the shell to expand."""
    return " ".join(_quoted(word, open_=word == slot) for word in words)


def _quoted(word: str, open_: bool) -> str:
    if open_ and substituted(word):
        inside = word.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{inside}"'
    return shlex.quote(word)


def substituted(word: str) -> bool:
    """Whether a shell would put something else there."""
    return bool(_SUBSTITUTED.search(word))


def for_cron(line: str) -> str:
    """In a crontab % is the end of the line."""
    return line.replace("%", r"\%")


def for_systemd(words: Sequence[str], slot: str | None) -> str:
    """The value of ExecStart=."""
    if slot is not None and substituted(slot):
        # systemd runs no shell; this one is gone when the job runs.
        words = ["/bin/sh", "-c", f"exec {for_a_shell(words, slot)}"]
    return " ".join(map(_for_systemd, words))


def _for_systemd(word: str) -> str:
    text = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%$+=:,./-]+", text, re.ASCII):
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inside}"'
