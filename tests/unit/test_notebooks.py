"""The notebooks of examples/, executed in a kernel as Jupyter does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
#: Where `make .venv/beside` installs what runs notebooks.
BESIDE = ROOT / ".venv" / "beside"


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    assert cells(path)
    for cell in cells(path):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    searched = [str(ROOT / "src"), os.environ.get("PYTHONPATH", ""), str(BESIDE)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, searched)), "IPYTHONDIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", "import nbclient, ipykernel"], env=environment, capture_output=True)
    if found.returncode:
        pytest.skip("nbclient and ipykernel are not installed: make .venv/beside")
    out = tmp_path / "executed"
    program = [sys.executable, "-c", "from nbclient.cli import main; main()"]
    ended = subprocess.run(
        [*program, "--timeout=-1", f"--output={out}", str(path)], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    executed = cells(out.with_suffix(".ipynb"))
    assert [cell["source"] for cell in executed] == [cell["source"] for cell in cells(path)]
    outputs = [output for cell in executed for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == sum("bz.plot" in "".join(cell["source"]) for cell in executed)
    for picture in pictures:
        assert len("".join(picture["data"]["text/plain"])) < 200  # what a terminal shows of it
