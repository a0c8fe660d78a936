"""Text on a terminal: how many columns it takes, and that of others made harmless."""

from __future__ import annotations


def width(text: str) -> int:
    """Columns."""
    return len(text) if text.isascii() else sum(map(_width, text))


def pad(text: str, columns: int) -> str:
    """With spaces behind it."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """As much of its beginning as fits."""
    if text.isascii():
        return text[: max(0, columns)]
    left = columns
    for place, character in enumerate(text):
        left -= _width(character)
        if left < 0:
            return text[:place]
    return text


def _width(character: str) -> int:
    import unicodedata  # most text is ASCII, and need not pay for it

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def harmless(text: str) -> str:
    """On one line, with escapes for what a terminal would obey, and what hides or turns text."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def shown(text: str, length: int = 60) -> str:
    """Text of others made safe for a terminal: nothing that moves the cursor, not too long."""
    safe = harmless(text)
    return safe if len(safe) <= length else safe[: length - 3] + "..."
