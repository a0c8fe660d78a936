"""The corpus of the fuzzer, and what Hypothesis makes, against each target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import _ANSWERS, _VALUES, seeds
from tests.fuzz.targets import TARGETS, answers, http, values
from tests.support.altered_documents import altered
from tests.support.effort import scaled

CORPUS = Path(__file__).parent / "corpus"

# What a corpus may weigh in the repository.
_BYTES_MAX = 400_000


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_and_the_seeds_break_nothing(target: str) -> None:
    """All that the fuzzer has found worth keeping, which is not little and not much."""
    inputs = [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]
    assert len(inputs) > 20
    assert sum(map(len, inputs)) < _BYTES_MAX
    for data in (*inputs, *seeds(target)):
        TARGETS[target](data)


def _fed(examples: int) -> settings:
    return settings(
        max_examples=scaled(examples),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@given(st.integers(0, 15), st.sampled_from(_ANSWERS).flatmap(altered))
@_fed(150)
def test_no_answer_breaks_a_parser(which: int, document: Any) -> None:
    """Built as Consul's are, and then altered."""
    answers(bytes([which]) + json.dumps(document).encode())


@given(st.sampled_from(_VALUES).flatmap(altered))
@_fed(150)
def test_no_document_breaks_its_reader(document: Any) -> None:
    """Holders, waiters, semaphores, read/write locks, records, notes."""
    values(json.dumps(document).encode())


_LINES = st.sampled_from(
    (
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 x\r\n", b"HTTP/1.1 100\r\n", b"HTTP/1.1 204 x\r\n",
        b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Connection: close\r\n",
        b"Transfer-Encoding: chunked\r\n", b" folded\r\n", b"A:\r\n", b"\r\n", b"3\r\nabc\r\n",
        b"0\r\n", b"1;x\r\n", b"abc", b"\n", b":",
    )
)  # fmt: skip


@given(st.integers(0, 20), st.lists(st.one_of(_LINES, st.binary(max_size=3)), max_size=12))
@_fed(150)
def test_no_stream_of_answers_depends_on_its_pieces(size: int, parts: list[bytes]) -> None:
    """Lines of HTTP in any order."""
    http(bytes([size]) + b"".join(parts))
