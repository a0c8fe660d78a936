"""Many readers or one writer; a writer that has written goes on as a reader."""

from __future__ import annotations

import threading

from consul_lock import Client, ReadWriteLock

with Client() as client:
    catalogue = ReadWriteLock("examples/catalogue", client=client)
    entered = threading.Event()

    def read() -> None:
        with catalogue.read() as lock:
            print("a reader is in, token", lock.token)
            entered.set()

    with catalogue.write() as writer:
        print("the writer is alone")
        reader = threading.Thread(target=read)
        reader.start()
        print("a reader got in beside it:", entered.wait(0.2))
        writer.downgrade()  # no other writer comes in between
        print("after the downgrade it did:", entered.wait(60))
        print("and the former writer reads on:", writer.held)
    reader.join()
