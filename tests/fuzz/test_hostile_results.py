"""Requests and stored files that nobody meant, among good results: read as they stand, or refused in one line."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.budget import trying
from fuzz.mutations import WORDS, structures
from fuzz.sandbox import limited, listing, planned
from fuzz.test_hostile_runs import made
from hypothesis import event, given
from hypothesis import strategies as st
from unit.resealed import Parts, change

from byzcode.cli import main
from byzcode.multiverse.plan import Multiverse, joint_request
from byzcode.storage import allocations, trajectories
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import Plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plan(sandbox: Path) -> Plan:
    """A small project with its results, in the working directory."""
    del sandbox
    found = planned()
    made(found)
    return found


def outcome(*words: str) -> str:
    """read, or refused in one line; anything else fails, and so does a file that is left behind."""
    before, said = listing(), io.StringIO()
    try:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said), limited():
            patch.setattr("sys.argv", ["byzcode", *words])
            with pytest.raises(SystemExit) as ended:
                main()
        gc.unfreeze()
        if not ended.value.code:
            return "read"
        *_, last = said.getvalue().splitlines()
        assert ended.value.code == 1, said.getvalue()
        assert last.startswith("byzcode: "), said.getvalue()
        assert last.isprintable()
        assert len(last) < 3000
        return "refused"
    finally:
        shutil.rmtree("out", ignore_errors=True)
        assert listing() == before, "something was written"


def commands(plan: Plan) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the workflow asks, by name: the command and its request."""
    [one] = plan.studies.values()
    figures = {plot: ("figure", json.loads(one.figure_json(plot))) for plot in one.study.plots}
    readings = Multiverse.load(plan)
    requests = {reading: readings.request(reading) for reading in list(readings.universes)[:2]}
    return figures | {
        "summarise": ("summarise", json.loads(one.summary_json())),
        "claims": ("claims", json.loads(one.claims_json())),
        "scorecard": ("scorecard", json.loads(plan.scorecard_json())),
        "gallery": ("gallery", json.loads(gallery_json(plan))),
        "multiverse": ("multiverse", json.loads(joint_request(requests))),
        **{f"reading {name}": ("reading", json.loads(request)) for name, request in requests.items()},
    }


def asked(command: str, request: Any) -> str:
    """What becomes of a request."""
    try:
        text = json.dumps(request)
    except ValueError:  # a whole number of more digits than Python writes
        text = '{"study": ' + "9" * 6000 + "}"
    folder = [] if command == "reading" else ["--results", "results"]
    out = [] if command == "multiverse" else ["--out", "out/made"]
    return outcome(command, "--request", text, *folder, *out)


def test_what_the_workflow_asks_is_answered(plan: Plan) -> None:
    found = {name: asked(*one) for name, one in commands(plan).items() if one[0] not in ("multiverse", "reading")}
    assert set(found.values()) == {"read"}


@trying(0.1)
@given(st.data())
def test_a_request_of_other_structure(plan: Plan, data: st.DataObject) -> None:
    command, request = data.draw(st.sampled_from(list(commands(plan).values())))
    event(f"{command}: {asked(command, data.draw(structures(request, 2)))}")


#: What may be anything in a file that is whole.
NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1.0, 1e-320, 1e-30, 1e30, 1e300, 7]

READERS = ("loss", "plateau", "bounds", "summarise", "claims")


@st.composite
def edits(draw: st.DrawFn, variables: list[str]) -> Callable[[Parts], None]:
    """An edit of some numbers, of an attribute, or of what is said of a variable."""
    name = draw(st.sampled_from(variables))
    kind = draw(st.sampled_from(["numbers"] * 6 + ["attribute", "label", "drop", "size", "order"]))
    value, part = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from([(), (0,), (-1,), (..., 0), (..., -1)]))
    word = draw(st.sampled_from([*WORDS, 0, 1.5, [1, 2], np.arange(3)]))
    size = draw(st.sampled_from([0, 1, 2, 7, 10**6]))

    def edit(found: Parts) -> None:
        if kind == "numbers":
            array = found.arrays[name].copy()
            with np.errstate(all="ignore"):
                array[part] = (
                    np.asarray(value).astype(array.dtype) if np.isfinite(value) or array.dtype.kind == "f" else 0
                )
            found.arrays[name] = array
        elif kind == "order":
            found.arrays[name] = found.arrays[name][::-1].copy()
        elif kind == "attribute":
            key = sorted(found.attributes)[len(name) * size % len(found.attributes)]
            found.attributes[key] = (
                word if not isinstance(word, str) else word.encode("ascii", "replace").decode()[:1000]
            )
        elif kind == "label":
            found.labels[name]["units"] = "x" if isinstance(word, str) else word
        elif kind == "drop":
            del found.variables[name]
            found.arrays.pop(name)
        else:
            dimension = found.variables[name][0][0]
            found.dimensions[dimension] = max(1, size)
            for other, (dimensions, _) in found.variables.items():
                if dimension in dimensions:
                    found.arrays.pop(other, None)

    return edit


@contextlib.contextmanager
def changed(path: Path, edit: Callable[[Parts], None]) -> Iterator[None]:
    """A file with other content for a while."""
    good = path.read_bytes()
    try:
        change(path, edit)
        yield
    finally:
        path.write_bytes(good)


@trying(0.06)
@given(st.data())
def test_a_trajectory_of_other_content(plan: Plan, data: st.DataObject) -> None:
    run, name = data.draw(st.sampled_from(sorted(plan.runs))), data.draw(st.sampled_from(READERS))
    with changed(Path(f"results/trajectories/{run}.nc"), data.draw(edits(list(trajectories.VARIABLES)))):
        event(f"{name}: {asked(*commands(plan)[name])}")
        outcome("plan")
        outcome("explain", run)


@trying(0.04)
@given(st.data())
def test_an_allocation_of_other_content(plan: Plan, data: st.DataObject) -> None:
    [name] = plan.studies["tiny"].allocation_ids("holds")
    run = next(run for run, spec in plan.runs.items() if spec.allocation_spec.allocation_id == name)
    path = Path(f"results/allocations/{name}.nc")
    train = ["train", "--spec", plan.runs[run].canonical(), "--allocation", str(path), "--out", "out/run.nc"]
    with changed(path, data.draw(edits(list(allocations.VARIABLES)))):
        event(f"figure: {asked(*commands(plan)['holds'])}")
        event(f"train: {outcome(*train)}")
        outcome("explain", name)
