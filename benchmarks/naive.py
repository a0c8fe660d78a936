"""A lock as python-consul2's users write it: two calls of its key-value store.

The session is made once and never renewed, no answer is checked twice, nobody queues.
"""

from __future__ import annotations

import warnings

from bare import CONTENT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # It warns of its own use of old names.
    import consul


class NaiveLock:
    def __init__(self, port: int, key: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._consul = consul.Consul(port=port)
        self._key = key
        self._session = self._consul.session.create(ttl=3600)

    def try_acquire(self) -> bool:
        return bool(self._consul.kv.put(self._key, CONTENT, acquire=self._session))

    def acquire(self) -> None:
        """Watch the key until it is free, then try to be the first."""
        index = None
        while True:
            index, data = self._consul.kv.get(self._key, index=index, wait="60s")
            if (data is None or "Session" not in data) and self.try_acquire():
                return

    def release(self) -> None:
        self._consul.kv.put(self._key, "", release=self._session)

    def close(self) -> None:
        self._consul.http.session.close()
