"""Verification: what is asked for, there, whole, current, and how far from a reference."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
from dag.small_results import byzcode, figure, inside, make, multiverse, scorecard

from byzcode import checklist, netcdf, seal
from byzcode.errors import UserError
from byzcode.studies.identity import stage_digest
from byzcode.studies.plan import load_plan_file
from byzcode.verify import Verification
from byzcode.verify.archived import FOLDER, MANIFEST
from byzcode.verify.reference import CHAOTIC, LITTLE, TABLES, compare
from byzcode.verify.report import folded, only_kept

CONFIG = "config/config.yaml"
RESULTS = Path("results")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small project with all its results."""
    root = tmp_path_factory.mktemp("verify") / "made"
    make(root)
    return root


@pytest.fixture
def project(made, tmp_path):
    """A copy of it, as the working directory; its plan."""
    shutil.copytree(made, tmp_path / "project")
    with inside(tmp_path / "project"):
        yield load_plan_file(CONFIG)


def verified(**options):
    return Verification.of(load_plan_file(CONFIG), RESULTS, **options)


def counts(kind):
    """Of a row of the table: asked for, present, whole, current, not asked for."""
    table = verified().tables()[0]
    columns = [list(column.cells) for column in table.columns]
    row = columns[0].index(kind)
    return [int(column[row]) for column in columns[1:6]]


def first(pattern):
    return sorted(RESULTS.glob(pattern))[0]


@pytest.mark.usefixtures("project")
def test_all_is_well():
    code, said = byzcode("verify")
    assert code == 0, said
    assert said.rstrip().endswith("results: all is well")
    assert "Note: results/reference: not compared: there is no reference\n" in said
    assert "not asked for: " not in said
    assert verified().faults() == []
    expected = {"allocations": 3, "trajectories": 3, "summaries": 2, "figures": 4, "claims": 2, "scorecard": 1}
    for kind, count in (expected | {"multiverse": 1}).items():
        assert counts(kind) == [count] * 4 + [0]
    assert counts("readings")[0] == len(list(RESULTS.glob("multiverse/readings/*.csv"))) > 2


@pytest.mark.usefixtures("project")
def test_all_that_the_commands_made_is_asked_for():
    asked = {path for item in verified().items for path in item.paths}
    assert asked == {path for path in RESULTS.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("project")
def test_without_a_multiverse_none_is_asked_for():
    shutil.rmtree(RESULTS / "multiverse")
    assert verified().faults() == []
    assert not any(one.item.kind in ("readings", "multiverse") for one in verified().found)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("pattern", "kind"), [("allocations/*.nc", "allocations"), ("trajectories/*.nc", "trajectories")]
)
def test_a_missing_file_is_a_fault(pattern, kind):
    path = first(pattern)
    path.unlink()
    assert verified().faults() == [f"{path}: missing"]
    total, present, whole, current, _ = counts(kind)
    assert present == whole == current == total - 1


@pytest.mark.usefixtures("project")
def test_a_table_of_another_kind_with_its_own_list_is_a_fault():
    """The claims of a study in the place of its summary: of the same name, and each as it was written."""
    for suffix in ("csv", "sha256"):
        shutil.copy(RESULTS / "claims" / f"lines.{suffix}", RESULTS / "summaries" / f"lines.{suffix}")
    assert verified().faults() == ["results/summaries/lines.sha256: lists what claims made; expected summarise"]
    assert counts("summaries") == [2, 2, 1, 1, 0]


@pytest.mark.usefixtures("project")
def test_a_missing_part_of_a_figure_is_a_fault():
    path = first("figures/*.svg")
    path.unlink()
    assert verified().faults() == [f"{path}: no such file"]
    assert counts("figures") == [4, 4, 3, 3, 0]


@pytest.mark.usefixtures("project")
def test_a_damaged_file_is_present_and_not_whole():
    path = first("trajectories/*.nc")
    path.write_bytes(path.read_bytes()[:-1])
    assert verified().faults() == [f"{path}: truncated, damaged or foreign: it does not end with its checksum"]
    assert counts("trajectories") == [3, 3, 2, 2, 0]


def own(faults):
    """Those of the file that was edited, not of what had been made of it."""
    return [line for line in faults if not line.endswith(": stale: made from other files than those here now")]


def edit(path, name, value):
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.setncattr(name, value)
    seal.seal(path)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("folder", "stage"), [("allocations", "allocate"), ("trajectories", "train")])
def test_a_file_of_other_code_is_stale(folder, stage):
    """A fault, unless it is allowed; then it is told."""
    path = first(f"{folder}/*.nc")
    edit(path, "engine_digest", "0123456789ab")
    line = f"{path}: stale: made by code 0123456789ab of {stage}; here it is {stage_digest(stage)}"
    assert own(verified().faults()) == [line]
    assert verified().faults(allow_stale=True) == []
    assert counts(folder) == [3, 3, 3, 2, 0]
    code, said = byzcode("verify")
    assert code == 1
    assert f"Fault: {line}" in said
    code, said = byzcode("verify", "--allow-stale")
    assert code == 0
    assert f"Note: {line}" in said


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("path", "old", "new", "kinds"),
    [
        ("config/studies/sweep.yaml", "The plateau.", "Another caption.", {"figures"}),
        ("config/studies/lines.yaml", "says: It is lower.", "says: It is below.", {"claims", "scorecard"}),
        ("config/readings/alternatives.yaml", "step_size: 0.2", "step_size: 0.3", {"readings", "multiverse"}),
    ],
)
def test_what_was_made_for_another_request_is_stale(path, old, new, kinds):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
    stale = [one for one in verified().found if one.state != "current"]
    assert {one.item.kind for one in stale} == kinds
    assert all("stale: made for another request" in line for one in stale for line in one.faults)
    assert verified().faults(allow_stale=True) == []


@pytest.mark.usefixtures("project")
def test_an_edited_study_asks_for_runs_that_are_not_there_and_for_some_no_more():
    path = Path("config/studies/sweep.yaml")
    path.write_text(path.read_text().replace("iterations: 5", "iterations: 6"))
    shutil.rmtree(RESULTS / "multiverse")
    faults = verified().faults()
    assert sum("trajectories" in line and line.endswith(": missing") for line in faults) == 2
    code, said = byzcode("verify")
    assert code == 1
    assert "results/summaries/sweep.sha256: stale: made for another request than the configuration's" in said


@pytest.mark.usefixtures("project")
def test_what_nobody_asks_for_is_told_and_no_fault():
    shutil.copy(first("trajectories/*.nc"), RESULTS / "trajectories" / "0123456789ab.nc")
    (RESULTS / "trajectories" / ".1.part.0123456789ab.nc").write_text("scratch")
    (RESULTS / "figures" / "mine.svg").write_text("")
    (RESULTS / "junk").mkdir()
    (RESULTS / "claims" / "sub").mkdir()
    (RESULTS / "summaries" / "broken.csv").symlink_to("nowhere")
    for name in ("logs", "archived", "reference", "quick"):
        (RESULTS / name).mkdir()
    (RESULTS / "archived").rmdir()
    (RESULTS / "reference").rmdir()
    assert verified().faults() == []
    assert counts("trajectories") == [3, 3, 3, 3, 1]
    assert counts("figures")[4] == 1
    code, said = byzcode("verify")
    assert code == 0
    assert "Note: results/trajectories: not asked for: 0123456789ab.nc\n" in said
    assert "Note: results/figures: not asked for: mine.svg\n" in said
    assert "Note: results: not asked for: junk/\n" in said
    assert "Note: results/claims: not asked for: sub/\n" in said
    assert "Note: results/summaries: not asked for: broken.csv\n" in said
    assert said.count("not asked for: ") == 5


@pytest.mark.usefixtures("project")
def test_other_versions_are_told_and_no_fault():
    for path in RESULTS.glob("trajectories/*.nc"):
        edit(path, "numpy_version", "1.0.0")
    code, said = byzcode("verify", "--allow-stale")
    assert code == 0
    assert "Note: 3 files were made with numpy 1.0.0; here it is " in said
    assert "numpy 1.0.0" in said.partition("Note")[0]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("value", [[1, 2], "\x1b[2J[/x]\x1b]0;title\x07", 7])
def test_versions_and_names_that_are_odd_are_told_in_plain_signs(value):
    edit(first("trajectories/*.nc"), "torch_version", value)
    (RESULTS / "figures" / "\x1b[31m.svg").write_text("")
    code, said = byzcode("verify", "--allow-stale")
    assert code == 0, said
    assert "Note: 1 files were made with torch " in said
    assert "\x1b" not in said
    assert "\x07" not in said


@pytest.mark.usefixtures("project")
def test_a_folder_elsewhere_is_verified():
    RESULTS.rename("elsewhere")
    assert byzcode("verify", "elsewhere")[0] == 0
    code, said = byzcode("verify")
    assert code == 1
    assert "byzcode: results: no such folder\n" in said


# Tables are those that were asked for, made of what is there.

NEED = ["--devices", "6", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "36", "--subsets", "12"]


@pytest.mark.parametrize(
    ("folder", "stage", "reader"),
    [
        ("summaries", "claims", lambda plan: ["recommend", *NEED]),
        ("summaries", "claims", lambda plan: figure(plan, "sweep-plateau")),
        ("claims", "summarise", scorecard),
        ("multiverse/readings", "claims", multiverse),
    ],
    ids=["recommend", "figure", "scorecard", "multiverse"],
)
def test_no_command_reads_what_another_stage_made(project, folder, stage, reader):
    path = sorted(RESULTS.glob(f"{folder}/*.csv"))[-1]
    checklist.write(checklist.beside(path), stage, {}, [path])
    code, said = byzcode(*reader(project))
    wanted = {"summaries": "summarise", "claims": "claims"}.get(folder, "reading")
    assert (code, said) == (1, f"byzcode: {path}: foreign: made by {stage}; expected {wanted}\n")


@pytest.mark.parametrize(
    ("folder", "stage", "reader"),
    [
        ("summaries", "summarise", lambda plan: figure(plan, "sweep-plateau")),
        ("claims", "claims", scorecard),
        ("multiverse/readings", "reading", multiverse),
    ],
    ids=["figure", "scorecard", "multiverse"],
)
def test_no_command_reads_what_was_made_for_another_request(project, folder, stage, reader):
    path = sorted(RESULTS.glob(f"{folder}/*.csv"))[-1]
    checklist.write(checklist.beside(path), stage, {"another": 1}, [path])
    code, said = byzcode(*reader(project))
    assert code == 1
    assert said.startswith(f"byzcode: {path}: made for another request, ")


@pytest.mark.usefixtures("project")
def test_tables_and_figures_of_other_trajectories_are_stale():
    """Whole, of the same runs, sealed: and other numbers than those of which the tables were made."""
    for path in RESULTS.glob("trajectories/*.nc"):
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.set_auto_mask(False)
            dataset["loss"][:] = dataset["loss"][:] + 1
            dataset["loss"].sha256 = netcdf.digest(dataset["loss"][:])
        seal.seal(path)
    stale = {one.item.path for one in verified().found if one.state != "current"}
    drawn = {RESULTS / "figures" / f"{name}.sha256" for name in load_plan_file(CONFIG).figures}
    direct = {*RESULTS.glob("summaries/*.sha256"), *RESULTS.glob("claims/*.sha256")}
    assert stale == direct | (drawn - {first("figures/holding*.sha256"), first("figures/sweep*.sha256")})
    assert {line.partition(": ")[2] for line in verified().faults()} == {
        "stale: made from other files than those here now"
    }
    assert verified().faults(allow_stale=True) == []


@pytest.mark.parametrize(("read", "out"), [("claims/lines", "scorecard"), ("summaries/sweep", "figures/sweep-plateau")])
@pytest.mark.usefixtures("project")
def test_what_was_made_of_another_table_is_stale(read, out):
    path = RESULTS / f"{read}.csv"
    path.write_text(path.read_text() + "\n")
    listed = checklist.Checklist.read(checklist.beside(path))
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    listed.path.write_text(seal.sealed(listed.path).decode().replace(listed.sums[path.name], now))
    seal.seal(listed.path)
    assert verified().faults() == [f"{RESULTS}/{out}.sha256: stale: made from other files than those here now"]


def test_trajectories_of_another_allocation_are_stale(project):
    run, spec = next(iter(project.runs.items()))
    path = RESULTS / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.set_auto_mask(False)
        dataset["subset"][0] = dataset["subset"][0][::-1]
        dataset["subset"].sha256 = netcdf.digest(dataset["subset"][:])
    seal.seal(path)
    lines = [line for line in verified().faults() if "trajectories" in line]
    assert f"{RESULTS}/trajectories/{run}.nc: stale: trained with other lists than those in {path}" in lines


# The archive.


@pytest.mark.usefixtures("project")
def test_what_was_unpacked_is_compared_with_its_manifest():
    assert byzcode("archive", "--out", "all.tar.gz")[0] == 0
    shutil.rmtree(RESULTS)
    shutil.unpack_archive("all.tar.gz", ".", filter="data")
    assert byzcode("verify")[0] == 0
    manifest = RESULTS / FOLDER / MANIFEST
    listed = json.loads(manifest.read_text())["files"]
    assert {RESULTS / name for name in listed} == {path for item in verified().items for path in item.paths}

    path = first("trajectories/*.nc")
    edit(path, "title", "Another")  # whole, and yet not what was archived
    done = verified()
    assert own(done.faults()) == []
    assert f"Note: {path}: not as it was archived, by {manifest}" in done.lines()
    content = path.read_bytes()
    path.write_bytes(content[:-1])  # what is damaged does not vouch for itself
    assert f"{path}: not as it was archived, by {manifest}" in verified().faults()
    path.write_bytes(content)
    for text in ("{", "[" * 100_000):
        manifest.write_text(text)
        assert own(verified().faults())[0].startswith(f"{manifest}: damaged, or no manifest: ")
    manifest.unlink()
    assert own(verified().faults()) == [f"{manifest}: no such file"]


@pytest.mark.usefixtures("project")
def test_the_same_results_are_the_same_archive():
    for name in ("one", "two"):
        assert byzcode("archive", "--out", f"{name}.tar.gz")[0] == 0
    assert Path("one.tar.gz").read_bytes() == Path("two.tar.gz").read_bytes()
    assert Path("one.tar.gz").read_bytes()[4:8] == bytes(4)  # where gzip keeps the time


@pytest.mark.usefixtures("project")
def test_results_with_a_fault_are_not_archived():
    path = first("summaries/*.csv")
    path.write_text("a,b\n1,2\n")
    code, said = byzcode("archive", "--out", "all.tar.gz")
    assert code == 1
    fault = f"{path}: damaged: its checksum is not the one in {path.stem}.sha256"
    assert f"byzcode: results cannot be archived: 1 fault, the first: {fault}; see byzcode verify\n" in said
    assert not Path("all.tar.gz").exists()


# The reference.


def frame(**changes):
    """Two rows of a summary, the second of a chaotic run."""
    row = {"run_id": "a", "aggregation": CHAOTIC[0], "redundancy": LITTLE + 1, "seeds": 20, "at_plateau": 20}
    row |= {"loss_median": 2.0, "excess_loss_median": 1.0, "bits_sent_per_iteration": 3200.0}
    chaotic = row | {"run_id": "b", "redundancy": LITTLE}
    return pd.DataFrame([row | changes, chaotic | {name: value for name, value in changes.items() if name != "run_id"}])


def compared(tmp_path, ours, theirs, name="summaries/one.csv"):
    for folder, table in (("ours", ours), ("theirs", theirs)):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)
    return compare(tmp_path / "ours", tmp_path / "theirs")[0]


def faults(tmp_path, ours, theirs, **options):
    return [line for one in compared(tmp_path, ours, theirs, **options) for line in one.faults]


def test_the_same_tables_do_not_deviate(tmp_path):
    assert faults(tmp_path, frame(), frame()) == []
    assert all(one.largest == 0 for one in compared(tmp_path, frame(), frame()))


@pytest.mark.parametrize(
    ("column", "value", "of_calm", "of_chaotic"),
    [
        ("loss_median", 2.0 * (1 + 1e-9), False, False),
        ("loss_median", 2.1, True, False),
        ("loss_median", 9.0, True, True),
        ("loss_median", np.inf, True, True),
        ("loss_median", np.nan, True, True),
        ("excess_loss_median", 1.1, True, False),
        ("bits_sent_per_iteration", 3201.0, True, False),
        ("at_plateau", 19, True, False),
        ("at_plateau", 17, True, True),
        ("seeds", 19, True, True),
        ("aggregation", "mean", True, True),
    ],
)
def test_what_a_quantity_may_differ_by(column, value, of_calm, of_chaotic, tmp_path):
    """Of a calm run and of a chaotic one."""
    path = tmp_path / "ours" / "summaries" / "one.csv"
    for row, expected in ((0, of_calm), (1, of_chaotic)):
        ours = frame().astype({column: object})
        ours.loc[row, column] = value
        found = faults(tmp_path, ours, frame())
        assert bool(found) == expected
        if expected and column != "aggregation":
            assert found[0].startswith(f"{path}: {column} of {'ab'[row]} is ")


@pytest.mark.parametrize(
    ("values", "within"), [((1e-25, 3e-25), True), ((1e-25, 3e-19), False), ((0.0, 1e-21), True), ((1e-9, 2e-9), False)]
)
def test_squares_at_rounding_level_may_be_anything(values, within, tmp_path):
    ours, theirs = (frame().assign(excess_loss_median=[value, 1.0]) for value in values)
    assert (faults(tmp_path, ours, theirs) == []) == within


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[:1],
        lambda table: table.drop(columns="seeds"),
        lambda table: table.assign(more=1),
        lambda table: pd.concat([table, table.iloc[:1].assign(run_id="c")]),
    ],
    ids=["a row less", "a column less", "a column more", "a row more"],
)
def test_other_rows_or_columns_are_a_fault(change, tmp_path):
    found = faults(tmp_path, change(frame()), frame())
    assert len(found) >= 1
    assert "in one of it and" in found[0] or "only" in found[0]


def test_a_table_that_only_the_reference_has_is_told(tmp_path):
    """Whether it should be there is a matter of the configuration."""
    compared(tmp_path, frame(), frame())
    (tmp_path / "ours" / "summaries" / "one.csv").unlink()

    found, alone = compare(tmp_path / "ours", tmp_path / "theirs")

    assert found == []
    assert alone == [tmp_path / "theirs" / "summaries" / "one.csv"]
    assert only_kept(alone) == [f"{tmp_path}/theirs/summaries: not compared: 1 of its tables not made here"]


@pytest.mark.parametrize(("value", "fault"), [("refuted", True), ("supported", False)])
def test_verdicts_are_compared_as_words_and_wording_is_not(value, fault, tmp_path):
    theirs = pd.DataFrame(
        [{"study": "s", "claim": "c", "cell": "s/c", "effect": 0.5, "verdict": "supported", "says": "Lower."}]
    )
    ours = theirs.assign(verdict=value, says="It is lower.", effect=0.501)
    assert bool(faults(tmp_path, ours, theirs, name="scorecard.csv")) == fault


def test_a_reference_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="no reference: expected"):
        compare(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (frame(run_id="b"), frame(), "run_id = 'b' stands twice"),
        (frame(), pd.DataFrame({"a": [1]}), "not a table by run_id: "),
        (pd.DataFrame({"a": [1]}), frame(), "not a table by run_id: "),
    ],
)
def test_a_table_that_cannot_be_read_is_a_fault_and_the_others_are_compared(ours, theirs, said, tmp_path):
    compared(tmp_path, frame(loss_median=3.0), frame(), name="summaries/another.csv")
    found = faults(tmp_path, ours, theirs)
    assert any(f"/one.csv: {said}" in line for line in found)
    assert any("/another.csv: loss_median of a is 3.0" in line for line in found)


def test_a_folder_in_place_of_a_table_is_a_fault(tmp_path):
    compared(tmp_path, frame(), frame())
    path = tmp_path / "ours" / "summaries" / "one.csv"
    path.unlink()
    path.mkdir()
    lines = {line for one in compare(tmp_path / "ours", tmp_path / "theirs")[0] for line in one.faults}
    assert lines == {f"{path}: a folder, where a file is expected"}


def test_an_unreadable_table_does_not_end_verify(project):
    kept = RESULTS / "reference" / "summaries" / "lines.csv"
    kept.parent.mkdir(parents=True)
    shutil.copy(RESULTS / "summaries" / "lines.csv", kept)
    path = RESULTS / "summaries" / "lines.csv"
    path.write_text("a,b\n1,2\n")
    missing = first("figures/*.svg")
    missing.unlink()
    code, said = byzcode("verify")
    assert code == 1
    assert "trajectories" in said.partition("Fault")[0]
    assert f"Fault: {path}: not a table by run_id" in said
    assert said.count(f"{path}: not a table") == 1
    assert f"Fault: {missing}: no such file" in said


#: By table and column: a value of the reference, one that is just allowed, and one that is not.
LIMITS = [
    ("summaries/one.csv", "loss_median", 2.0, 2.0 * (1 + 0.9e-6), 2.0 * (1 + 1.1e-6)),
    ("summaries/one.csv", "loss_median", 1e-13, 1.09e-12, 1.2e-12),
    ("summaries/one.csv", "excess_loss_median", 2.0, 2.0 * (1 - 0.9e-6), 2.0 * (1 - 1.1e-6)),
    ("chaotic", "loss_median", 2.0, 3.19, 3.21),
    ("chaotic", "loss_median", 2.0, 0.81, 0.79),
    ("chaotic", "bits_sent_per_iteration", 100.0, 129.0, 131.0),
    ("chaotic", "at_plateau", 20, 18, 17),
    ("scorecard.csv", "effect", 2.0, 2.019, 2.021),
    ("scorecard.csv", "low", 2.0, 2.09, 2.11),
    ("scorecard.csv", "high", 2.0, 1.91, 1.89),
    ("scorecard.csv", "p_support", 0.01, 0.0109, 0.0111),
    ("scorecard.csv", "p_refute", 0.9, 0.8991, 0.8989),
    ("scorecard.csv", "pairs", 20, 20, 19),
    ("multiverse/claims.csv", "supported", 0.5, 0.519, 0.521),
    ("multiverse/choices.csv", "q", 0.5, 0.481, 0.479),
    ("multiverse/tree.csv", "mean_v", 0.5, 0.519, 0.521),
    ("multiverse/sizes.csv", "same", 30, 28, 27),
    ("multiverse/stated.csv", "supported", 30, 32, 33),
]


@pytest.mark.parametrize(("name", "column", "kept", "inside", "outside"), LIMITS)
def test_each_limit_is_where_it_is(name, column, kept, inside, outside, tmp_path):
    chaotic = name == "chaotic"
    path = "summaries/one.csv" if chaotic else name
    keys = {key: "x" for table in TABLES if Path(path).match(table.pattern) for key in table.keys}
    about = {"aggregation": CHAOTIC[0], "redundancy": LITTLE if chaotic else LITTLE + 1}
    row = keys | (about if path.startswith("summaries") else {})
    ours, just, theirs = (pd.DataFrame([row | {column: value}]) for value in (outside, inside, kept))
    assert faults(tmp_path, just, theirs, name=path) == []
    assert len(faults(tmp_path, ours, theirs, name=path)) == 1


@pytest.mark.parametrize(
    ("factors", "within"),
    [
        ([1.09] * 8, True),
        ([1.12] * 8, False),
        ([0.89] * 8, False),
        ([1.5] * 3 + [1.0] * 5, True),
        ([1.5] * 5 + [1.0] * 3, False),
        ([1.5] * 4, True),
    ],
    ids=["all a little", "all more", "all less", "some", "most", "too few to say"],
)
def test_chaotic_rows_do_not_move_all_together(factors, within, tmp_path):
    """Half of the rows in one table, half in another."""
    half = len(factors) // 2
    found = []
    for name, some in (("one", factors[:half]), ("two", factors[half:])):
        rows = [frame().iloc[1:].assign(run_id=f"{name}{number}") for number in range(len(some))]
        theirs = pd.concat(rows)
        ours = theirs.assign(loss_median=theirs["loss_median"] * some, excess_loss_median=some)
        found = faults(tmp_path, ours, theirs, name=f"summaries/{name}.csv")
    assert (found == []) == within
    assert within or "in the median row; allowed: 0.1" in found[0]


@pytest.mark.usefixtures("project")
def test_what_is_drawn_anew_out_of_an_archive_is_no_fault():
    """A colour is another: the figures are whole, current, and no longer those of the archive."""
    assert byzcode("archive", "--out", "all.tar.gz")[0] == 0
    shutil.rmtree(RESULTS)
    shutil.unpack_archive("all.tar.gz", ".", filter="data")
    style = Path("config/style.yaml")
    text = style.read_text()
    style.write_text(re.sub("#[0-9a-fA-F]{6}", "#123456", text))
    assert style.read_text() != text
    plan = load_plan_file(CONFIG)
    for name in plan.figures:
        assert byzcode(*figure(plan, name))[0] == 0
    done = verified()
    assert done.faults() == []
    assert any("not as it was archived" in line for line in done.lines())


@pytest.mark.usefixtures("project")
def test_the_reference_beside_the_results_is_compared_with(tmp_path):
    for path in (*RESULTS.glob("summaries/*.csv"), RESULTS / "scorecard.csv", *RESULTS.glob("multiverse/*.csv")):
        kept = RESULTS / "reference" / path.relative_to(RESULTS)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)
    code, said = byzcode("verify")
    assert code == 0, said
    assert "Beside results/reference" in said
    kept = RESULTS / "reference" / "scorecard.csv"
    text = kept.read_text()
    kept.write_text(text.replace("undecided", "refuted"))
    assert kept.read_text() != text
    code, said = byzcode("verify")
    assert code == 1
    assert "Fault: results/scorecard.csv: verdict of lines " in said
    assert byzcode("verify", "--reference", "nowhere")[0] == 1
    shutil.rmtree(RESULTS / "reference")
    assert len(verified().tables()) == 1


def test_the_repositorys_reference_has_every_table():
    """Its rows are named by the columns that this says, and a table beside itself does not deviate."""
    kept = Path(__file__).parents[2] / "results" / "reference"
    found, alone = compare(kept, kept)
    assert alone == []
    assert {one.kind for one in found} == {table.kind for table in TABLES}
    assert not [line for one in found for line in one.faults]


def test_many_files_of_one_reason_are_one_line():
    few, many = [f"{name}: damaged: so" for name in "ab"], [f"{place}: stale: so" for place in range(11)]

    assert folded([*many, *few]) == ["0, 1, 2 and 8 more: stale: so", *few]
    assert folded(many[1:]) == many[1:]
