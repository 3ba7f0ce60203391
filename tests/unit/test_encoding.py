"""Files are UTF-8, names of files, too, and what a process of another program says: whatever the locale is."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.errors import in_locale
from byzcode.provenance.content import canonical, in_ascii
from byzcode.studies.files import from_disk, on_disk

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if not path.is_symlink())
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk")), ROOT / "workflow/Snakefile"]


def test_ruff_looks_at_every_file_that_is_opened() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert re.search(r'^select = .*"PLW1514"', settings, re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_another_program_says_is_decoded_as_is_said(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            given = {word.arg for word in node.keywords}
            decoded = [word.arg for word in node.keywords if ast.unparse(word.value) == "True"]
            assert not {"text", "universal_newlines"}.intersection(decoded) or "encoding" in given, (
                f"{path}:{node.lineno}"
            )


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_open_no_files_in_the_encoding_of_the_locale(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not re.search(r"\b(open|read_text|write_text)\(", line) or "utf-8" in line, line


@given(value=st.recursive(st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_a_request_says_the_same_in_ascii(value: object) -> None:
    text = in_ascii(canonical(value))

    assert text.isascii()
    assert json.loads(text) == value


@given(name=st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20))
def test_a_name_goes_to_the_disk_and_back(name: str) -> None:
    assert from_disk(on_disk(name)) == name


@given(name=st.binary(max_size=12).filter(lambda name: b"\0" not in name))
def test_any_bytes_of_the_disk_are_a_name(name: bytes) -> None:
    assert os.fsencode(on_disk(from_disk(os.fsdecode(name)))) == name


def test_letters_that_a_locale_has_not_are_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_locale("ü\udcff") == "ü\\udcff"
    monkeypatch.setattr("byzcode.errors.locale.getencoding", lambda: "ascii")
    assert in_locale("Größe α") == r"Gr\xf6\xdfe \u03b1"  # noqa: RUF001
