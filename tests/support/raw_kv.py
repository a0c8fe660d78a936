"""What is in a Consul, read and written past the library under test."""

from __future__ import annotations

from typing import Any

from tests.support.http_messages import Answer
from tests.support.raw_http import exchange
from tests.support.session_remains import of_a_dead_one


class RawConsul:
    """The plain HTTP door of a Consul on 127.0.0.1.  Uses ``master_token`` where there is one."""

    def __init__(self, master_token: str | None = None) -> None:
        self.master_token = master_token

    @property
    def http_port(self) -> int:
        """Where the door is."""
        raise NotImplementedError

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """Send one request; ``path`` begins with /v1/, ``body`` is bytes, str, or JSON to be.

        ``token`` is by default the master token, where there is one; "" sends none.
        """
        return exchange(
            "127.0.0.1", self.http_port, method, path, body,
            token=self.master_token if token is None else token, timeout=timeout,
        )  # fmt: skip

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions, as Consul describes them."""
        return list(self.request("GET", "/v1/session/list").json())

    def sessions_of(self, pid: int) -> set[str]:
        """The ids of the sessions that the library made in this process, if it named them."""
        mark = f":{pid} "
        return {session["ID"] for session in self.sessions() if mark in session["Name"]}

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all keys that begin with ``prefix``."""
        answer = self.request("GET", f"/v1/kv/{prefix}?keys")
        return [] if answer.status == 404 else list(answer.json())

    def living(self, prefix: str = "") -> list[str]:
        """The same, without what the end of a session has left."""
        answer = self.request("GET", f"/v1/kv/{prefix}?recurse")
        entries = [] if answer.status == 404 else answer.json()
        return [str(entry["Key"]) for entry in entries if not of_a_dead_one(entry)]

    def entry(self, key: str) -> dict[str, Any] | None:
        """One key as Consul describes it (Value is base64), None if there is none."""
        answer = self.request("GET", f"/v1/kv/{key}")
        return None if answer.status == 404 else dict(answer.json()[0])

    def token_for(self, rules: str) -> str:
        """A new token that may do what ``rules`` (Consul's HCL) say, and nothing else."""
        policy = {"Name": f"policy-{len(self._policies())}", "Rules": rules}
        made = self._must("PUT", "/v1/acl/policy", policy)
        token = self._must("PUT", "/v1/acl/token", {"Policies": [{"ID": made["ID"]}]})
        return str(token["SecretID"])

    def _policies(self) -> list[Any]:
        return list(self._must("GET", "/v1/acl/policies", None))

    def _must(self, method: str, path: str, body: Any) -> Any:
        answer = self.request(method, path, body)
        assert answer.status == 200, (path, answer)
        return answer.json()
