"""`python -m consul_lock_cli` is `consul-lock`."""

from __future__ import annotations

from consul_lock_cli.entry import main

main()
