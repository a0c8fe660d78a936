"""Services and health checks as an agent knows them: plain HTTP, and nothing of consul-lock."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.contract.operator import Operator
from tests.support.waiting import eventually

SERVICE = "consul-lock"


class Health:
    """The agent at the address of an operator.

    It shows no heart that was there before: the agent forgets those of processes that have died
    in earlier tests after a minute or two.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._place = urlsplit(operator.address).netloc
        self._before: set[str] = set()
        self._before = self.services()

    def hearts(self) -> dict[str, str]:
        """The status of each heartbeat's check, by its id."""
        checks = self._operator.ask("GET", "/v1/agent/checks").values()
        ours = [c for c in checks if c["ServiceName"] == SERVICE]
        return {c["CheckID"]: c["Status"] for c in ours if c["ServiceID"] not in self._before}

    def services(self) -> set[str]:
        """The ids of the services of heartbeats, with a check or without."""
        services = self._operator.ask("GET", "/v1/agent/services").items()
        found = {known for known, service in services if service["Service"] == SERVICE}
        return found - self._before

    def bound(self, session: str) -> dict[str, Any]:
        """What a session is bound to, by its fields."""
        [found] = self._operator.ask("GET", f"/v1/session/info/{session}")
        of_services = [check["ID"] for check in found["ServiceChecks"] or ()]
        return {"NodeChecks": found["NodeChecks"], "ServiceChecks": of_services}

    def register_check(self, check: str) -> None:
        """A check of the node, passing for longer than any test takes."""
        asked = {"Name": check, "TTL": "10m", "Status": "passing"}
        self._put("/v1/agent/check/register", asked)
        eventually(lambda: self.takes({"checks": [check]}))

    def register_service(self, name: str) -> str:
        """A service, passing for longer than any test takes; returns the id of its check."""
        check = {"TTL": "10m", "Status": "passing"}
        self._put("/v1/agent/service/register", {"Name": name, "Check": check})
        eventually(lambda: self.takes({"service_checks": [f"service:{name}"]}))
        return f"service:{name}"

    def tell(self, check: str, verb: str) -> None:
        """``pass``, ``warn`` or ``fail`` a check, or ``deregister`` it."""
        # Newer agents do not know one that is gone already.
        self._put(f"/v1/agent/check/{verb}/{check}", gone=verb == "deregister")

    def deregister(self, service: str) -> None:
        """``consul services deregister``."""
        self._put(f"/v1/agent/service/deregister/{service}")

    def takes(self, binding: dict[str, Any]) -> bool:
        """Whether the servers bind a session to these ``checks`` and ``service_checks``."""
        of_services = [{"ID": check} for check in binding.get("service_checks", ())]
        asked = {"NodeChecks": binding.get("checks", []), "ServiceChecks": of_services}
        try:
            made = self._operator.ask("PUT", "/v1/session/create", asked)
        except AssertionError:
            return False
        self._operator.destroy(made["ID"])
        return True

    def _put(self, path: str, body: Any = None, *, gone: bool = False) -> None:
        connection = HTTPConnection(self._place, timeout=30)
        try:
            connection.request("PUT", path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            good = (200, 404) if gone else (200,)
            assert answer.status in good, (path, answer.status, answer.read())
        finally:
            connection.close()
