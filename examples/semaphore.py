"""At most three at once; two slots for a big job; the limit changed while it is in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from consul_lock import Client, Semaphore

meeting = Barrier(3)


def download(number: int, semaphore: Semaphore) -> str:
    """A small job: one slot."""
    with semaphore:
        meeting.wait(60)  # all three are in here at the same moment
        return f"download {number} ran with token {semaphore.token}"


with Client() as client:
    downloads = Semaphore("examples/downloads", 3, client=client)
    with ThreadPoolExecutor() as pool:
        for words in pool.map(download, range(3), [downloads] * 3):
            print(words)

    # A big job takes two of the three slots, both at once or none.
    small = Semaphore("examples/downloads", 3, client=client)
    with downloads(timeout=30, n=2):
        print("the big job has two slots")
        print("a small one fits in beside it:", small.acquire(timeout=0))
        print("and no more than one:", small.acquire(timeout=0))

        # Somebody raises the limit: nobody has to be restarted who is in or waits.
        downloads.resize(4)
        print("with a limit of", downloads.limit, end=": ")
        print(Semaphore("examples/downloads", 4, client=client).locked())
        print("holders:", len(downloads.holders()))
    small.release()
