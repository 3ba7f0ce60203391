"""Places on the pages to which other pages link."""

from __future__ import annotations

from urllib.parse import quote


def anchor(study: str, claim: str) -> str:
    """The id of a claim on the scorecard, encoded as a fragment of an address."""
    return quote(f"{study}.{claim}", safe="")
