"""A token and a password in a program: in no text of any object, in no log, and in no error."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import consul_lock
from consul_lock import aio
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError
from tests.drivers.request_once import Ask, each_asks
from tests.support.http_messages import Answer
from tests.support.scripted_server import scripted_server


@pytest.fixture(params=["token", "http_auth", "token_file"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """A secret, and the argument that brings it in."""
    secret = f"secret-{uuid4().hex}"
    if request.param == "http_auth":
        return secret, {"http_auth": ("user", secret)}
    if request.param == "token_file":
        file = tmp_path / "token"
        file.write_text(secret)
        file.chmod(0o600)
        return secret, {"token_file": file}
    return secret, {"token": secret}


def _has(secret: str, text: str) -> bool:
    login = base64.b64encode(f"user:{secret}".encode()).decode()
    return secret in text or login in text or base64.b64encode(secret.encode()).decode() in text


@each_asks
@pytest.mark.parametrize("status", [0, 200, 403, 429, 500])
def test_a_secret_is_in_no_error_and_no_log(
    ask: Ask, status: int, given: tuple[str, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """With all that led to it, its notes and its fields, and in a pickle of it; at any level."""
    secret, options = given
    caplog.set_level(logging.DEBUG)
    with scripted_server(Answer(status, {}, b"<p>") if status else (lambda _: None)) as server:
        with pytest.raises(ConsulLockError) as caught:
            ask(server.address, **options)
        assert any(_has(secret, str(message)) for message in server.requests)
    error = caught.value
    text = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    for linked in _linked(error):
        text += repr(linked) + str(getattr(linked, "__notes__", ""))
    assert not _has(secret, text)
    assert secret.encode() not in pickle.dumps(error)
    assert not _has(secret, caplog.text)


def _linked(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("api", [consul_lock, aio], ids=["threads", "asyncio"])
def test_a_secret_is_in_the_repr_of_no_object(
    api: types.ModuleType, given: tuple[str, dict[str, Any]]
) -> None:
    """Of a client, of what is made with it, and of all that these refer to."""
    secret, options = given
    client = api.Client("127.0.0.1:1", **options)
    made = [
        client, client.config, Config.resolve("127.0.0.1:1", **options),
        api.Lock("a", client=client),
        api.RLock("a", client=client), api.Semaphore("b", limit=2, client=client),
        api.Election("c", client=client), api.Survey(client), api.CronRecords(client),
    ]  # fmt: skip
    seen: dict[int, Any] = {}
    ahead = list(made)
    while ahead:
        each = ahead.pop()
        if id(each) in seen or len(seen) > 2000:
            continue
        seen[id(each)] = each
        if type(each).__module__.startswith("consul_lock"):
            # What has no text of its own shows its class and where it is.
            assert not _has(secret, repr(each) + str(each)), type(each)
            ahead += vars(each).values() if hasattr(each, "__dict__") else ()
            slots = [s for kind in type(each).__mro__ for s in getattr(kind, "__slots__", ())]
            ahead += [getattr(each, slot) for slot in slots if hasattr(each, slot)]
    assert len(seen) > len(made)
