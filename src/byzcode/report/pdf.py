"""Typeset the report with Typst, which needs no network: compiler and fonts are in its package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from byzcode.errors import UserError, complain
from byzcode.report.numbers import numbers
from byzcode.report.tables import Tables
from byzcode.storage.atomic import replacing, writable
from byzcode.studies.plan import Plan


def write(plan: Plan, out: Path) -> Tables:
    """Write the report as PDF, and return the tables that it is made from. The same tables give the same bytes.

    Raises UserError if a number is missing, if Typst is not installed, or if ``out`` cannot be written.
    """
    if out.suffix != ".pdf":
        raise complain("byzcode report", "--out", str(out), "a name that ends with .pdf")
    writable(out)
    tables = Tables.of(plan)
    content = typeset(numbers(tables))
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    return tables


def typeset(values: Mapping[str, Any]) -> bytes:
    """The pages as PDF. Raises UserError if Typst is not installed."""
    try:
        import typst
    except ImportError:
        raise UserError("byzcode report: Typst is not installed; pip install 'byzcode[report]' installs it") from None
    made = typst.compile(TEMPLATE.read_bytes(), sys_inputs=inputs(values), ignore_system_fonts=True, timestamp=0)
    assert isinstance(made, bytes)
    return made


TEMPLATE = files("byzcode.report") / "report.typ"


def inputs(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as the template takes them."""
    return {"numbers": json.dumps(values, allow_nan=False)}
