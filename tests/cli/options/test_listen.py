"""ADDRESS:PORT as people write it."""

from __future__ import annotations

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.listen import LISTEN, Listen

_OPTION = click.Option(["--listen"], type=LISTEN)


@pytest.mark.parametrize(
    "text, host, port",
    [
        ("127.0.0.1:9852", "127.0.0.1", 9852),
        ("localhost:0", "localhost", 0),
        ("[::1]:80", "::1", 80),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
    ],
)
def test_an_address_and_a_port(text: str, host: str, port: int) -> None:
    """It is shown as it was written."""
    found = LISTEN.convert(text, _OPTION, None)
    assert found == Listen(host, port)
    assert str(found) == text
    assert LISTEN.convert(found, _OPTION, None) == found


@pytest.mark.parametrize(
    "text",
    ["9852", ":9852", "127.0.0.1", "127.0.0.1:", "h:65536", "h:-1", "h:x", "::1:80", "[::1]",
     "[h]:80", "h:٣", ""],
)  # fmt: skip
def test_what_is_none_is_refused_with_examples(text: str) -> None:
    """An empty address, which others take for all, too."""
    with pytest.raises(Misuse, match=r"--listen: bad address ") as caught:
        LISTEN.convert(text, _OPTION, None)
    assert "[::1]:9852" in caught.value.hint
