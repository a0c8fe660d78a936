"""Whatever other programs wrote into Consul: it is left alone, or ends in an error of the library.

Each value is put in each place that a kind of lock reads, and everything is done that would read
it there.  No other exception comes out, no hold is believed that Consul does not show, and a key
that is not marked as the library's keeps its value.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

import consul_lock
from consul_lock import ConsulLockError, CronState
from consul_lock.testing import ServedWorld, World, serve
from tests.faults.foreign_values import VALUES, damaged
from tests.support.effort import scaled, some
from tests.support.raw_http import exchange

LOCK, SEMAPHORE, READ_WRITE = 3304740253564472344, 16210313421097356768, 4377101031871790599
CRON = 6231955483607814123
FOREIGN = (0, 2**64 - 1)

# Of the values in each place, one of so many.
_ONE_OF = 6


class Raw:
    """Keys, written and read without the library."""

    def __init__(self, served: ServedWorld) -> None:
        self._host, _, port = served.address.removeprefix("http://").partition(":")
        self._port = int(port)
        self.session = self._session()

    def _session(self) -> str:
        body = {"LockDelay": "0s", "Behavior": "delete", "NodeChecks": []}
        return str(self.ask("PUT", "/v1/session/create", body).json()["ID"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return exchange(self._host, self._port, method, path, body)

    def put(self, key: str, value: bytes, flags: int, held: bool = False) -> None:
        query = f"flags={flags}" + (f"&acquire={self.session}" if held else "")
        assert self.ask("PUT", f"/v1/kv/{quote(key)}?{query}", value).json() is True

    def get(self, key: str) -> tuple[bytes, int, str]:
        found = self.ask("GET", f"/v1/kv/{quote(key)}").json()[0]
        return base64.b64decode(found["Value"] or ""), found["Flags"], found.get("Session", "")

    def forget(self) -> None:
        self.ask("DELETE", "/v1/kv/?recurse")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedWorld]:
    with serve(World()) as started:
        yield started


@pytest.fixture(scope="module")
def raw(served: ServedWorld) -> Raw:
    return Raw(served)


@pytest.fixture(scope="module")
def client(served: ServedWorld) -> Iterator[consul_lock.Client]:
    with consul_lock.Client(served.address, retry_for=0) as made:
        yield made


class Place(NamedTuple):
    """Where a value is put: ``key`` is below the name of the lock; ``{session}`` is the id of a
    session that lives."""

    key: str
    flags: int
    held: bool = False


def _lock(client: Any, name: str) -> Any:
    return consul_lock.Lock(name, client=client)


def _fair(client: Any, name: str) -> Any:
    return consul_lock.Lock(name, client=client, fair=True)


def _semaphore(client: Any, name: str) -> Any:
    return consul_lock.Semaphore(name, 2, client=client)


def _reader(client: Any, name: str) -> Any:
    return consul_lock.ReadWriteLock(name, client=client).read()


def _writer(client: Any, name: str) -> Any:
    return consul_lock.ReadWriteLock(name, client=client).write()


def _tree(client: Any, name: str) -> Any:
    return consul_lock.Lock(f"{name}/below", client=client, tree=True)


def _multilock(client: Any, name: str) -> Any:
    return consul_lock.MultiLock([name, f"{name}-2"], client=client)


def _election(client: Any, name: str) -> Any:
    return consul_lock.Election(name, client=client)


_KEYS = (Place(".lock", LOCK), Place(".lock", LOCK, held=True))
_QUEUE = (
    Place(".queue", LOCK),
    Place(".queue/{session}", LOCK, held=True),
    Place(".queue/{session}", LOCK),
    Place(".queue/other", 0),
)
_DOCUMENT = (Place(".lock", READ_WRITE), Place(".lock/{session}", READ_WRITE, held=True))

KINDS: dict[str, tuple[Callable[[Any, str], Any], tuple[Place, ...]]] = {
    "lock": (_lock, (*_KEYS, *_QUEUE)),
    "fair lock": (_fair, _QUEUE),
    "semaphore": (
        _semaphore,
        (
            Place(".lock", SEMAPHORE),
            Place(".lock", SEMAPHORE, held=True),
            Place("{session}", SEMAPHORE, held=True),
            Place("{session}", SEMAPHORE),
            Place(".slot/1", SEMAPHORE, held=True),
        ),
    ),
    "reader": (_reader, _DOCUMENT),
    "writer": (_writer, _DOCUMENT),
    "tree": (_tree, (Place(".lock", READ_WRITE), Place("below/.lock", READ_WRITE))),
    "multilock": (_multilock, _KEYS),
    "election": (_election, (*_KEYS, _QUEUE[1])),
}


def library_errors_only(call: Callable[[], Any]) -> Any:
    """Its result; None after an error that the library foresees."""
    try:
        return call()
    except ConsulLockError as error:
        foreseen = error.kind != "unforeseen" and len(str(error)) < 2000
    assert foreseen
    return None


def everything(lock: Any) -> Iterator[Callable[[], Any]]:
    """What reads the documents of a lock, in order."""
    yield lock.locked
    yield lock.holder
    yield lock.waiters
    for more in ("holders", "slots", "leader"):
        if hasattr(lock, more):
            yield getattr(lock, more)


def used(raw: Raw, lock: Any) -> bool:
    """Read it, acquire it, release it; whether it was acquired."""
    for look in everything(lock):
        library_errors_only(look)
    acquired = bool(library_errors_only(lambda: lock.acquire(timeout=0)))
    assert lock.held is acquired
    if acquired:
        shown = raw.ask("GET", "/v1/kv/?recurse").json()
        assert lock.session_id in [pair.get("Session") for pair in shown], shown
        for look in everything(lock):
            library_errors_only(look)
        with suppress(ConsulLockError):
            lock.release()
        assert not lock.held
    return acquired


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_lock_bears_what_others_wrote(
    kind: str, raw: Raw, client: consul_lock.Client
) -> None:
    """Read, acquired, released and handed over beside it."""
    make, places = KINDS[kind]
    for place in places:
        for what, value in some(VALUES.items(), _ONE_OF, place):
            for flags in (place.flags, *FOREIGN[: scaled(1)]):
                key = f"docs/{place.key.format(session=raw.session)}"
                raw.put(key, value, flags, place.held)
                before = raw.get(key)
                acquired = used(raw, make(client, "docs"))
                if flags in FOREIGN and place.key == ".lock":
                    assert not acquired, (place, what)
                    assert raw.get(key) == before, (place, what)
                raw.forget()


def test_a_lock_is_handed_to_a_waiter_that_says_anything_of_itself(
    raw: Raw, client: consul_lock.Client
) -> None:
    """What the waiter says is passed on, or left out; the release does not fail."""
    for what, value in some(VALUES.items(), _ONE_OF, "handed"):
        lock = consul_lock.Lock("handed", client=client)
        assert lock.acquire(timeout=0), what
        raw.put(f"handed/.queue/{raw.session}", value, LOCK, held=True)
        raw.put("handed/.queue", b"", LOCK)
        assert [waiter.session for waiter in lock.waiters()] == [raw.session]
        lock.release()
        # A description for which the transaction has no room is not passed on: the lock is free.
        assert lock.locked() is (what != "huge")
        if lock.locked():
            assert raw.get("handed/.lock")[2] == lock.holder().session == raw.session
        raw.forget()


def test_a_reader_beside_one_that_says_anything_of_itself(
    raw: Raw, client: consul_lock.Client
) -> None:
    """It shares the lock with it, whatever is in the key of the other."""
    document = json.dumps({"Holders": {raw.session: {"mode": "read"}}}).encode()
    for what, value in some(VALUES.items(), _ONE_OF, "shared"):
        raw.put(f"shared/.lock/{raw.session}", value, READ_WRITE, held=True)
        raw.put("shared/.lock", document, READ_WRITE)
        both = consul_lock.ReadWriteLock("shared", client=client)
        reader, writer = both.read(), both.write()
        assert reader.acquire(timeout=0), what
        assert library_errors_only(lambda writer=writer: writer.acquire(timeout=0)) is not True
        for look in everything(reader):
            library_errors_only(look)
        reader.release()
        raw.forget()


def cron_uses(client: consul_lock.Client, name: str) -> None:
    """Everything that reads or writes a record."""
    records = consul_lock.CronRecords(client)
    found = records.below("")
    assert len(found) == 1
    str(found[0])
    library_errors_only(lambda: records.record(name))
    for host in (consul_lock.CronGuard(name, client=client, every="1h"),):
        library_errors_only(lambda host=host: claimed(host))
    library_errors_only(lambda: records.pause(name, 10, reason="x"))
    library_errors_only(lambda: records.resume(name))
    library_errors_only(
        lambda: records.add_run(name, CronState.DONE, 0, started_at=1.0, runtime=1.0)
    )


def claimed(host: consul_lock.CronGuard) -> str:
    with host.claim() as run:
        return str(run.outcome)


def test_cron_bears_what_others_wrote(raw: Raw, client: consul_lock.Client) -> None:
    """A record that is none is a problem that is listed, and `Conflict` for its users; `reset`
    with force makes a new one of it."""
    host = consul_lock.CronGuard("job", client=client, every="1h")
    for at in (3600.0, 7200.0, 10800.0):
        with host.claim(at):
            pass
    consul_lock.CronRecords(client).pause("job", 1e6, reason="x")
    record = json.loads(raw.get("job/.cron")[0])
    raw.forget()
    variants = [*VALUES.items(), *damaged(record)]
    for what, value in some(variants, len(variants) // 60, "records"):
        for flags in (CRON, *(FOREIGN[:1] if what in VALUES else ())):
            raw.put("job/.cron", value, flags)
            before = raw.get("job/.cron")
            cron_uses(client, "job")
            if flags != CRON:
                assert raw.get("job/.cron") == before, what
            library_errors_only(lambda: consul_lock.CronRecords(client).reset("job", force=True))
            raw.forget()


def test_a_survey_shows_whatever_is_there(raw: Raw, client: consul_lock.Client) -> None:
    """Every value in every place at once: one listing, and each name by itself."""
    number = 0
    for _, places in KINDS.values():
        for place in places:
            for value in VALUES.values():
                number += 1
                raw.put(
                    f"all/{number}/{place.key.format(session=raw.session)}",
                    value if len(value) < 100_000 else value[:2000],
                    place.flags,
                    place.held,
                )
    survey = consul_lock.Survey(client)
    overview = survey.overview("all/")
    assert len(overview.locks) > number / 2
    for status in overview.locks:
        str(status)
    for name in range(1, number + 1, 7):
        library_errors_only(lambda name=name: survey.status(f"all/{name}"))
    library_errors_only(lambda: survey.leftovers("all/"))
    raw.forget()
