"""The holder document: Go's bytes, and what is never taken for a document."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.weighted.document import (
    ALL,
    READ_WRITE,
    SEMAPHORE,
    Document,
    Kind,
    decode_document,
    empty,
    encode_document,
    limit_conflict,
)
from consul_lock.errors import Conflict

NAME = "svc/web"
KEY = f"{NAME}/.lock"

A = "0b1d3c1e-55c1-7a39-3e12-5a4a5e0f7f11"
B = "ff651299-6001-f5eb-e2fb-b4eb5c974b9e"

kinds = pytest.mark.parametrize("kind", [SEMAPHORE, READ_WRITE], ids=lambda kind: kind.name)


def pair(kind: Kind, value: bytes | str, flags: int | None = None, session: str = "") -> Pair:
    value = value.encode() if isinstance(value, str) else value
    return Pair(KEY, value, kind.flags if flags is None else flags, session, 11, 17)


def read(kind: Kind, value: bytes | str, limit: int = 3) -> Document:
    return decode_document(kind, pair(kind, value), limit)


def conflict(kind: Kind, value: bytes | str) -> str:
    """What the refusal says; it always names the key, its flags and what to do."""
    with pytest.raises(Conflict) as caught:
        read(kind, value)
    assert caught.value.key == KEY
    assert caught.value.flags == kind.flags
    text = str(caught.value)
    assert repr(KEY) in text
    assert "use another name, or delete it" in text
    return text


# What Go's client was seen to write, and what it writes by its source: no spaces, this order of
# the names, holders sorted, an empty set never null (which makes Go's client panic).
GO = [
    (
        b'{"Limit":3,"Holders":{"ff651299-6001-f5eb-e2fb-b4eb5c974b9e":true}}',
        Document(3, {B: 1}, 17),
    ),
    (b'{"Limit":1,"Holders":{}}', Document(1, {}, 17)),
    (
        (
            b'{"Limit":2,"Holders":{"0b1d3c1e-55c1-7a39-3e12-5a4a5e0f7f11":true,'
            b'"ff651299-6001-f5eb-e2fb-b4eb5c974b9e":true}}'
        ),
        Document(2, {B: 1, A: 1}, 17),
    ),
]


@pytest.mark.parametrize("value, document", GO)
def test_a_semaphore_is_written_and_read_as_go_does(value: bytes, document: Document) -> None:
    """Byte for byte, whatever the order the holders came in."""
    assert encode_document(SEMAPHORE, document) == value
    assert read(SEMAPHORE, value, limit=99) == document


def test_a_read_write_lock_says_of_each_holder_how_it_holds() -> None:
    """In an object of its own, so that more may be said one day."""
    document = Document(ALL, {B: 1, A: ALL}, 17)
    value = encode_document(READ_WRITE, document)
    assert value == f'{{"Holders":{{"{A}":{{"mode":"write"}},"{B}":{{"mode":"read"}}}}}}'.encode()
    assert read(READ_WRITE, value, limit=ALL) == document


weights = {SEMAPHORE: st.just(1), READ_WRITE: st.sampled_from([1, ALL])}


@kinds
@given(data=st.data())
def test_a_written_value_is_read_back(kind: Kind, data: st.DataObject) -> None:
    """Nothing is lost or added, whatever the sessions are called."""
    limit = ALL if kind is READ_WRITE else data.draw(st.integers(1, 2**40))
    holders = data.draw(st.dictionaries(st.text() | st.uuids().map(str), weights[kind]))
    document = Document(limit, holders, 17)
    value = encode_document(kind, document)
    assert decode_document(kind, pair(kind, value), 5) == document
    assert value.isascii()
    assert json.loads(value).keys() == ({"Limit", "Holders"} if kind is SEMAPHORE else {"Holders"})


@kinds
def test_no_key_and_an_empty_key_are_a_document_without_holders(kind: Kind) -> None:
    """Then the caller's limit counts; a read/write lock has only one; the index is the key's."""
    limit = ALL if kind is READ_WRITE else 3
    assert decode_document(kind, None, 3) == empty(kind, 3) == Document(limit, {}, 0)
    assert read(kind, b"", 3) == Document(limit, {}, 17)
    assert empty(kind, 3).used == 0


@pytest.mark.parametrize("slot", ["true", "false", "null"])
def test_only_the_presence_of_a_holder_counts(slot: str) -> None:
    """Go ignores what is said of it."""
    document = read(SEMAPHORE, f'{{"Limit":3,"Holders":{{"{A}":{slot}}}}}')
    assert document.holders == {A: 1}
    assert document.used == 1


@pytest.mark.parametrize(
    "value",
    [
        '{"Limit":3}',
        '{"Limit":3,"Holders":null}',
        '{"Holders":{"a":true},"Holders":null,"Limit":3}',
    ],
)
def test_holders_that_are_missing_are_none(value: str) -> None:
    """Go's own client panics at such a document; the next change by consul-lock repairs it."""
    document = read(SEMAPHORE, value)
    assert document == Document(3, {}, 17)
    assert encode_document(SEMAPHORE, document) == b'{"Limit":3,"Holders":{}}'


@pytest.mark.parametrize(
    "value, limit, holders",
    [
        ('{"limit":2,"holders":{"a":true}}', 2, {"a"}),
        ('{"HOLDERS":{"a":true},"LIMIT":2}', 2, {"a"}),
        ('{"Limit":1,"limit":2,"Holders":{"a":true},"holders":{"b":true}}', 2, {"a", "b"}),
        ('{"Limit":2,"Holders":{"a":true},"Holders":{"b":true}}', 2, {"a", "b"}),
        ('{"Limit":2,"Limit":null,"Holders":{}}', 2, set()),
        (' {"Limit": 2, "Other": [1], "Holders": {"a": true}}\n', 2, {"a"}),
        ('{"Limit":2,"Limits":3,"Holders":{},"Holders2":{"a":true}}', 2, set()),
        ('{"Limit":2,"Holder\u017f":{"a":true}}', 2, {"a"}),
    ],
)
def test_names_of_fields_are_matched_as_go_does(value: str, limit: int, holders: set[str]) -> None:
    """In any case, the last limit counts, sets of holders add up, and other fields are ignored."""
    document = read(SEMAPHORE, value)
    assert (document.limit, set(document.holders)) == (limit, holders)


BAD_SEMAPHORES = [
    ("{", "not JSON"),
    (" ", "not JSON"),
    ('{"Limit":3,"Holders":{}} x', "not JSON"),
    ('{"Limit":NaN,"Holders":{}}', "not JSON"),
    ("[" * 100_000, "not JSON"),
    (b"\xff\xfe", "not text"),
    ('{"Limit":3,"Holders":{}}'.encode("utf-16"), "not text"),
    ("null", "not a JSON object"),
    ("[]", "not a JSON object"),
    ('"a"', "not a JSON object"),
    ("{}", "Limit is null"),
    ('{"Holders":{}}', "Limit is null"),
    ('{"Limit":null,"Holders":{}}', "Limit is null"),
    ('{"Limit":0,"Holders":{}}', "Limit is 0"),
    ('{"Limit":-1,"Holders":{}}', "Limit is -1"),
    ('{"Limit":3.0,"Holders":{}}', "Limit is 3.0"),
    ('{"Limit":"3","Holders":{}}', 'Limit is "3"'),
    ('{"Limit":true,"Holders":{}}', "Limit is true"),
    ('{"Limit":[3],"Holders":{}}', "Limit is [3]"),
    ('{"Limit":3,"Holders":"a"}', "not a map"),
    ('{"Limit":3,"Holders":1}', "not a map"),
    ('{"Limit":3,"Holders":{"a":1}}', "something else than true"),
    ('{"Limit":3,"Holders":{"a":{"mode":"write"}}}', "something else than true"),
]


@pytest.mark.parametrize("value, why", BAD_SEMAPHORES)
def test_a_document_that_is_not_a_semaphore_is_refused(value: bytes | str, why: str) -> None:
    """Where Go's client cannot decode it either, the words are Go's."""
    text = conflict(SEMAPHORE, value)
    assert "lock decoding failed" in text
    assert why in text


def test_the_shape_of_the_guide_is_refused_by_name() -> None:
    """HashiCorp's guide to semaphores shows a list, which its own client cannot read."""
    text = conflict(SEMAPHORE, f'{{"Limit":3,"Holders":["{A}"]}}')
    assert "Holders are a list, as in HashiCorp's guide" in text


BAD_READ_WRITE = [
    ("{", "not JSON"),
    ("[]", "not a JSON object"),
    ("{}", "not a map"),
    ('{"Holders":null}', "not a map"),
    ('{"holders":{}}', "not a map"),
    ('{"Holders":["a"]}', "not a map"),
    ('{"Holders":{"a":true}}', "session a holds it in a way unknown"),
    ('{"Holders":{"a":{}}}', "session a holds it in a way unknown"),
    ('{"Holders":{"a":{"mode":null}}}', "session a holds it in a way unknown"),
    ('{"Holders":{"a":{"mode":["write"]}}}', "session a holds it in a way unknown"),
    ('{"Holders":{"a":{"mode":"upgradable"}}}', "may be too old"),
]


@pytest.mark.parametrize("value, why", BAD_READ_WRITE)
def test_a_document_that_is_not_a_read_write_lock_is_refused(value: str, why: str) -> None:
    """Above all a mode of a newer version, which may exclude what consul-lock would let in."""
    assert why in conflict(READ_WRITE, value)


def test_an_unknown_field_of_a_read_write_lock_is_passed_over() -> None:
    """A newer version may say more of a holder."""
    value = '{"V":2,"Holders":{"a":{"mode":"write","since":1}}}'
    assert read(READ_WRITE, value).holders == {"a": ALL}


@pytest.mark.parametrize(
    "kind, flags, found",
    [
        (SEMAPHORE, LOCK_FLAG, "a lock,"),
        (SEMAPHORE, READ_WRITE_FLAG, "a read/write lock,"),
        (SEMAPHORE, 0, "something else,"),
        (READ_WRITE, LOCK_FLAG, "a lock,"),
        (READ_WRITE, SEMAPHORE_FLAG, "a semaphore,"),
        (READ_WRITE, 2**64 - 1, "something else,"),
    ],
)
@pytest.mark.parametrize("value", [b"", b'{"Limit":3,"Holders":{}}', b"\x00"])
def test_a_key_of_another_use_is_a_conflict(
    kind: Kind, flags: int, found: str, value: bytes
) -> None:
    """Also when it is empty, or reads like a valid one: the flags say whose it is."""
    with pytest.raises(Conflict, match=found) as caught:
        decode_document(kind, pair(kind, value, flags), 3)
    assert caught.value.flags == flags
    assert caught.value.key == KEY
    assert f"not a {kind.name} (flags {flags}, {len(value)} bytes)" in str(caught.value)
    assert "use another name, or delete it" in str(caught.value)


@kinds
def test_a_document_that_a_session_holds_is_a_conflict(kind: Kind) -> None:
    """Neither consul-lock nor Go locks it: with that session the document would be deleted."""
    with pytest.raises(Conflict, match=f"locked by session {A}") as caught:
        decode_document(kind, pair(kind, encode_document(kind, empty(kind, 3)), session=A), 3)
    assert (caught.value.key, caught.value.flags) == (KEY, kind.flags)
    assert caught.value.session == A


def test_another_limit_is_found_not_refused() -> None:
    """A resize wants to see it; the refusal itself has Go's words, and says what to do."""
    assert read(SEMAPHORE, '{"Limit":1,"Holders":{}}', limit=2).limit == 1
    error = limit_conflict(NAME, 1, 2)
    assert "semaphore limit conflict (lock: 1, local: 2)" in str(error)
    assert "resize(2)" in str(error)
    assert (error.limit, error.key, error.flags) == (1, KEY, SEMAPHORE_FLAG)
    assert pickle.loads(pickle.dumps(error)).limit == 1


def test_the_keys_are_where_they_were_agreed_to_be() -> None:
    """A semaphore's where Go has them, a read/write lock's in a folder of their own."""
    assert (SEMAPHORE.name, READ_WRITE.name) == ("semaphore", "read/write lock")
    assert SEMAPHORE.prefix("a/b") == "a/b/"
    assert READ_WRITE.prefix("a/b") == "a/b/.lock"
    assert SEMAPHORE.document_key("a/b") == READ_WRITE.document_key("a/b") == "a/b/.lock"
    assert SEMAPHORE.contender_key("a/b", A) == f"a/b/{A}"
    assert READ_WRITE.contender_key("a/b", A) == f"a/b/.lock/{A}"
    for kind in SEMAPHORE, READ_WRITE:
        for key in kind.document_key("a/b"), kind.contender_key("a/b", A):
            assert key.startswith(kind.prefix("a/b"))


def test_the_flags_are_the_agreed_ones() -> None:
    """Numbers on the wire: to change one is to split the users of a name in two."""
    assert SEMAPHORE.flags == SEMAPHORE_FLAG == 0xE0F69A2BAA414DE0
    assert READ_WRITE.flags == READ_WRITE_FLAG == 4377101031871790599
    assert 2**40 < READ_WRITE_FLAG < 2**63
    assert len({LOCK_FLAG, SEMAPHORE_FLAG, READ_WRITE_FLAG}) == 3


def test_a_writer_and_anybody_are_more_than_all() -> None:
    """While of readers alone there is room for more than there can be."""
    assert Document(ALL, {A: ALL, B: 1}, 0).used > ALL
    assert Document(ALL, {A: 1, B: 1}, 0).used == 2
