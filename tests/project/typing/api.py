"""The public API as a type checker sees it.  Never run: mypy --strict reads it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import assert_type

import consul_lock
from consul_lock import aio, events
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError, ErrorKind, LossReason, UnavailableKind


def clients() -> None:
    client = consul_lock.Client()
    assert_type(client, consul_lock.Client)
    consul_lock.Client(
        "https://consul.example:8501",
        token="secret",
        token_file=None,
        http_auth=("user", "password"),
        ca_cert="ca.pem",
        ca_path=None,
        client_cert="cert.pem",
        client_key="key.pem",
        verify=True,
        tls_server_name="server.dc1.consul",
        datacenter="dc1",
        namespace=None,
        partition=None,
        connect_timeout=1,
        request_timeout=5.0,
        retry_for=0,
    )
    with consul_lock.Client() as opened:
        assert_type(opened, consul_lock.Client)
    assert_type(consul_lock.Client.from_consul(object()), consul_lock.Client)
    client.close()


def listeners(client: consul_lock.Client) -> None:
    """A function, several, or in asyncio a coroutine function; and what a listener sees."""

    def listen(event: events.Event) -> None:
        assert_type(event.token, int | None)
        assert_type(event.holder, consul_lock.Holder | None)
        if isinstance(event, events.Lost):
            assert_type(event.reason, LossReason)

    async def wait(event: events.Event) -> None:
        """A coroutine function."""

    def trace() -> dict[str, str]:
        return {"traceparent": "00"}

    consul_lock.Client(on_event=listen, meta=trace)
    aio.Client(on_event=[listen, wait], meta={"team": "web"})
    consul_lock.Lock("a", client=client, on_event=[listen], meta=trace)
    consul_lock.CronGuard("a", client=client, every="1h", on_event=listen)
    assert_type(client.events_dropped, int)
    assert_type(client.listener_errors, int)
    consul_lock.Client(on_event=print)
    consul_lock.Client(on_event="print")  # type: ignore[arg-type] # the test: no function


def lazy_names() -> None:
    """Each name is known before it is loaded, and no other is."""
    assert_type(consul_lock.errors.ConsulLockError(), ConsulLockError)
    assert_type(consul_lock.config.Config(), Config)
    assert_type(consul_lock.limits.TTL_MAX, float)
    _bytes: int = consul_lock.names.NAME_MAX
    assert_type(consul_lock.__version__, str)
    assert_type(aio.__version__, str)
    _ = consul_lock.Lokc  # type: ignore[attr-defined] # the test: a wrong name is refused
    _ = aio.Lokc  # type: ignore[attr-defined] # the test: the same


def sessions(client: consul_lock.Client) -> None:
    with consul_lock.Session(client, ttl=15, lock_delay=5, checks=["serfHealth"]) as session:
        assert_type(session, consul_lock.Session)
        assert_type(session.id, str | None)
        assert_type(session.open(), str)
        consul_lock.Lock("a", session=session)
    consul_lock.Session(service_checks=("service:web",), name="web")


def others(client: consul_lock.Client) -> None:
    semaphore = consul_lock.Semaphore("a", 3, client=client, heartbeat=1.0, ttl=20)
    with semaphore(timeout=5, n=2) as entered:
        assert_type(entered, consul_lock.Semaphore)
    assert_type(semaphore.acquire(n=2), bool)
    assert_type(semaphore.holders(), list[consul_lock.Holder])
    assert_type(semaphore.slots(), tuple[int, ...])
    assert_type(semaphore.limit, int)
    semaphore.resize(4)
    rw = consul_lock.ReadWriteLock("a", client=client, meta={"a": "b"})
    assert_type(rw.read(), consul_lock.ReadLock)
    with rw.write() as writer:
        assert_type(writer, consul_lock.WriteLock)
        writer.downgrade()
    with rw.read()(timeout=1) as reader:
        assert_type(reader, consul_lock.ReadLock)
    consul_lock.Lock("a/b", tree=True, heartbeat=None)


async def awaited_others(client: aio.Client) -> None:
    semaphore = aio.Semaphore("a", 3, client=client)
    async with semaphore(timeout=5, n=2) as entered:
        assert_type(entered, aio.Semaphore)
    assert_type(await semaphore.acquire(n=2), bool)
    assert_type(await semaphore.slots(), tuple[int, ...])
    rw = aio.ReadWriteLock("a", client=client)
    async with rw.write() as writer:
        await writer.downgrade()


def locks(client: consul_lock.Client, note: Callable[[LossReason], int]) -> None:
    lock = consul_lock.Lock(
        "deploy/web",
        client=client,
        ttl=10,
        lock_delay=30.0,
        checks=["serfHealth"],
        service_checks=(),
        fair=True,
        watch=True,
        meta={"build": "7"},
        command="make deploy",
        on_lost=note,
    )
    assert_type(consul_lock.Lock.on_key("some/key", client=client), consul_lock.Lock)
    assert_type(lock.acquire(), bool)
    assert_type(lock.acquire(blocking=False), bool)
    assert_type(lock.acquire(timeout=5), bool)
    assert_type(lock.held, bool)
    assert_type(lock.name, str)
    assert_type(lock.key, str)
    assert_type(lock.token, int | None)
    assert_type(lock.session_id, str | None)
    assert_type(lock.remaining(), float)
    assert_type(lock.lost, threading.Event)
    assert_type(lock.lost_reason, LossReason | None)
    assert_type(lock.locked(), bool)
    assert_type(lock.holder(), consul_lock.Holder | None)
    assert_type(lock.waiters(), list[consul_lock.Holder])
    lock.ensure_held()
    lock.release()
    with lock as held:
        assert_type(held, consul_lock.Lock)
    with lock(timeout=5) as held:
        assert_type(held, consul_lock.Lock)


def guards(lock: consul_lock.Lock) -> None:
    pairs = lock.guard(
        [
            consul_lock.Op.set("a", "text"),
            consul_lock.Op.set("b", b"bytes", flags=1),
            consul_lock.Op.cas("c", "text", 7),
            consul_lock.Op.delete("d"),
            consul_lock.Op.delete_cas("e", 7),
            consul_lock.Op.get("f"),
            consul_lock.Op.check_index("g", 7),
            consul_lock.Op.check_not_exists("h"),
        ]
    )
    assert_type(pairs, list[consul_lock.Pair])
    assert_type(pairs[0].key, str)
    assert_type(pairs[0].value, bytes)
    assert_type(pairs[0].modify_index, int)


def holders(holder: consul_lock.Holder) -> None:
    assert_type(holder.host, str)
    assert_type(holder.pid, int)
    assert_type(holder.user, str)
    assert_type(holder.command, str)
    assert_type(holder.since, float)
    assert_type(holder.session, str)
    assert_type(holder.meta["build"], str)
    assert_type(holder.token, int | None)


@consul_lock.locked("nightly")
def waits(size: int) -> str:
    return "x" * size


@consul_lock.locked("nightly", on_busy="raise", timeout=5, ttl=15)
def raises(size: int) -> str:
    return "x" * size


@consul_lock.locked("nightly", on_busy="skip")
def skips(size: int) -> str:
    return "x" * size


def decorated() -> None:
    assert_type(waits(size=1), str)
    assert_type(raises(1), str)
    assert_type(skips(1), str | None)
    waits("one")  # type: ignore[arg-type] # parameters are those of the function


@consul_lock.once_per("nightly", every="1d", overlap="wait", lock_delay=15)
def once(size: int) -> str:
    return "x" * size


def guarded(client: consul_lock.Client) -> None:
    guard = consul_lock.CronGuard("nightly", client=client, every=3600, retry_crashed=1, ttl=15)
    with guard.claim(at=1.5) as run:
        assert_type(run, consul_lock.CronRun[consul_lock.Lock])
        assert_type(run.lock, consul_lock.Lock | None)
        assert_type(run.outcome, consul_lock.CronOutcome)
        run.ended(consul_lock.CronState.FAILED, 3)
    assert_type(guard.run(lambda run: run.attempt), int | None)
    assert_type(once(1), str | None)
    records = consul_lock.CronRecords(client)
    assert_type(records.record("nightly"), consul_lock.CronRecord | None)
    assert_type(records.reset("nightly", 5.0, force=True), consul_lock.CronRecord | None)
    assert_type(consul_lock.Survey(client).overview().locks, list[consul_lock.Status])
    consul_lock.CronGuard("a", everyy=5)  # type: ignore[call-arg] # no such option
    consul_lock.CronGuard("a", every=5, overlap="no")  # type: ignore[arg-type] # no such word


async def guarded_async(client: aio.Client) -> None:
    async with aio.CronGuard("nightly", client=client, slot="a").claim() as run:
        assert_type(run.lock, aio.Lock | None)

    async def work(run: aio.CronRun[aio.Lock]) -> int:
        return run.attempt

    assert_type(await aio.CronGuard("nightly", slot="a").run(work), int | None)


@aio.once_per("nightly", every=60)
async def once_async(size: int) -> str:
    return "x" * size


def run_async() -> None:
    assert_type(asyncio.run(once_async(1)), str | None)  # a coroutine, as what it wraps


def errors(error: ConsulLockError, lost: consul_lock.LockLost) -> None:
    assert_type(error.key, str | None)
    assert_type(error.session, str | None)
    assert_type(error.problem, str)
    assert_type(error.hint, str)
    kind: ErrorKind = error.kind
    assert_type(kind == "dns", bool)
    unreached: UnavailableKind = consul_lock.Unavailable(kind="no-leader").kind
    consul_lock.Unavailable(kind="held")  # type: ignore[arg-type] # of another class
    assert_type(lost.reason, LossReason)
    assert_type(consul_lock.Conflict().flags, int | None)
    assert_type(consul_lock.Conflict().limit, int | None)
    assert_type(consul_lock.Unavailable().uncertain, bool)
    assert_type(consul_lock.Unavailable().status, int | None)
    os_error: OSError = consul_lock.PermissionDenied()
    timeout: TimeoutError = consul_lock.LockTimeout()
    value: ValueError = consul_lock.ConfigError()
    runtime: RuntimeError = consul_lock.NotHeld()


async def awaited(client: aio.Client, note: Callable[[LossReason], Awaitable[None]]) -> None:
    async with aio.Client() as opened:
        assert_type(opened, aio.Client)
    async with aio.Session(client) as session:
        assert_type(session, aio.Session)
        assert_type(await session.open(), str)
    lock = aio.Lock("deploy/web", client=client, fair=True, watch=True, on_lost=note)
    assert_type(aio.Lock.on_key("some/key"), aio.Lock)
    assert_type(await lock.acquire(), bool)
    assert_type(await lock.acquire(timeout=5), bool)
    assert_type(lock.held, bool)
    assert_type(lock.token, int | None)
    assert_type(lock.lost, asyncio.Event)
    assert_type(await lock.locked(), bool)
    assert_type(await lock.holder(), aio.Holder | None)
    assert_type(await lock.waiters(), list[aio.Holder])
    assert_type(await lock.guard([aio.Op.set("a", "text")]), list[aio.Pair])
    await lock.release()
    async with lock as held:
        assert_type(held, aio.Lock)
    async with lock(timeout=5) as held:
        assert_type(held, aio.Lock)
    await client.close()


@aio.locked("nightly")
async def waits_async(size: int) -> str:
    return "x" * size


@aio.locked("nightly", on_busy="skip")
async def skips_async(size: int) -> str:
    return "x" * size


async def decorated_async() -> None:
    assert_type(await waits_async(size=1), str)
    assert_type(await skips_async(1), str | None)
    lock = aio.Lock("forgotten")
    lock.acquire()  # type: ignore[unused-coroutine] # a forgotten await is found


async def cancelled_async(election: aio.Election) -> None:
    lock = aio.Lock("a", cancel_on_loss=True)
    async with lock as held:
        assert_type(held, aio.Lock)
    aio.Semaphore("a", 2, cancel_on_loss=True)
    aio.ReadWriteLock("a", cancel_on_loss=True)
    aio.MultiLock(["a"], cancel_on_loss=True)
    consul_lock.Lock("a", cancel_on_loss=True)  # type: ignore[call-arg] # of asyncio only

    async def lead(own: aio.Election) -> int:
        return own.token or 0

    async with election.running(lead, value="web1") as task:
        assert_type(await task, int)
        assert_type(task.done(), bool)
    assert_type(await election.run(lead), int)


def tasks_async() -> None:
    assert_type(asyncio.run(waits_async(1)), str)  # a coroutine, as what it wraps
    assert_type(asyncio.run(skips_async(1)), str | None)


def mistyped(election: consul_lock.Election, aio_election: aio.Election) -> None:
    consul_lock.locked("a", tll=3)  # type: ignore[call-overload] # no such option
    consul_lock.locked("a", ttl="3")  # type: ignore[call-overload] # no number
    consul_lock.Lock.on_key("a", tll=3)  # type: ignore[call-arg] # no such option
    consul_lock.Lock.on_key("a", fair=1.5)  # type: ignore[arg-type] # no boolean
    aio.locked("a", tll=3)  # type: ignore[call-overload] # no such option
    aio.Lock.on_key("a", tll=3)  # type: ignore[call-arg] # no such option
    aio.once_per("a", tll=3)  # type: ignore[call-arg] # no such option
    consul_lock.locked(waits)  # type: ignore[call-overload] # its name is missing
    aio.locked("a")(waits)  # type: ignore[arg-type] # no coroutine function
    aio.once_per("a")(waits)  # type: ignore[arg-type] # no coroutine function
    aio_election.run(lambda own: 7)  # type: ignore[arg-type, return-value, unused-coroutine] # the same


def lost(error: consul_lock.LockLost) -> None:
    assert_type(error.reason, LossReason)
    result: list[int] = error.result  # whatever the function has returned


def faces_do_not_mix(client: consul_lock.Client, aio_client: aio.Client) -> None:
    consul_lock.Lock("a", client=aio_client)  # type: ignore[arg-type] # of the other face
    aio.Lock("a", client=client)  # type: ignore[arg-type] # of the other face
