"""What other programs may have written into keys that consul-lock reads: values by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

DEEP = 100_000
"""Levels that no parser of Python takes.  Those of 500 it takes, but not on every stack."""

VALUES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"held by ops, do not touch",
    "no text": b"\xff\xfe\x00\x80",
    "utf-16": '{"host": "h", "pid": 1}'.encode("utf-16"),
    "null": b"null",
    "a number": b"7",
    "a string": b'"x"',
    "a list": b'[{"host": "h"}]',
    "half of it": b'{"v": 1, "host": "h"',
    "two of them": b'{"v": 1}{"v": 1}',
    "not a number": b'{"host": "h", "pid": NaN, "since": NaN, "Limit": NaN, "Holders": {}}',
    "infinite": b'{"host": "h", "pid": 1e400, "since": -1e400, "Limit": 1e400, "Holders": {}}',
    "many digits": b'{"host": "h", "pid": 1, "Limit": ' + b"9" * 5000 + b', "Holders": {}}',
    "digits enough": b'{"host": "h", "pid": 1, "Limit": ' + b"9" * 4000 + b', "Holders": {}}',
    "negative": b'{"host": "h", "pid": -1, "since": -1, "Limit": -1, "Holders": {}, "v": -1}',
    "twice the same": b'{"host": 1, "host": "h", "pid": 1, "Limit": 1, "Limit": 2, "Holders": {}}',
    "half a character": b'{"host": "\\ud800", "pid": 1, "user": "\\udfff", "command": "\\ud800"}',
    "for the terminal": b'{"host": "\\u001b[2J\\u0007", "pid": 1, "command": "\\u202e\\r\\nx"}',
    "wrong types": json.dumps(
        {
            "host": [[]], "pid": 1, "user": {}, "command": 1.5, "since": "x", "meta": [], "v": "1",
            "next": {"a": 1}, "claim": [], "token": "7", "handed": 1, "Limit": "3", "Holders": [],
            "value": [],
        }
    ).encode(),
    "wrong hints": json.dumps(
        {"host": "h", "pid": 1, "next": [["x", "y", True], ["x", 5, 1], 7, [[], "y", 2]]}
    ).encode(),
    "wrong claims": json.dumps(
        {"claim": {"of": 5, "n": "x", "places": -1, "mode": []}, "Limit": 2, "Holders": {"x": 1}}
    ).encode(),
    "a claim of many": json.dumps(
        {"claim": {"of": "x", "n": 10**30, "places": 10**30, "mode": "read"}}
    ).encode(),
    "wrong modes": b'{"Holders": {"a": {"mode": 5}, "b": null, "c": {"mode": "x"}}}',
    "nested": b'{"host": "h", "pid": 1, "meta": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "nested lists": b'{"claim": 1, "Holders": {}, "Limit": ' + b"[" * 500 + b"]" * 500 + b"}",
    "nested for ever": b'{"a":' * DEEP,
    "nested lists for ever": b"[" * DEEP,
    "huge": b'{"host": "' + b"h" * 400_000 + b'", "pid": 1, "Limit": 1, "Holders": {}}',
}  # fmt: skip

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 1e300, -1e300, 1.5, "", "x", "\ud800", "\x1b[2J", [], [1], [[]], {},
    {"a": 1},
)  # fmt: skip
"""To be put in place of each field of a document."""


def damaged(document: Any) -> Iterator[tuple[str, bytes]]:
    """The document with one field after the other replaced or left out, down to all levels."""
    for path in _paths(document):
        for number, odd in enumerate(ODD):
            yield f"{path}={number}", json.dumps(_with(document, path, odd)).encode()
        yield f"{path} left out", json.dumps(_without(document, path)).encode()


Path = tuple[str | int, ...]


def _paths(document: Any, above: Path = ()) -> Iterator[Path]:
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for name, value in items:
        yield (*above, name)
        yield from _paths(value, (*above, name))


def _with(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = _with(document[path[0]], path[1:], value)
    return copy


def _without(document: Any, path: Path) -> Any:
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without(document[path[0]], path[1:])
    return copy
