"""Every kind of stored file, damaged in every way: who verifies and who reads it says which file, and what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dag.small_results import byzcode, figure, inside, make, multiverse, scorecard, tabled, train

from byzcode.studies.plan import Plan

pytestmark = pytest.mark.slow

Pair = tuple[Path, Path]

#: Two files of each kind, the first to be damaged.
KINDS = {
    "allocation": "allocations/*.nc",
    "trajectory": "trajectories/*.nc",
    "summary": "summaries/*.csv",
    "evidence": "claims/*.csv",
    "reading": "multiverse/readings/*.csv",
    "table of readings": "multiverse/*.csv",
    "scorecard": "scorecard.*[lv]",
    "plotted data": "figures/*.csv",
    "pdf": "figures/*.pdf",
    "svg": "figures/*.svg",
    "png": "figures/*.png",
    "list of a figure": "figures/*.sha256",
    "list of a summary": "summaries/*.sha256",
}


def truncate(pair: Pair) -> None:
    os.truncate(pair[0], pair[0].stat().st_size * 2 // 3)


def empty(pair: Pair) -> None:
    os.truncate(pair[0], 0)


def folder(pair: Pair) -> None:
    pair[0].unlink()
    pair[0].mkdir()


def swap(pair: Pair) -> None:
    first, second = (path.read_bytes() for path in pair)
    pair[0].write_bytes(second)
    pair[1].write_bytes(first)


def flip(place: float) -> Callable[[Pair], None]:
    def turn_over(pair: Pair) -> None:
        content = bytearray(pair[0].read_bytes())
        bit = int(place * 8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        pair[0].write_bytes(content)

    return turn_over


DAMAGES = {
    "truncated": truncate,
    "emptied": empty,
    "a folder": folder,
    "swapped": swap,
    **{f"flipped at {place:.2f}": flip(place) for place in np.random.default_rng(0).uniform(size=4)},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A small project with all its results, and its plan."""
    root = tmp_path_factory.mktemp("damage") / "made"
    return root, make(root)


def readers(plan: Plan, kind: str, pair: Pair) -> list[list[str]]:
    """The commands that read the first file."""
    name = pair[0].stem
    if kind == "allocation":
        run = next(run for run, spec in plan.runs.items() if spec.allocation_spec.allocation_id == name)
        assigned = (
            [figure(plan, "holding-balance", "out/{}")]
            if name in plan.studies["holding"].allocation_ids("balance")
            else []
        )
        return [train(plan, run, "out/{}.nc"), ["explain", name], *assigned]
    if kind == "trajectory":
        return [
            tabled("summarise", plan.studies["lines"].summary_json(), "../out/lines.csv"),
            tabled("claims", plan.studies["lines"].claims_json(), "../out/lines.csv"),
            figure(plan, "lines-loss", "out/{}"),
            ["plan"],
            ["explain", name],
        ]
    if kind in ("summary", "list of a summary"):
        need = [
            "--devices",
            "6",
            "--alpha",
            "0.2",
            "--heterogeneity",
            "10",
            "--budget-gradients",
            "36",
            "--subsets",
            "12",
        ]
        drawn = [figure(plan, "sweep-plateau", "out/{}")] if name == "sweep" else []
        return [["recommend", *need], *drawn]
    return {"evidence": [scorecard(plan, "out/scorecard")], "reading": [multiverse(plan)]}.get(kind, [])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_and_nothing_is_made_of_it(
    kind: str, damage: str, made: tuple[Path, Plan], tmp_path: Path
) -> None:
    root, plan = made
    shutil.copytree(root, tmp_path / "project")
    with inside(tmp_path / "project"):
        first, second, *_ = sorted(Path("results").glob(KINDS[kind]), reverse=True)
        DAMAGES[damage]((first, second))
        before = sorted(Path("results").rglob("*"))
        for command in (["verify"], *readers(plan, kind, (first, second))):
            code, output = byzcode(*command)
            assert code == 1, (command, output)
            lines = [
                line
                for line in output.splitlines()
                if line.startswith(("Fault: ", "byzcode: ")) and named(line, first, second)
            ]
            assert lines, (command, output)
            assert "Traceback" not in output
        assert not Path("out").exists()
        assert sorted(Path("results").rglob("*")) == before


def named(line: str, first: Path, second: Path) -> bool:
    """Whether a line says of a file what is wrong with it. Of two that were swapped, either may be met first."""
    return any(path.name in line and len(line) > len(str(path)) + 20 for path in (first, second))


def test_what_is_whole_is_read(made: tuple[Path, Plan], tmp_path: Path) -> None:
    """The commands of the test above do something where nothing is wrong."""
    root, plan = made
    shutil.copytree(root, tmp_path / "project")
    with inside(tmp_path / "project"):
        assert byzcode("verify")[0] == 0
        for kind, pattern in KINDS.items():
            first, second, *_ = sorted(Path("results").glob(pattern), reverse=True)
            for command in readers(plan, kind, (first, second)):
                code, output = byzcode(*command)
                assert code == 0, (command, output)
        assert Path("out").exists()
