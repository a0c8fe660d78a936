"""Wrong versions of what semaphores, read/write locks, tree locks and multi-locks do."""

from __future__ import annotations

from typing import NamedTuple

from tests.simulation.mutation import Mutant


class CrowdMutant(NamedTuple):
    """A wrong version, and which runs have to find it out, unless a test played by hand does."""

    mutant: Mutant
    kind: str
    """One of `KINDS`."""
    weather: str = "bad"
    """Of the runs, see ``WEATHER`` of the test; in good weather order and speed are checked."""


MUTANTS = (
    CrowdMutant(
        Mutant(
            "a contender that enters does not show that its sessions live",
            "weighted.acquire:_own",
            "    return operations\n",
            "    return [] if attempt.joined else operations\n",
            seed=12,
        ),
        "read/write",
        "hands",
    ),
    CrowdMutant(
        Mutant(
            "dead holders are pruned without the lock that proves their death",
            "weighted.pruning:expiry_check",
            "return [lock, {",
            "return [{**lock, 'Verb': 'delete'}, {",
            seed=1,
        ),
        "semaphore",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "all holders are tried, whether they were seen dead or not",
            "weighted.snapshot:Snapshot.vanished",
            "else frozenset(self.document.holders) - self.sessions",
            "else frozenset(self.document.holders)",
            "unit.protocol.weighted.test_pruning:test_a_holder_that_was_seen_alive_is_not_tried",
        ),
        "semaphore",
        "fleets",
    ),
    CrowdMutant(
        Mutant(
            "the key that is locked to prune is not that of the dead one",
            "weighted.pruning:expiry_check",
            "key = target.contender_key(dead)",
            "key, dead = target.contender_key(living), living",
            seed=1,
        ),
        "read/write",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "the lock that proves the death is refused, and the holder put out all the same",
            "weighted.pruning:_prune",
            "        attempt.guarded |= delayed\n",
            "        if delayed:\n"
            "            api, last = core.client.api, operations[-1:]\n"
            "            yield from api.transact(last, doing, core.rule)\n",
            seed=1,
        ),
        "semaphore",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "one who waits tries only once to prune a dead holder",
            "weighted.queue:wait_for_turn",
            "    attempt.guarded = frozenset()\n",
            "",
            seed=2,
        ),
        "tree",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "a dead holder that was pruned keeps its key",
            "weighted.pruning:expiry_check",
            '{"Verb": "delete", "Key": key}',
            '{"Verb": "unlock", "Key": key, "Session": living}',
            seed=1,
        ),
        "tree",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "only the first of several places is pruned",
            "weighted.pruning:prune",
            "zip(attempt.targets, seen, strict=True):",
            "list(zip(attempt.targets, seen, strict=True))[:1]:",
            seed=1,
        ),
        "tree",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "the keys of those who died while they waited stay",
            "weighted.release:litter",
            "if session not in guarded",
            "if session in leaving",
            seed=6,
        ),
        "read/write",
        "dead",
    ),
    CrowdMutant(
        Mutant(
            "the numbers that the dead have left stay",
            "weighted.release:litter",
            "if others <= leaving and snapshot.document.modify_index:",
            "if False:",
            seed=2,
        ),
        "semaphore",
        "destroyed",
    ),
    CrowdMutant(
        Mutant(
            "readers overtake the writer that waits",
            "weighted.snapshot:admits",
            "before = sum(",
            "before = 0 and sum(",
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "waiters that are let in by a release do not see it",
            "weighted.release:_depart",
            "operations += touch(target, each, since)",
            "pass",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a waiter that leaves the queue does not see that it was let in",
            "weighted.release:give_up",
            "grant = yield from accept(core, attempt, seen)",
            "break",
            "unit.protocol.weighted.test_queue:test_a_waiter_that_gives_up_just_as_it_is_let_in_holds_it",
        ),
        "semaphore",
    ),
    CrowdMutant(
        Mutant(
            "of several slots only one is taken",
            "weighted.operations:admit",
            "attempt.ids()",
            "attempt.ids()[:1]",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "several locks are released one after the other",
            "multilock.release:_delete",
            "request = client.api.transaction(pairwise, doing, lock.rule)\n",
            "request = client.api.transaction(pairwise[:2], doing, lock.rule)\n"
            "        yield from client.write(hold.session, request)\n"
            "        rest = pairwise[2:] or pairwise\n"
            "        request = client.api.transaction(rest, doing, lock.rule)\n",
        ),
        "multi",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "of several locks all but the last are taken",
            "multilock.attempt:locking",
            "    for key in keys:\n",
            "    for key in keys[:-1] or keys:\n",
        ),
        "multi",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a stale read is believed",
            "weighted.access:position",
            "fresh = attempt.certain or",
            "fresh = True or",
            seed=33,
        ),
        "semaphore",
        "stale reads",
    ),
    CrowdMutant(
        Mutant(
            "the token is the index of the write that joined the queue",
            "weighted.access:accept",
            "[c.modify_index for",
            "[c.create_index for",
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a document is overwritten, whatever has become of it",
            "weighted.operations:write_document",
            '"Verb": "cas"',
            '"Verb": "set"',
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a waiter that left and came back is let in at its old place",
            "weighted.operations:touch",
            '"Verb": "check-index"',
            '"Verb": "get"',
            "unit.protocol.weighted.test_release:test_a_waiter_that_left_and_came_back_is_not_let_in_before_those_who_stayed",
        ),
        "semaphore",
    ),
    CrowdMutant(
        Mutant(
            "a waiter that withdraws forgets that it may have been let in just now",
            "weighted.release:_withdrawn",
            "[delete_if_unchanged(key, mine.modify_index)]",
            '[{"Verb": "delete", "Key": key}]',
            "unit.protocol.weighted.test_queue:test_a_waiter_that_gives_up_just_as_it_is_let_in_holds_it",
        ),
        "read/write",
    ),
    CrowdMutant(
        Mutant(
            "a tree lock is let in to one document of several",
            "weighted.snapshot:admit_waiters",
            " and c.places == 1",
            "",
        ),
        "tree",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a waiter for more than there is now gets no error",
            "weighted.acquire:_agree",
            "if attempt.n > limit or",
            "if",
            "unit.protocol.weighted.test_queue:test_a_waiter_for_more_than_there_is_now_gets_an_error",
        ),
        "semaphore",
    ),
    CrowdMutant(
        Mutant(
            "the document is never deleted",
            "weighted.release:_rewrite",
            "if not document.holders and not others:",
            "if False:",
        ),
        "tree",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "the place in the local queue is given up, and nobody is called in",
            "hold.local_queue:LocalQueues.leave",
            "            self.call_in(attempt)\n",
            "            pass\n",
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a waiter that joins again keeps its old place in some queues",
            "weighted.queue:_join",
            "            if attempt.asked:\n",
            "            if False:\n",
            "unit.protocol.weighted.test_queue:test_a_waiter_whose_key_was_deleted_has_one_place_in_all_queues",
        ),
        "tree",
    ),
    CrowdMutant(
        Mutant(
            "a downgrade changes nothing in Consul",
            "weighted.rwlock:SideCore._rewrite",
            "document = admit(snapshot.document, attempt, target)",
            "document = admit(snapshot.document, attempt, target._replace(mode='write'))",
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "of several slots only one is given back",
            "weighted.release:_let_go",
            "_depart(core, attempt.targets, hold.sessions, seen, let_in)",
            "_depart(core, attempt.targets, hold.sessions[:1], seen, let_in)",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "several locks are released without a look at their holders",
            "multilock.release:_delete",
            "request = client.api.transaction(pairwise, doing, lock.rule)",
            "request = client.api.transaction(deletions, doing, lock.rule)",
            seed=5,
        ),
        "multi",
        "ghosts",
    ),
    CrowdMutant(
        Mutant(
            "another limit throws holders out",
            "weighted.semaphore:SemaphoreCore._resize",
            "snapshot.document._replace(limit=limit)",
            "snapshot.document._replace(limit=limit, holders={})",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "slots are given away that a group in the queue has waited for",
            "weighted.snapshot:admit_waiters",
            "            break  # and nobody behind it fits beside it\n",
            "            continue\n",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "a reader waits behind the writer that waits for it",
            "primitive.acquire:has_part",
            "return any(",
            "return False and any(",
        ),
        "read/write",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "everybody may overtake, not only a holder of a part",
            "primitive.acquire:has_part",
            "return any(",
            "return True or any(",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "the number of a slot is believed in before Consul has given it",
            "weighted.slot_numbers:_number",
            "if outcome.done:",
            "if outcome is not None:",
            seed=6,
        ),
        "semaphore",
    ),
    CrowdMutant(
        Mutant(
            "a holder that leaves keeps the number of its slot",
            "weighted.release:_withdrawn",
            "if holder == session]",
            "if holder == key]",
        ),
        "semaphore",
        "good",
    ),
    CrowdMutant(
        Mutant(
            "the number of a slot stays when its holder dies",
            "weighted.slot_numbers:_claim",
            '"Verb": "lock"',
            '"Verb": "set"',
            seed=1,
        ),
        "semaphore",
        "dead",
    ),
)
