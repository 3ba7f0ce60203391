"""A plugin of pytest that leaves only the tests that an added component is in: by its name, or as part of a table.

BYZCODE_ADDED names the components, with commas.
"""

from __future__ import annotations

import inspect
import os
import re

import pytest

NAMES = os.environ["BYZCODE_ADDED"].split(",")

#: The tables to which something is added, and those of the tests.
WHOLE_TABLES = re.compile(
    r"\b(RULES|PRE_AGGREGATORS|ESTIMATORS|ABSENCES|COMPRESSORS|ENCODERS|DECODERS|VOTES|ALLOCATIONS|PROBLEMS|METHODS"
    r"|ATTACKS|TABLES"
    r"|DATA_SETS|PARTITIONS|SCHEDULES|LOOPS|WHOLE|BITS|SCHEMAS|generated)\b"
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the others."""
    kept = [item for item in items if named(item) or of_a_whole_table(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def named(item: pytest.Item) -> bool:
    """Whether a parameter of a test is one of the components."""
    return any(name in item.name for name in NAMES)


def of_a_whole_table(item: pytest.Item) -> bool:
    """Whether a test says something of a table, and not of one entry."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return not {"name", "case", "rule", "key"} & set(parameters) and bool(
        isinstance(item, pytest.Function) and WHOLE_TABLES.search(inspect.getsource(item.function))
    )
