"""Things that belong together: several locks at once, and a lock on a whole branch of a tree."""

from __future__ import annotations

from consul_lock import Client, Lock, MultiLock

with Client() as client:
    # All or none, in one step: the order of the names in other programs does not matter.
    with MultiLock(["stock/apples", "stock/pears"], client=client):
        print("pears are free:", Lock("stock/pears", client=client).acquire(timeout=0))

    # A customer's lock covers the cart below it, and the customer's alone.
    with Lock("customer/42", client=client, tree=True):
        cart = Lock("customer/42/cart", client=client, tree=True)
        neighbour = Lock("customer/43", client=client, tree=True)
        print("the cart is free:", cart.acquire(timeout=0))
        print("the neighbour is free:", neighbour.acquire(timeout=0))
        neighbour.release()
