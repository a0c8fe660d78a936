"""What variables of the environment mean, and which are refused."""

from __future__ import annotations

import pytest

from consul_lock.config import Config
from tests.unit.config.helpers import refusal, resolve


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_is_spelled_as_in_go(text: str) -> None:
    """As strconv.ParseBool does."""
    assert resolve(environ={"CONSUL_HTTP_SSL": text}).scheme == "https"
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}).verify is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_false_is_spelled_as_in_go(text: str) -> None:
    """As strconv.ParseBool does; an argument wins over it."""
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}).verify is False
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}, verify=True).verify is True


@pytest.mark.parametrize("variable", ["CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY"])
@pytest.mark.parametrize("text", ["maybe", "yes", "on", "tRUE", "2", " true"])
def test_other_booleans_are_refused_by_the_name_of_the_variable(variable: str, text: str) -> None:
    """A typo must not switch the verification of certificates off, or leave TLS off."""
    message = refusal(environ={variable: text})
    assert message.startswith(f"{variable}: {text!r}")


TEXTS = [
    ("ca_cert", "CONSUL_CACERT"),
    ("ca_path", "CONSUL_CAPATH"),
    ("tls_server_name", "CONSUL_TLS_SERVER_NAME"),
    ("namespace", "CONSUL_NAMESPACE"),
    ("partition", "CONSUL_PARTITION"),
]


@pytest.mark.parametrize("field, variable", TEXTS)
def test_texts_come_from_the_argument_then_the_variable(field: str, variable: str) -> None:
    """An empty argument switches the variable off, an empty variable counts as not set."""

    def found(environ: dict[str, str], **given: str) -> object:
        return getattr(resolve(environ=environ, **given), field)

    assert found({}) is None
    assert found({variable: ""}) is None
    assert found({variable: "env"}) == "env"
    assert found({variable: "env"}, **{field: "argument"}) == "argument"
    assert found({variable: "env"}, **{field: ""}) is None


def test_the_datacenter_is_never_taken_from_the_environment() -> None:
    """The Consul command line does not read CONSUL_DATACENTER either."""
    assert resolve(environ={"CONSUL_DATACENTER": "east"}).datacenter is None
    assert resolve(datacenter="east").datacenter == "east"


def test_the_process_environment_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without environ= it is os.environ, as it is at that moment."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "later:1")
    assert Config.resolve().origin == "http://later:1"
