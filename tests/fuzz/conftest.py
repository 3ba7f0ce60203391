"""A folder in which the fuzzers may write what they like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.sandbox import set_up


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small project, as the working directory."""
    folder = tmp_path_factory.mktemp("sandbox")
    set_up(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
