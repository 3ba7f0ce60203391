"""The note of digests: read as it was written, and passed over with a line where it is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.execution import noted

DIGESTS = {"train": "0123456789ab", "figure": "ba9876543210"}


@given(digests=st.dictionaries(st.text(max_size=9), st.text(max_size=12), max_size=4))
def test_a_note_is_read_as_it_was_written(tmp_path: Path, digests: dict[str, str]) -> None:
    said: list[str] = []
    noted.write(tmp_path / "note.json", digests)

    assert noted.read(tmp_path / "note.json", said.append) == digests
    assert said == []
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_where_there_is_no_note_nothing_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    assert noted.read(tmp_path / "note.json", said.append) == {}
    assert said == []


WHOLE = json.dumps(DIGESTS).encode()
CUT = {f"cut after {place}": WHOLE[:place] for place in range(len(WHOLE))}
NONE = {
    "a list": b"[1, 2]",
    "a word": b'"train"',
    "null": b"null",
    "a number for a digest": b'{"train": 5}',
    "a list for a digest": b'{"train": ["0123456789ab"]}',
    "null for a digest": b'{"train": null, "figure": "ba9876543210"}',
    "zeros": bytes(50),
    "not UTF-8": b'{"train": "\xff"}',
    "deep": b"[" * 100_000,
    "twice": WHOLE + WHOLE,
}


@pytest.mark.parametrize("content", (CUT | NONE).values(), ids=(CUT | NONE).keys())
def test_what_is_no_note_is_passed_over_with_a_line(tmp_path: Path, content: bytes) -> None:
    said: list[str] = []
    (tmp_path / "note.json").write_bytes(content)

    assert noted.read(tmp_path / "note.json", said.append) == {}

    (line,) = said
    assert line.startswith(str(tmp_path / "note.json"))
    assert line.endswith("passed over")
    assert line.isprintable()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_passed_over(tmp_path: Path, kind: str) -> None:
    said: list[str] = []
    path = tmp_path / "note.json"
    path.mkdir() if kind == "folder" else os.mkfifo(path)

    assert noted.read(path, said.append) == {}
    assert len(said) == 1
