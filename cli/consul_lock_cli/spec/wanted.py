"""What the user asked for, of one hold."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock_cli.spec.lock import What
from consul_lock_cli.spec.process import Manner
from consul_lock_cli.spec.run import Patience


class Wanted(NamedTuple):
    """What to hold, how long to wait for it, and how to run the command."""

    what: What
    patience: Patience = Patience()
    manner: Manner = Manner()
