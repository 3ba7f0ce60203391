"""The templates of the pages, of which every page is one file without links to styles or scripts."""

from __future__ import annotations

import base64
import hashlib
import shlex
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@cache
def template(name: str) -> Template:
    """A template of this package by its path, such as ``scorecard/page.html.jinja``."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    # Labels and notes come from users: escape them.
    environment = Environment(
        loader=PackageLoader("byzcode", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"word": shlex.quote, "address": _address, "policy": _policy}
    return environment


def _address(path: str) -> str:
    """A relative path as an address."""
    return quote(path, safe="/")


def _policy(script: str) -> str:
    """The source of an inline script for a Content-Security-Policy, which allows this script alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()}'"
