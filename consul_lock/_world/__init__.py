"""The model behind `consul_lock.testing`: one noun a file.

::

    serve --> world --> api --> kv, txn, session_api, agent --> server --> store, session, ...

`Server` is the leader: what Consul keeps in Raft and in the leader's memory.  The files named
after endpoints turn a request into work on it.  `World` adds what goes wrong: no leader, a new
leader, a made-up answer.
"""
