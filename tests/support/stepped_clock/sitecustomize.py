"""Steps the clock by the file that STEPPED_CLOCK names.

Every Python whose PYTHONPATH begins with this folder imports it first, also one that a worker
starts.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

if "STEPPED_CLOCK" in os.environ:
    importlib.import_module("clock_step").step(Path(os.environ["STEPPED_CLOCK"]))
