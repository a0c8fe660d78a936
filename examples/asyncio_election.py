"""The leader's task is cancelled when the lead is lost; then it campaigns again."""

from __future__ import annotations

import asyncio
import urllib.request
from itertools import count

from consul_lock.aio import Client, Election


async def main() -> None:
    terms = count(1)

    async def lead(election: Election) -> str:
        """What only the leader does."""
        term = next(terms)
        print(f"term {term} begins, with the token {election.token}")
        await election.proclaim(f"node-1 in its term {term}")
        if term == 2:
            return "done"
        leader = await election.leader()
        print("others see:", leader.value if leader else "nobody")
        try:
            await asyncio.to_thread(lose, client, election)
            await asyncio.sleep(3600)
        finally:
            print("the lead is lost, so the task is cancelled")
        return "it never gets here"

    async with Client() as client:
        print(await Election("examples/asyncio-election", client=client).run(lead, value="node-1"))


def lose(client: Client, election: Election) -> None:
    """Delete the key, as an operator might."""
    url = f"{client.config.origin}/v1/kv/{election.key}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()


asyncio.run(main())
