"""The operations on documents and contender keys: carried out by an exact model of Consul."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.weighted.document import SEMAPHORE, Document
from consul_lock._protocol.weighted.layout import Contender, Target
from consul_lock._protocol.weighted.operations import (
    contend_operation,
    delete_document,
    delete_if_unchanged,
    touch,
    write_document,
)
from consul_lock._protocol.weighted.snapshot import Snapshot, snapshot_of
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver

TARGET = Target(SEMAPHORE, "slots", "slot", 2)
KEY = "slots/.lock"


class OperationsDriver(FakeDriver):
    """A driver for single operations, with one session."""

    def __init__(self) -> None:
        super().__init__()
        self.api = self.client().api
        made = operator(self.world, "/v1/session/create", body=b"{}")
        self.session = str(json.loads(made)["ID"])

    def do(self, *operations: dict[str, Any]) -> TxnResult:
        result: TxnResult = self.run(self.api.transact(list(operations), "test", ""))
        return result

    def seen(self) -> Snapshot:
        return snapshot_of(TARGET, self.run(self.api.list_keys(TARGET.prefix)))

    def contend(self, value: str = "e30=") -> Contender:
        assert self.do(contend_operation(TARGET, self.session, value)).done
        (contender,) = self.seen().contenders
        return contender


def test_a_contender_key_is_locked_by_its_session_only() -> None:
    """Of a session that has ended none is made."""
    driver = OperationsDriver()
    driver.contend()
    assert driver.held() == {f"slots/{driver.session}": driver.session}
    operator(driver.world, f"/v1/session/destroy/{driver.session}")
    assert not driver.do(contend_operation(TARGET, driver.session, "")).done


@pytest.mark.parametrize("about", ['{"host": "h", "claim": {"n": 1}}', "no JSON"])
def test_an_admitted_contender_sees_its_own_key_written_anew(about: str) -> None:
    """What it said of itself stays, and its key shows that it is in; the index moves."""
    driver = OperationsDriver()
    before = driver.contend()._replace(about=about)
    assert driver.do(*touch(TARGET, before, 7.00049)).done
    (after,) = driver.seen().contenders
    assert (after.session, after.create_index) == (before.session, before.create_index)
    assert after.modify_index > before.modify_index
    kept = json.loads(about) if about.startswith("{") else {}
    assert json.loads(after.about) == {**kept, "in": True, "since": 7.0}


def test_a_contender_that_left_and_came_back_is_not_admitted_for_another() -> None:
    """Its session is the same, and what it wants another thing."""
    driver = OperationsDriver()
    before = driver.contend()
    operator(driver.world, f"/v1/kv/slots/{driver.session}", "DELETE")
    driver.contend()
    assert not driver.do(*touch(TARGET, before, 7.0)).done


def test_a_document_is_written_over_what_was_read_only() -> None:
    """Also if there was none: of two who make it one comes too late."""
    driver = OperationsDriver()
    nothing = driver.seen()
    document = Document(2, {driver.session: 1}, 0)
    assert driver.do(write_document(TARGET, nothing, document)).done
    assert not driver.do(write_document(TARGET, nothing, document)).done
    seen = driver.seen()
    assert seen.document._replace(modify_index=0) == document
    assert driver.world._server.kv.entries[KEY].flags == SEMAPHORE.flags
    assert driver.do(write_document(TARGET, seen, document._replace(holders={}))).done
    assert not driver.do(write_document(TARGET, seen, document)).done


@pytest.mark.parametrize("meanwhile", ["nothing", "written", "deleted"])
def test_a_document_is_deleted_only_as_it_was_read(meanwhile: str) -> None:
    """To delete what is not there is no failure to Consul, so it is checked first."""
    driver = OperationsDriver()
    driver.do(write_document(TARGET, driver.seen(), Document(2, {}, 0)))
    seen = driver.seen()
    if meanwhile == "written":
        operator(driver.world, f"/v1/kv/{KEY}?flags={SEMAPHORE.flags}", body=b"{}")
    elif meanwhile == "deleted":
        operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    assert driver.do(*delete_document(TARGET, seen)).done is (meanwhile == "nothing")
    assert (KEY in driver.held()) is (meanwhile == "written")


def test_what_the_dead_have_left_is_deleted_unless_it_was_taken_over() -> None:
    """If it is gone by then, that is as well."""
    driver = OperationsDriver()
    operator(driver.world, f"/v1/kv/slots/.slot/0?flags={SEMAPHORE.flags}")
    index = driver.world._server.kv.entries["slots/.slot/0"].modify_index
    assert not driver.do(delete_if_unchanged("slots/.slot/0", index - 1)).done
    assert driver.do(delete_if_unchanged("slots/.slot/0", index)).done
    assert driver.held() == {}
    assert driver.do(delete_if_unchanged("slots/.slot/0", index)).done
