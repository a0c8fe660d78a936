"""Each test is run once, and what waits is begun beside what computes."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.scheduler import BothEnds, begins_in_front

WAITING = [f"tests/faults/test_{file}.py::test_{n}" for file in "abcd" for n in range(12)]
COMPUTING = [f"tests/unit/test_{file}.py::test_{n}" for file in "efgh" for n in range(60)]
TESTS = WAITING + COMPUTING


class Node:
    """A process that runs tests, or would."""

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.shutting_down = False
        self.given: list[int] = []

    def send_runtest_some(self, places: list[int]) -> None:
        self.given += places

    def shutdown(self) -> None:
        self.shutting_down = True


def begun(processes: int, tests: list[str]) -> tuple[BothEnds, list[Node]]:
    """A scheduler that has handed out the first tests."""
    options = {"tx": ["popen"] * processes, "maxschedchunk": None}
    config: Any = SimpleNamespace(getvalue=options.get, getoption=options.get, hook=None)
    scheduler, nodes = BothEnds(config), [Node(number) for number in range(processes)]
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    return scheduler, nodes


def run_all(scheduler: BothEnds, nodes: list[Node]) -> Counter[int]:
    """Run one test of each process in turn; returns how often each was run."""
    ran = Counter[int]()
    while any(scheduler.node2pending[node] for node in nodes):
        for node in nodes:
            pending = scheduler.node2pending[node]
            if len(pending) > 1 or (pending and node.shutting_down):
                ran[pending[0]] += 1
                scheduler.mark_test_complete(node, pending[0])
    return ran


@pytest.mark.parametrize("processes", [1, 2, 5, 8])
@pytest.mark.parametrize("tests", [TESTS, TESTS[:1], TESTS[:7], COMPUTING[:30]], ids=len)
def test_each_test_is_run_once_and_all_processes_end(processes: int, tests: list[str]) -> None:
    """Whatever there is to run, and however many run it; none waits for a test that never comes."""
    scheduler, nodes = begun(processes, tests)
    assert run_all(scheduler, nodes) == Counter(range(len(tests)))
    assert scheduler.tests_finished
    assert not scheduler.has_pending
    assert all(node.shutting_down for node in nodes)


def test_some_processes_begin_with_what_waits_and_the_others_with_what_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until there is nothing left of one of them."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    scheduler, nodes = begun(4, TESTS)
    first = [{place < len(WAITING) for place in node.given} for node in nodes]
    assert first == [{True}, {True}, {False}, {False}]
    run_all(scheduler, nodes)
    assert {place < len(WAITING) for place in nodes[0].given} == {True, False}


def test_one_process_for_each_core_begins_with_what_computes_and_half_of_them_at_most() -> None:
    """The cores are busy with these, while all others wait."""
    for processes, cores, in_front in ((1, 2, 1), (2, 2, 1), (6, 2, 4), (8, 2, 6), (8, 16, 4)):
        which = [begins_in_front(number, processes, cores) for number in range(processes)]
        assert which == [True] * in_front + [False] * (processes - in_front)


def test_tests_of_a_file_that_are_given_together_keep_their_order() -> None:
    """A fixture of the file is made once for them."""
    _, nodes = begun(4, TESTS)
    for node in nodes:
        assert node.given == sorted(node.given)
        assert len({TESTS[place].partition("::")[0] for place in node.given}) == 1
        assert len(node.given) >= 10


def test_what_a_process_has_not_run_when_it_dies_is_run_by_others() -> None:
    """All but the test that it died of."""
    scheduler, nodes = begun(4, TESTS)
    left = list(nodes[3].given)
    assert scheduler.remove_node(nodes[3]) == TESTS[left[0]]
    assert set(run_all(scheduler, nodes[:3])) == set(range(len(TESTS))) - {left[0]}
