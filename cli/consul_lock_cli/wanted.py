"""What the user asked for, of one hold."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock_cli.manner import Manner
from consul_lock_cli.patience import Patience
from consul_lock_cli.what import What


class Wanted(NamedTuple):
    """What to hold, how long to wait for it, and how to run the command."""

    what: What
    patience: Patience = Patience()
    manner: Manner = Manner()
