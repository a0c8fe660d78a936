"""Profiles of Hypothesis: the same examples every time, or new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Time passes only inside the simulation, so a slow machine makes no example wrong.
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", parent=settings.get_profile("ci"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
