"""Tokens and passwords: where they come from, and that they are shown nowhere."""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

from consul_lock._config.credentials import check_key_file, read_token
from consul_lock.config import Config, TokenFileWarning
from tests.unit.config.helpers import SECRET, file_with, refusal, resolve


def test_the_token_has_the_precedence_of_consuls_own_client(tmp_path: Path) -> None:
    """Argument file, argument, variable of a file, variable."""
    sources = {
        "file": str(file_with(tmp_path / "a", "from-file\n")),
        "variable file": str(file_with(tmp_path / "b", "\tfrom-variable-file\r\n")),
    }
    environ = {"CONSUL_HTTP_TOKEN": "from-variable\n"}
    assert resolve(environ=environ).token == "from-variable"
    environ["CONSUL_HTTP_TOKEN_FILE"] = sources["variable file"]
    assert resolve(environ=environ).token == "from-variable-file"
    assert resolve(environ=environ, token="from-argument").token == "from-argument"
    assert resolve(environ=environ, token="").token is None
    both = resolve(environ=environ, token="from-argument", token_file=Path(sources["file"]))
    assert both.token == "from-file"
    assert resolve(environ={"CONSUL_HTTP_TOKEN": "", "CONSUL_HTTP_TOKEN_FILE": ""}).token is None


@pytest.mark.parametrize(
    "content, why",
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (f"token = {SECRET}", "no token has"),
        (f"{SECRET}\n{SECRET}", "no token has"),
        (SECRET.encode() + b"\xff\x00", "no token has"),
        (SECRET * 1000, "too long"),
    ],
)
def test_a_file_that_holds_no_token_is_refused(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    """It names the file, and never repeats what is in it."""
    file = file_with(tmp_path / "token", content)
    assert why in refusal(token_file=file)
    message = refusal(environ={"CONSUL_HTTP_TOKEN_FILE": str(file)})
    assert message.startswith("CONSUL_HTTP_TOKEN_FILE: ")
    assert str(file) in message


def test_a_token_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A directory, a file that is not there, and a path through a file."""
    file = file_with(tmp_path / "token", SECRET)
    assert "is a directory" in refusal(token_file=tmp_path)
    assert "No such file" in refusal(token_file=tmp_path / "missing")
    assert "Not a directory" in refusal(token_file=file / "deeper")
    assert "cannot read" in refusal(token_file="a\0b")
    assert "names no file" in refusal(token_file="")


def test_a_token_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permission is denied by a stand-in, because root may read everything."""
    file = file_with(tmp_path / "token", SECRET)

    def denied(*args: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refusal(token_file=file)


def test_a_token_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    """It is used all the same; one that only the group can read is not remarked on."""
    file = file_with(tmp_path / "token", SECRET, 0o644)
    with pytest.warns(TokenFileWarning, match="chmod o-r") as caught:
        assert Config.resolve(token_file=file, environ={}).token == SECRET
    assert caught[0].filename == __file__
    assert SECRET not in str(caught[0].message)
    file.chmod(0o640)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve(token_file=file).token == SECRET


@pytest.mark.parametrize(
    "mode, said", [(0o644, "read"), (0o602, "change"), (0o606, "read and change"), (0o640, "")]
)
def test_a_file_that_everybody_can_change_is_warned_of_like_one_that_they_can_read(
    tmp_path: Path, mode: int, said: str
) -> None:
    """A token file, and the key of a client; what to do is in the warning."""
    file = file_with(tmp_path / "token", SECRET, mode)
    letters = {"read": "r", "change": "w", "read and change": "rw"}.get(said)
    for check in (lambda: read_token(file, "token_file"), lambda: check_key_file(str(file))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check()
        texts = [str(each.message) for each in caught]
        assert len(texts) == (1 if said else 0)
        for text in texts:
            assert f"can {said} {file}; run: chmod o-{letters} {file}" in text


def test_a_key_file_that_is_not_there_is_no_matter_of_permissions(tmp_path: Path) -> None:
    """What uses it says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_key_file(str(tmp_path / "none"))
        check_key_file("a\0b")
        check_key_file("/dev/null")


@pytest.mark.parametrize("token", ["a b", "a\nb", "tökén", "a\x7f", "\x00"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """It would otherwise break the request, or be a second header."""
    assert "no token has" in refusal(token=token + SECRET)
    assert "CONSUL_HTTP_TOKEN" in refusal(environ={"CONSUL_HTTP_TOKEN": token + SECRET})


@pytest.mark.parametrize(
    "auth, found",
    [
        ("root:pass", ("root", "pass")),
        ("root:a:b", ("root", "a:b")),
        ("root", ("root", "")),
        (("root", "p:w"), ("root", "p:w")),
        ("", None),
    ],
)
def test_basic_authentication_is_a_text_or_a_pair(auth: Any, found: object) -> None:
    """The argument and CONSUL_HTTP_AUTH are read alike, and the argument wins."""
    assert resolve(http_auth=auth).http_auth == found
    assert resolve(http_auth=auth, environ={"CONSUL_HTTP_AUTH": "x:y"}).http_auth == found
    if isinstance(auth, str):
        assert resolve(environ={"CONSUL_HTTP_AUTH": auth}).http_auth == found


@pytest.mark.parametrize("auth", [":" + SECRET, ("a:b", SECRET), ("a", SECRET + "\n"), ("", "x")])
def test_bad_basic_authentication_is_refused(auth: Any) -> None:
    """A user cannot be empty or have a colon; nothing has a line break."""
    assert refusal(http_auth=auth).startswith("http_auth: ")


def test_headers_and_query_carry_who_and_where() -> None:
    """Nothing is sent that was not set."""
    assert resolve().headers() == {}
    assert resolve().query() == ()
    config = resolve(
        token="t", http_auth="Aladdin:open sesame", datacenter="d", namespace="n", partition="p"
    )
    assert config.headers() == {
        "X-Consul-Token": "t",
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    }
    assert config.query() == (("dc", "d"), ("ns", "n"), ("partition", "p"))


def test_secrets_are_not_shown() -> None:
    """Neither in the repr nor in the origin; a pickled Config keeps them."""
    config = resolve("http://h/p", token=SECRET, http_auth=("root", SECRET))
    assert SECRET not in repr(config) + str(config) + config.origin
    assert pickle.loads(pickle.dumps(config)) == config
    assert dataclasses.replace(config, datacenter="east").token == SECRET
