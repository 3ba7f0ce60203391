"""The pictures in docs/ show what the studies request and what results/reference holds."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("docs_figures", ROOT / "docs" / "figures.py")
assert spec is not None
assert spec.loader is not None
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)
PICTURES = (*figures.FIGURES, figures.MULTIVERSE)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_not_older_than_what_it_shows(picture):
    again = "is old: run `make reproduce open-questions multiverse reference docs-figures`"
    assert figures.NOTED.is_file(), again
    noted = json.loads(figures.NOTED.read_text(encoding="utf-8")).get(picture)
    assert noted is not None, f"docs/{picture}.png {again}"
    shown = {
        "file": figures.hash_of(picture),
        "request": figures.request_of(picture),
        "tables": figures.tables_of(picture, figures.reference_of(picture)),
    }
    assert noted == shown, f"docs/{picture}.png {again}"


def test_the_pages_show_the_pictures_that_are_made():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"\]\((?:docs/)?([\w-]+)\.png\)", page.read_text("utf-8"))}
    assert named == {*PICTURES, "benchmarks"}
    assert {path.stem for path in (ROOT / "docs").glob("*.png")} == named
