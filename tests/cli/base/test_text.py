"""Text on a terminal: its columns, and that of others made harmless."""

from __future__ import annotations

import pytest

from consul_lock_cli.base.text import cut, pad, shown, width

# A letter with its accent behind it takes one column, a Chinese one two.
_ACCENT, _WIDE = "e\N{COMBINING ACUTE ACCENT}", "\N{CJK UNIFIED IDEOGRAPH-65E5}"
_FULL = "\N{FULLWIDTH LATIN CAPITAL LETTER A}"


@pytest.mark.parametrize(
    "text, columns", [("", 0), ("abc", 3), (_ACCENT, 1), (_WIDE + "a", 3), (_FULL, 2)]
)
def test_columns_are_counted_and_not_characters(text: str, columns: int) -> None:
    """Or tables would be crooked below a name that is not ASCII."""
    assert width(text) == columns
    assert width(pad(text, 10)) == 10


@pytest.mark.parametrize(
    "text, columns, left",
    [
        ("abc", 2, "ab"),
        ("abc", 5, "abc"),
        ("abc", -1, ""),
        (_WIDE + "a", 1, ""),
        (_WIDE + "a", 2, _WIDE),
        (_ACCENT + "x", 1, _ACCENT),
        (_ACCENT, 5, _ACCENT),
    ],
)
def test_only_whole_characters_are_left(text: str, columns: int, left: str) -> None:
    """Half of a wide one does not fit, and an accent takes no room."""
    assert cut(text, columns) == left


def test_text_of_others_cannot_move_the_cursor() -> None:
    """A lock's value may have escape sequences in it."""
    assert shown("web\x1b[2J3") == "web\\x1b[2J3"
    assert shown("a\nb\u202ec") == "a\\nb\\u202ec"
    assert shown("é") == "é"


def test_long_text_of_others_is_cut_with_dots() -> None:
    """At the length that is asked for, dots included."""
    assert len(shown("x" * 1000)) == 60
    assert (shown("x" * 5, 5), shown("x" * 6, 5)) == ("xxxxx", "xx...")
