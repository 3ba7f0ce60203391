"""Canonical JSON, and identities made of it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN is refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", r"\u003c")  # the same to JSON; Snakemake puts it into a script of its report as it stands


def in_ascii(text: str) -> str:
    """A JSON text that says the same in ASCII alone."""
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


def short_hash(text: str) -> str:
    """The first 12 hex digits of the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def long_hash(text: str) -> str:
    """The whole sha256 of a text: other than a short one, no two texts share it."""
    return hashlib.sha256(text.encode()).hexdigest()
