"""How requests reach commands: as arguments, or in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from byzcode.execution import request_files
from byzcode.execution.request_files import FOLDER, RequestFiles

REQUEST = json.dumps({"title": "Δ = 1"}, ensure_ascii=False)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_short_request_is_its_text_in_ascii() -> None:
    argument = RequestFiles(Path("results"), lambda: True).argument(REQUEST)

    assert argument.isascii()
    assert json.loads(argument) == json.loads(REQUEST)
    assert not FOLDER.exists()


@pytest.mark.parametrize("more", [0, 1])
def test_a_request_travels_in_a_file_from_a_length_on(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    request = "x" * (100 + more)
    monkeypatch.setattr(request_files, "LONGEST", 100)

    argument = RequestFiles(Path("results"), lambda: True).argument(request)

    assert (argument == request) == (more == 0)
    assert (Path(argument).read_text(encoding="utf-8") == request) if more else not FOLDER.exists()


def test_a_dry_run_writes_no_file_and_names_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_files, "LONGEST", 0)
    dry = RequestFiles(Path("results"), lambda: False).argument(REQUEST)

    assert not FOLDER.exists()
    assert RequestFiles(Path("results"), lambda: True).argument(REQUEST) == dry
    assert Path(dry).is_file()


def test_files_that_no_job_needs_go_but_not_those_of_other_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_files, "LONGEST", 0)
    own, other = (RequestFiles(Path(name), lambda: True) for name in ("results", "others"))
    needed, dropped, foreign = own.argument("needed"), own.argument("dropped"), other.argument("dropped")

    own.keep_only({needed, "something else"})

    assert [Path(path).exists() for path in (needed, dropped, foreign)] == [True, False, True]
