"""A driver for several locks at once, which sees to it that nobody ever holds only some of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.multilock.attempt import MultiLockAttempt
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock._protocol.multilock.multilock import MultiLockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LossReason, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, verbs

A, B, C = "stock/apples", "stock/pears", "other"
KEYS = {A: f"{A}/.lock", B: f"{B}/.lock", C: f"{C}/.lock"}

FEW = (A, B, C)
"""Few enough to look at each key in the transaction that locks it."""

MANY = (*FEW, *(f"stock/many/{number}" for number in range(61)))
"""As many as there can be."""

NO_ANSWER = Unavailable("no answer came")

each_size = pytest.mark.parametrize("names", [FEW, MANY], ids=["few", "many"])
each_reason = pytest.mark.parametrize("reason", list(LossReason)[1:5], ids=lambda r: r.value)


class MultiLockDriver(FakeDriver):
    """Looks at all keys after each request."""

    def __init__(self) -> None:
        super().__init__()
        self.multilocks: list[MultiLockCore] = []
        self.tampered = False
        """A key was taken from its holder by hand: from then on anything can be seen."""
        self.after: Callable[[Request], object] = lambda request: None
        """Called after each request."""

    def multilock(
        self, *names: str, client: ClientCore | None = None, **settings: Any
    ) -> MultiLockCore:
        asked = Settings(terms.session_options(), **settings)
        made = MultiLockCore(client or self.client(), keys_of_names(names or FEW), asked)
        self.multilocks.append(made)
        return made

    def acquire(self, lock: Lockable, timeout: float | None = None, owner: str = "me") -> Any:
        job = lock.acquire(timeout != 0, timeout or None, owner)
        try:
            return self.run(job)
        except ConsulLockError:
            assert job.undo is not None
            self.run(job.undo())
            raise

    def release(self, lock: Lockable, owner: str = "me") -> None:
        self.run(lock.release(owner))

    def perform(self, effect: Any) -> Any:
        try:
            return super().perform(effect)
        finally:
            if isinstance(effect, Request):
                self.look(effect)

    def look(self, request: Request) -> None:
        operations = json.loads(request.body or b"[]") if request.path == "/v1/txn" else []
        assert len(operations) <= 64, "more than any Consul before 1.14 takes"
        held = self.held()
        for session in [] if self.tampered else self.borrowed():
            owners = [held.get(claim.resource) for claim in session.borrower.claims]
            assert owners.count(session.id) in (0, len(owners)), "only some of them are held"
        self.after(request)

    def borrowed(self) -> list[Session]:
        """The sessions that several locks are held with, or wanted for, and nothing else."""
        clients = {lock.client: None for lock in self.multilocks}
        sessions = [session for client in clients for session in client.pool.live.values()]
        return [session for session in sessions if isinstance(session.borrower, MultiLockAttempt)]

    def owned(self, lock: MultiLockCore) -> bool:
        """Whether the session that it believes in has all keys."""
        held = self.held()
        assert lock.hold is not None
        return all(held.get(key) == lock.hold.session.id for key in lock.keys)

    def put(self, key: str, flags: int = 0) -> None:
        """An operator writes to a key."""
        operator(self.world, f"/v1/kv/{key}?flags={flags}", body=b"by hand")

    def delete(self, key: str) -> None:
        """An operator deletes a key."""
        self.tampered = True
        operator(self.world, f"/v1/kv/{key}", "DELETE")

    def revoke(self, key: str) -> None:
        """An operator releases a key in the name of its holder."""
        self.tampered = True
        owner = self.held()[key]
        operator(self.world, f"/v1/kv/{key}?release={owner}&flags={LOCK_FLAG}")

    def take(self, key: str) -> str:
        """Somebody holds a key from now on, whatever it was before."""
        made = operator(self.world, "/v1/session/create", body=b'{"LockDelay": "0s"}')
        session = str(json.loads(made)["ID"])
        self.delete(key)
        operator(self.world, f"/v1/kv/{key}?acquire={session}&flags={LOCK_FLAG}")
        return session

    def destroy(self, session: str) -> None:
        """An operator destroys a session."""
        operator(self.world, f"/v1/session/destroy/{session}")


def locking(request: Request) -> bool:
    """Whether it is the transaction that takes the locks."""
    return "lock" in verbs(request)


def releasing(request: Request) -> bool:
    """Whether it is the transaction that gives them back."""
    return bool({"delete", "delete-cas"} & set(verbs(request)))


def lose(driver: MultiLockDriver, lock: MultiLockCore, key: str, reason: LossReason) -> str | None:
    """Something ends the hold on this key.  Returns the session that has it then."""
    match reason:
        case LossReason.SESSION_INVALID:
            driver.destroy(hold_of(lock).session.id)
        case LossReason.KEY_DELETED:
            driver.delete(key)
        case LossReason.STOLEN:
            return driver.take(key)
        case LossReason.REVOKED:
            driver.revoke(key)
    return None


class Sharing:
    """Locks of one client and one session, which are one to Consul."""

    def __init__(self) -> None:
        self.driver = MultiLockDriver()
        self.client = self.driver.client()
        self.session = SharedSession(self.client, terms.session_options())
        self.several = self.driver.multilock(client=self.client, shared=self.session)
        self.overlapping = self.driver.multilock(C, B, client=self.client, shared=self.session)
        self.single = self.driver.lock(self.client, B, shared=self.session)
        self.beside = self.driver.lock(self.client, "beside", shared=self.session)


def unanswered(driver: MultiLockDriver, lock: MultiLockCore) -> Flow[Any]:
    """An acquire whose write was carried out, but not answered."""
    flow = lock.acquire(True, None, "me").flow
    driver.world.submit(driver.until(flow, locking))
    return flow
