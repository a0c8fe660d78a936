"""When the files of credentials are read again, and what of them is used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consul_lock._drivers.credentials import EVERY, Credentials, refuses_credentials
from consul_lock.config import Config
from consul_lock.errors import ConfigError, PermissionDenied, Unavailable
from tests.support.certificates import Certificates
from tests.unit.config.helpers import file_with, resolve
from tests.unit.drivers.fake_connections import FakeClock, request


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """With the token ``first`` in it."""
    return file_with(tmp_path / "token", "first\n")


def _token(credentials: Credentials) -> str:
    """The one that requests are sent with."""
    lines = credentials.loaded.encoder.encode(request()).decode().split("\r\n")
    (token,) = [line for line in lines if line.startswith("X-Consul-Token: ")]
    return token.partition(": ")[2]


def test_a_token_that_was_replaced_is_used_from_the_next_look_on(
    clock: FakeClock, token_file: Path
) -> None:
    """Not before its time, as a look at each request would ask the system for nothing."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    file_with(token_file, "the-second")
    clock.now += EVERY - 0.1
    assert not credentials.look()
    clock.now += 0.1
    assert credentials.look()
    assert _token(credentials) == "the-second"
    clock.now += EVERY
    assert not credentials.look()


def test_a_file_that_holds_the_same_as_before_changes_nothing(
    clock: FakeClock, token_file: Path
) -> None:
    """Written again, or with white space around it."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    loaded = credentials.loaded
    file_with(token_file, "\n first \n")
    clock.now += EVERY
    assert not credentials.look()
    assert not credentials.reload(loaded)
    assert credentials.loaded is loaded


@pytest.mark.parametrize("content", [None, "", "half of a\nconfiguration file"])
def test_a_token_file_that_cannot_be_used_leaves_the_old_token(
    clock: FakeClock, token_file: Path, content: str | None
) -> None:
    """It is being written; what comes then is used."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    if content is None:
        token_file.unlink()
    else:
        file_with(token_file, content)
    clock.now += EVERY
    assert not credentials.look()
    assert _token(credentials) == "first"
    file_with(token_file, "second")
    clock.now += EVERY
    assert credentials.look()
    assert _token(credentials) == "second"


def test_a_file_that_stays_unusable_is_logged_once(
    clock: FakeClock, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at the first look, when it may be half written; again if it was good in between."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    for round_ in (1, 2):
        file_with(token_file, "")
        clock.now += EVERY
        credentials.look()
        credentials.reload(credentials.loaded)  # at once, as it was refused
        assert len(caplog.records) == round_ - 1
        for _ in range(5):
            clock.now += EVERY
            credentials.look()
        (record,) = caplog.records[round_ - 1 :]
        assert record.getMessage() == (
            "credentials were changed and cannot be used: the token file:"
            f" {token_file} is empty; what was read before stays in use"
        )
        assert (record.levelname, vars(record)["event"]) == ("WARNING", "credentials")
        file_with(token_file, "first")
        clock.now += EVERY
        credentials.look()
        assert _token(credentials) == "first"


def test_an_authority_that_becomes_garbage_is_logged(
    clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the old one stays in use; a key that was deleted when it had been read is no fault."""
    config, papers = _tls(tmp_path)
    credentials = Credentials(config, clock)
    first = credentials.loaded
    papers.client_key.unlink()
    for _ in range(3):
        clock.now += EVERY
        assert not credentials.look()
    assert not caplog.records
    config, papers = _tls(tmp_path)
    credentials = Credentials(config, clock)
    first = credentials.loaded
    file_with(papers.ca, "garbage")
    for _ in range(3):
        clock.now += EVERY
        assert not credentials.look()
    assert credentials.loaded is first
    (record,) = caplog.records
    assert "cannot use the CA file" in record.getMessage()


def test_a_refusal_compares_the_contents_whatever_the_times_say(
    clock: FakeClock, token_file: Path
) -> None:
    """A file system may count time in steps, and tokens are equally long."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    before = token_file.stat()
    file_with(token_file, "other\n")
    os.utime(token_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.now += EVERY
    assert not credentials.look()
    assert credentials.reload(credentials.loaded)
    assert _token(credentials) == "other"


def test_what_was_read_for_another_request_is_new_to_this_one(
    clock: FakeClock, token_file: Path
) -> None:
    """Several may be refused at once; each is to be sent again."""
    credentials = Credentials(resolve(token_file=token_file), clock)
    used = credentials.loaded
    file_with(token_file, "second")
    assert credentials.reload(used)
    assert credentials.reload(used)
    assert not credentials.reload(credentials.loaded)


def test_a_token_that_is_from_no_file_stays(clock: FakeClock) -> None:
    """There is nothing to read."""
    credentials = Credentials(Config(token="given"), clock)
    clock.now += EVERY
    assert not credentials.look()
    assert not credentials.reload(credentials.loaded)
    assert _token(credentials) == "given"


def test_a_file_that_others_can_read_is_warned_of_once(clock: FakeClock, tmp_path: Path) -> None:
    """When the settings are read: a warning at each look would be one a second."""
    file = file_with(tmp_path / "token", "first", mode=0o644)
    with pytest.warns(UserWarning, match="every user"):
        config = resolve(token_file=file)
    credentials = Credentials(config, clock)
    file_with(file, "second", mode=0o644)
    assert credentials.reload(credentials.loaded)


def test_a_token_that_came_through_a_pipe_is_read_once(clock: FakeClock, tmp_path: Path) -> None:
    """To open it again would wait for a writer without end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    credentials = Credentials(Config(token="first", token_file=str(pipe)), clock)
    clock.now += EVERY
    assert not credentials.look()
    assert not credentials.reload(credentials.loaded)
    assert _token(credentials) == "first"


def test_a_process_that_changes_its_directory_looks_at_the_same_file(
    clock: FakeClock, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was given where it was started."""
    monkeypatch.chdir(token_file.parent)
    credentials = Credentials(resolve(token_file=token_file.name), clock)
    monkeypatch.chdir("/")
    file_with(token_file, "second")
    assert credentials.reload(credentials.loaded)
    assert _token(credentials) == "second"


def _tls(tmp_path: Path) -> tuple[Config, Certificates]:
    papers = Certificates(tmp_path)
    config = Config(
        scheme="https",
        ca_cert=str(papers.ca),
        client_cert=str(papers.client_cert),
        client_key=str(papers.client_key),
    )
    return config, papers


def test_a_new_certificate_is_used_when_its_key_is_there_too(
    clock: FakeClock, tmp_path: Path
) -> None:
    """They are written one after the other, and belong together."""
    config, papers = _tls(tmp_path)
    credentials = Credentials(config, clock)
    first = credentials.loaded
    others = tmp_path / "others"
    others.mkdir()
    new = Certificates(others)
    new.client_cert.replace(papers.client_cert)
    clock.now += EVERY
    assert not credentials.look()
    assert credentials.loaded is first
    new.client_key.replace(papers.client_key)
    clock.now += EVERY
    assert credentials.look()
    assert credentials.loaded.context is not first.context
    assert credentials.loaded.encoder is first.encoder


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_authority_that_was_replaced_is_trusted(
    clock: FakeClock, tmp_path: Path, kind: str
) -> None:
    """In a file of its own, or as one more in a folder."""
    (folder := tmp_path / "authorities").mkdir()
    papers = Certificates(tmp_path)
    papers.ca.replace(folder / "a.pem")
    # As in the volumes of Kubernetes.
    (folder / "..data").mkdir()
    where = {"file": {"ca_cert": str(folder / "a.pem")}, "folder": {"ca_path": str(folder)}}
    credentials = Credentials(Config(scheme="https", **where[kind]), clock)
    first = credentials.loaded.context
    papers.other_ca.replace(folder / ("a.pem" if kind == "file" else "b.pem"))
    clock.now += EVERY
    assert credentials.look()
    second = credentials.loaded.context
    assert first is not None
    assert second is not None
    counts = [context.cert_store_stats()["x509_ca"] for context in (first, second)]
    assert counts == ([1, 1] if kind == "file" else [1, 2])
    assert first.get_ca_certs() != second.get_ca_certs()


def test_a_token_is_replaced_while_a_certificate_cannot_be_read(
    clock: FakeClock, tmp_path: Path, token_file: Path
) -> None:
    """Some programs delete the key when they have read it."""
    papers = Certificates(tmp_path)
    config = resolve(
        "https://localhost",
        token_file=token_file,
        client_cert=papers.client_cert,
        client_key=papers.client_key,
    )
    credentials = Credentials(config, clock)
    context = credentials.loaded.context
    papers.client_key.unlink()
    file_with(token_file, "second")
    clock.now += EVERY
    assert credentials.look()
    assert _token(credentials) == "second"
    assert credentials.loaded.context is context


def test_files_of_tls_are_not_read_for_plain_http(clock: FakeClock, tmp_path: Path) -> None:
    """They may be there for others, and need not be good."""
    file = file_with(tmp_path / "ca", "first")
    credentials = Credentials(Config(ca_cert=str(file)), clock)
    file_with(file, "second")
    assert not credentials.reload(credentials.loaded)


@pytest.mark.parametrize(
    "result, refused",
    [
        (PermissionDenied("no"), True),
        (PermissionDenied("no", kind="unknown-token"), True),
        (ConfigError("TLS", kind="certificate"), True),
        (ConfigError("TLS", kind="client-certificate"), True),
        (ConfigError("bad TTL", kind="value"), False),
        (Unavailable("away"), False),
        ("an answer", False),
    ],
)
def test_what_other_credentials_could_mend(result: object, refused: bool) -> None:
    """Only what has changed nothing at the server, so that it can be sent again."""
    assert refuses_credentials(result) is refused
