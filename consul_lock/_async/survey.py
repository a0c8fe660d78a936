"""The survey for asyncio.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from consul_lock._async.client import Client, chosen
from consul_lock._protocol.survey.break_note import Break
from consul_lock._protocol.survey.leftovers import Cleaned, Leftover
from consul_lock._protocol.survey.read import Overview
from consul_lock._protocol.survey.sessions import SessionStatus
from consul_lock._protocol.survey.status import Status
from consul_lock._protocol.survey.survey import SurveyCore
from consul_lock._protocol.survey.watch import Change


class Survey:
    """What is held, by whom, and who waits: seen from outside, by an operator or a tool.

    To look costs no session and takes no lock.  It sees all kinds, also locks and semaphores of
    `consul lock` and of HashiCorp's Go client, and shows what is no lock at all as "foreign".
    What others say of themselves is text of theirs: escape it before it goes to a terminal.
    Errors of Consul are retried for ``retry_for`` seconds, then `Unavailable` is raised.

    What is not promised: a status is a picture of the moment in which it was read.  A lock that
    looks free may be in lock-delay.  A token that may not see all keys sees less: holders whose
    keys are hidden by ACLs look vanished to it where Consul does not say so (up to 1.10).
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = chosen(client)
        self._core = SurveyCore(self._client._core)

    async def below(self, prefix: str = "") -> list[Status]:
        """All names that begin with a prefix, as one moment's picture; all there are without one.

        It is Consul's kind of prefix: "job" finds "job", "jobs" and "jobs/a", "jobs/" finds
        "jobs" and what is below it.  One read, of everything that is there.
        """
        return await self._client._run(self._core.below(prefix))

    async def overview(self, prefix: str = "") -> Overview:
        """What `below` finds, and the records of cron guards, in the same read.

        Records are not held, and so not among the locks.  A record that cannot be read is a
        `CronProblem`.
        """
        return await self._client._run(self._core.overview(prefix))

    async def status(self, name: str) -> Status:
        """One name.  A lock on exactly one key is found by that key."""
        return await self._client._run(self._core.status(name))

    async def watch(self, name: str, timeout: float | None = None) -> AsyncGenerator[Status, None]:
        """Yield the status of a name, and then each change of it, for ``timeout`` seconds.

        Never the same twice in a row; of changes that follow each other quickly the last one is
        seen for certain.  A waiter for a plain lock is seen when something else of it changes, or
        within ten seconds.
        """
        lookout = self._core.lookout(name, timeout)
        while (seen := await self._client._run(lookout.next())) is not None:
            yield seen

    async def changes(
        self, name: str = "", timeout: float | None = None
    ) -> AsyncGenerator[Change, None]:
        """Yield who holds a name now, and then who acquires, releases or loses it.

        A name that ends with a slash stands for all below it, an empty one for all there are.  A
        hold that begins and ends within a tenth of a second may not be seen at all.  Otherwise as
        `watch`.
        """
        lookout = self._core.lookout_below(name, timeout)
        while (news := await self._client._run(lookout.news())) is not None:
            for change in news:
                yield change

    async def overviews(
        self, prefix: str = "", timeout: float | None = None, *, repeat: bool = False
    ) -> AsyncGenerator[Overview, None]:
        """Yield what `overview` finds, and then again after each change, for ``timeout`` seconds.

        Consul is read once a second at most, so of changes within a second the last one is seen.
        ``repeat``: also after a read that shows no change, of which there is one every ten seconds;
        so the caller knows that Consul still answers.  Otherwise as `watch`.
        """
        lookout = self._core.lookout_over(prefix, timeout, repeat)
        while (seen := await self._client._run(lookout.next())) is not None:
            yield seen

    async def sessions(self, ids: Iterable[str]) -> dict[str, SessionStatus]:
        """What Consul says of sessions and the health of their nodes, by id; the dead are left out.

        One request, and one for each node.
        """
        return await self._client._run(self._core.sessions(ids))

    async def destroy(self, session: str) -> None:
        """Destroy a session, and so take away all that is held with it: how to break a lock.

        The id belongs to one holder only, so no other holder is affected.  The old holder is
        notified, and its lock-delay gives it the time to stop before another acquires the lock.
        Destroying a session that is dead already is not an error.
        """
        await self._client._run(self._core.destroy(session))

    async def break_hold(self, name: str, session: str, reason: str = "") -> Break | None:
        """Break a hold as `destroy` does, and record who did it, and why.

        The record is `Status.last_break` of the name, for the old and the next holder;
        Consul forgets it after one to two hours.  ``reason`` has at most 512 characters.
        None: the token may not write below the name, so nothing was recorded, or another client
        has recorded this break already.  The session is destroyed all the same.
        """
        return await self._client._run(self._core.break_hold(name, session, reason))

    async def break_of(self, name: str, session: str) -> Break | None:
        """Who broke the hold that this session had of a name; None: that is not recorded.

        For a program that got `LockLost`, and needs to know why.
        """
        return await self._client._run(self._core.break_of(name, session))

    async def remove(self, status: Status, *, force: bool = False) -> bool:
        """Delete the key of a name, if it still is as it was seen; False: it is not.

        For what is idle, such as a semaphore whose limit is to be forgotten.  Raises `Conflict`
        for what is held or foreign.  ``force=True`` deletes it under a holder, too: its session
        stays alive, there is no lock-delay, and the next one enters at once.
        """
        return await self._client._run(self._core.remove(status, force))

    async def leftovers(self, prefix: str = "") -> list[Leftover]:
        """What dead holders and waiters have left below a prefix: keys without a holder.

        The next user of a name deletes its leftovers, so most of them are of names that
        are not used any more.  With a token that does not see all keys nothing is found.
        """
        return await self._client._run(self._core.leftovers(prefix))

    async def clean(self, leftovers: Iterable[Leftover]) -> list[Cleaned]:
        """Delete what `leftovers` has found; returns the outcome of each.

        Never sooner than a lock-delay allows, and never what is in use again meanwhile.
        Records of cron jobs and notes of breaks are not touched.
        """
        return await self._client._run(self._core.clean(leftovers))
