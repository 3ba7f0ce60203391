"""Tables of components: each entry in a module of its own, imported when it is first read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from unit.tables import TABLES

import byzcode
from byzcode.lazy import Table

PACKAGE = {
    "__init__": "",
    "one": "ENTRY = 1",
    "three": "ENTRY = 3",
    "word": "ENTRY = 'four'",
    "empty": "",
    "broken": "import byzcode.no_such_module",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"package_of_{tmp_path.name}"
    (tmp_path / name).mkdir()
    for module, text in PACKAGE.items():
        (tmp_path / name / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_entries_come_in_the_listed_order_and_are_imported_when_they_are_read(package: str) -> None:
    table = Table(package, int, ("three", "one"))

    assert list(table) == ["three", "one"]
    assert len(table) == 2
    assert table.module("one") == f"{package}.one"
    assert "one" in table
    assert "two" not in table
    assert f"{package}.one" not in sys.modules
    assert table["one"] == 1
    assert f"{package}.three" not in sys.modules
    assert list(table.items()) == [("three", 3), ("one", 1)]


def test_a_name_that_is_not_listed_is_a_key_error(package: str) -> None:
    table = Table(package, int, ("one",))

    for read in (table.__getitem__, table.module):
        with pytest.raises(KeyError, match="three"):
            read("three")
    assert table.get("three") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "{0} lists absent, but there is no module {0}.absent"),
        ("empty", "{0} lists empty, but {0}.empty defines no ENTRY = int(...)"),
        ("word", "{0} lists word, but {0}.word defines no ENTRY = int(...)"),
        ("broken", "No module named 'byzcode.no_such_module'"),
    ],
)
def test_a_listed_module_without_its_entry_is_named(package: str, name: str, message: str) -> None:
    with pytest.raises(ImportError) as refused:
        Table(package, int, (name,))[name]
    assert str(refused.value) == message.format(package)


@pytest.mark.parametrize("kind", [kind for kind, table in TABLES.items() if isinstance(table, Table)])
def test_a_component_has_the_name_of_its_module(kind: str) -> None:
    table = TABLES[kind]
    for name, entry in table.items():
        assert sys.modules[table.module(name)].ENTRY is entry
        function = getattr(entry, "function", None)
        assert function is None or function.__name__ == name


def test_reading_one_entry_imports_no_other() -> None:
    program = (
        "import sys; from byzcode.aggregation import RULES; RULES['median'];"
        "print([name for name in RULES if RULES.module(name) in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "['median']"


SOURCES = Path(byzcode.__file__).parent
#: Where components are named: in their own packages, in methods, which are made of them, as defaults of a run, and
#: where users call them, some with gradients of their own or by the names of other libraries.
HOMES = {"specs", "front", "adapters", "report"} | {
    table.module(name).split(".")[1] for table in TABLES.values() if isinstance(table, Table) for name in table
}
#: Names that are also words for something else.
WORDS = {
    "constant",
    "identity",
    "infinite",
    "mean",
    "median",
    "nan",
    "none",
    "random",
    "replication",
    "share",
    "steps",
    "uniform",
}


MODULES = [path.relative_to(SOURCES).as_posix() for path in sorted(SOURCES.rglob("*.py"))]


@pytest.mark.parametrize("module", [module for module in MODULES if module.split("/")[0] not in HOMES])
def test_no_other_module_names_a_component(module: str) -> None:
    """What a module must know of a component stands in its entry, so that one that is added is known, too."""
    text = (SOURCES / module).read_text(encoding="utf-8")
    kinds = {kind: table for kind, table in TABLES.items() if kind not in ("method", "problem")}
    names = {name for table in kinds.values() for name in table} - WORDS
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert not names.intersection(value for value in constants if isinstance(value, str))
