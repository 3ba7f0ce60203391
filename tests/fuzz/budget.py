"""How many inputs each test tries: 200 in all, or as many as BYZCODE_FUZZ says."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

ASKED = os.environ.get("BYZCODE_FUZZ")


def trying(share: float) -> Any:
    """Settings of a test that takes a share of all inputs. The same inputs each time, unless a number is asked for."""
    return settings(
        max_examples=max(1, round(share * int(ASKED or 200))),
        derandomize=ASKED is None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],  # which traces each line: many times slower
        print_blob=True,
    )
