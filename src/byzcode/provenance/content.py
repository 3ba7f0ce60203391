"""Canonical JSON, and identities computed from it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys and without spaces. Raises ValueError for NaN and infinities."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", r"\u003c")  # equal as JSON; Snakemake copies it unescaped into a script


def in_ascii(text: str) -> str:
    """An equivalent JSON text that contains only ASCII characters."""
    return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)


def short_hash(text: str) -> str:
    """The first 12 hex digits of the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def long_hash(text: str) -> str:
    """The full sha256 of a text, which, unlike the short hash, does not collide in practice."""
    return hashlib.sha256(text.encode()).hexdigest()
