"""The project is written in plain words: those of the glossary, and none of the riddles.

Operators and programmers whose second language is often English read this.  One thing has one
name, the tool does not speak of itself as "we", and a sentence has a subject.
"""

from __future__ import annotations

import functools
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INSTEAD = {
    r"whoever": "holder, waiter, caller, host: who it is",
    r"we|us|our|ours|ourselves": "consul-lock, this process, or the passive",
    r"heirs?": "next waiter",
    r"strangers?": "another client",
    r"hold-offs?": "lock-delay",
    r"aftermath": "guardian",
    r"doubtful|uncertain answers?": "unknown outcome, in doubt",
    r"old pictures?": "stale read",
    r"truths": "booleans",
    r"time-outs?": "timeout",
    r"(ride|rides|riding|ridden|rode) out": "retry, tolerate",
    r"(to|not|cannot|could not|can) be had|(was|were|been) had": "be acquired",
    r"told|telling|tells (us|him|them|whoever)": "report, log, notify, show",
    r"(let|lets|letting) go of": "release",
    r"waiting lines?|in line|lines? up|lined up|lining up": "queue",
}
"""Words of prose that have a better one: patterns, whole words, without regard to case."""

SENTENCES = [
    "This makes it give you locks that hold",
    "Nobody is left behind",
    "tells how it ended, as a 75 could be",
    "Beside others who share it",
    "Beside nobody who shares it",
    "anything but the expiry of the TTL",
    "Not what leaves its process group",
    "What is cut off leaves no lock",
    "was not to be had in",
    "which would wait for itself for ever",
    "nobody to ask",
    "Truths are",
    "A file that is wrong ends every command",
    "Errors are for people",
    "What may come of a claim",
    "a question stays open",
    "not without: ",
    "To us alone",
    "as a host that only looks must make nobody skip",
    "pass, and happen what is due",
    "to see early that it can be had",
    "what shows less is an old picture",
    "errors would hide a better exception",
    "Where clocks are changed",
]
"""Riddling sentences of earlier versions, which have a plain version now."""

NAMES = re.compile(
    r"(?:^|_)(?:(?i:whoever|heirs?|strangers?|aftermath|doubtful)|LEAST|MOST)(?:_|$)"
)
"""Parts of names in code that have a better one: next_waiter, other, guardian, MIN, MAX."""

EXCEPTIONS: dict[str, str] = {}
"""By file: a text whose line may have such a word; each with its reason."""

FOLDERS = ("consul_lock", "cli", "examples", "scripts", "benchmarks", "tests")
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

_WORDS = re.compile(rf"(?<![\w/.-])(?:{'|'.join(INSTEAD)})(?![\w/(=]|-\w)", re.IGNORECASE)


@functools.cache
def tokens_of(path: Path) -> list[tokenize.TokenInfo]:
    """Of a module."""
    return list(tokenize.generate_tokens(io.StringIO(path.read_text()).readline))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The comments, docstrings and messages of a module, by the line."""
    lines = path.read_text().splitlines()
    for token in tokens_of(path):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            yield token.start[0], token.string
        elif kind in ("STRING", "FSTRING_MIDDLE") and len(token.string.split()) > 1:
            (first, begin), (last, end) = token.start, token.end
            for number in range(first, last + 1):
                line = lines[number - 1]
                line = line[:end] if number == last else line
                yield number, line[begin:] if number == first else line


def plain(line: str) -> str:
    """Without what is quoted: code, and the words of other programs."""
    return re.sub(r"``[^`]*``|`[^`]*`", "", line)


def modules(folder: str) -> list[Path]:
    """All but this one, which names what it forbids."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))


def riddles(path: Path, lines: Iterable[tuple[int, str]]) -> list[str]:
    """The lines that have a word of `INSTEAD`."""
    name = str(path.relative_to(ROOT))
    found = []
    for number, line in lines:
        match = _WORDS.search(plain(line))
        if match and EXCEPTIONS.get(name, "\0") not in line:
            found.append(f"{name}:{number}: {match[0]!r} in {line.strip()!r}")
    return found


def bad_names(path: Path) -> list[str]:
    """The names in a module that have a part of `NAMES`."""
    names = (token.string for token in tokens_of(path) if token.type == tokenize.NAME)
    return [name for name in names if NAMES.search(name)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_code_has_plain_comments_docstrings_and_messages(folder: str) -> None:
    """None of the words that the glossary has a better one for."""
    found = [hit for path in modules(folder) for hit in riddles(path, prose(path))]
    assert not found, "\n".join([*found, "better:", *map(str, INSTEAD.items())])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain(page: Path) -> None:
    """The same of what users read, but for code in it."""
    text = page.read_text()
    if page.name == "CHANGELOG.md":
        text = text.partition("\n## [0.")[0]  # what is released stays as it was
    text = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text,
                  flags=re.MULTILINE | re.DOTALL)  # fmt: skip
    found = riddles(page, enumerate(text.splitlines(), 1))
    assert not found, "\n".join([*found, "better:", *map(str, INSTEAD.items())])


def test_no_sentence_has_come_back() -> None:
    """In no file that users or programmers read."""
    texts = {path: path.read_text() for folder in FOLDERS for path in modules(folder)}
    texts |= {page: page.read_text() for page in PAGES}
    assert not [
        (str(path), sentence)
        for path, text in texts.items()
        for sentence in SENTENCES
        if sentence in " ".join(text.split())
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_follow_the_glossary(folder: str) -> None:
    """None of those parts in the names of code, tests included."""
    found = Counter(name for path in modules(folder) for name in bad_names(path))
    assert not found
