"""A Consul for tests: exact, in memory, and in virtual time.

`World` answers the requests that this library sends as Consul does, down to the indexes, the
texts of errors and the end of blocking queries; the project's own tests run the same scripts
against it and against a real agent.  It has the rules of 1.21; ``World(consul="1.8")`` has the
old ones, and "1.21.5" and "1.22" refuse the names of keys that those releases refuse, too.  Time
stands still until a test moves it, so a lock that takes a minute to expire expires at once::

    from consul_lock.testing import World

    world = World(seed=7)
    exchange = world.submit(request)      # exchange.reply, or None while a query blocks
    world.advance(20.0)                   # sessions expire, blocking queries end

`serve` puts a world on loopback HTTP, in real time, for clients that know nothing of it::

    from consul_lock.testing import serve

    with serve() as served:
        client = Client(served.address)
        served.world.set_check("serfHealth", "critical")    # see `ServedWorld.world`

Not modelled: access control, other datacenters and namespaces, transactions on anything but
keys, watching catalog and health, and bodies without Content-Length.

The model, one noun a file::

    serve --> world --> router --> kv_api, txn_api, session_api, agent_api --> server --> store, ...

`Server` is the leader: what Consul keeps in Raft and in the leader's memory.  The files named
after endpoints turn a request into work on it.  `World` adds what goes wrong: no leader, a new
leader, a made-up answer.
"""

from __future__ import annotations

from consul_lock.testing.serve import ServedWorld, serve
from consul_lock.testing.world import Exchange, World

__all__ = ["Exchange", "ServedWorld", "World", "serve"]
