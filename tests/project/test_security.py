"""SECURITY.md: each claim names the test that shows it, and that test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "SECURITY.md").read_text()
_FILE = re.compile(r"`(tests/[\w/]+\.py)`")


def _named() -> list[tuple[str, str]]:
    """The tests, each with the last file that was named before it."""
    found, file = [], ""
    for word in re.findall(r"`(tests/[\w/]+\.py|test_\w+)`", _PAGE):
        if word.startswith("tests/"):
            file = word
        else:
            found.append((file, word))
    return found


@pytest.mark.parametrize("file, test", _named())
def test_a_test_that_the_page_names_is_there(file: str, test: str) -> None:
    """In the file that it says."""
    assert f"\ndef {test}(" in (_ROOT / file).read_text()


def test_every_claim_of_a_defence_names_a_test() -> None:
    """In the last column of its table."""
    _, _, section = _PAGE.partition("\n## What is defended\n")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 10
    for row in rows[1:]:
        last = row.rstrip(" |").rpartition(" | ")[2]
        assert _FILE.search(last), row
        assert re.search(r"`test_\w+`", last), row


def test_its_links_lead_somewhere_and_the_readme_leads_to_it() -> None:
    """So does the list of pages at the README's end."""
    for path in re.findall(r"\]\(([\w/.-]+)(?:#[\w-]+)?\)", _PAGE):
        assert (_ROOT / path).is_file()
    assert "](SECURITY.md)" in (_ROOT / "README.md").read_text()
