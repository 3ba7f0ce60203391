"""Verification: which results are expected, present, intact, current, and how far from a reference."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import netCDF4
import pytest
from dag.small_results import byzcode, figure, gallery, inside, make, multiverse, scorecard
from unpacking import unpack

from byzcode.storage import allocations, checksums, netcdf, seal, trajectories
from byzcode.studies.plan import load_plan_file
from byzcode.verify.archived import FOLDER, MANIFEST
from byzcode.verify.report import folded
from byzcode.verify.verification import Verification

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
    """A row of the table: expected, present, intact, current, unexpected."""
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
    assert "unexpected: " not in said
    assert verified().faults() == []
    expected = {
        "allocations": 3,
        "trajectories": 3,
        "summaries": 2,
        "figures": 4,
        "claims": 2,
        "scorecard": 1,
        "gallery": 1,
    }
    for kind, count in (expected | {"multiverse": 1}).items():
        assert counts(kind) == [count] * 4 + [0]
    assert counts("readings")[0] == len(list(RESULTS.glob("multiverse/readings/*.csv"))) > 2


@pytest.mark.usefixtures("project")
def test_all_files_of_the_commands_are_expected():
    expected = {path for item in verified().items for path in item.paths}
    assert expected == {path for path in RESULTS.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("project")
def test_without_a_multiverse_none_is_expected():
    shutil.rmtree(RESULTS / "multiverse")
    assert verified().faults() == []
    assert not any(one.item.kind in ("readings", "multiverse") for one in verified().findings)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("pattern", "kind"), [("allocations/*.nc", "allocations"), ("trajectories/*.nc", "trajectories")]
)
def test_a_missing_file_is_a_fault(pattern, kind):
    path = first(pattern)
    path.unlink()
    assert verified().faults() == [f"{path}: missing"]
    total, present, intact, current, _ = counts(kind)
    assert present == intact == current == total - 1


@pytest.mark.usefixtures("project")
def test_a_table_of_another_kind_with_its_own_list_is_a_fault():
    """The claims of a study in the place of its summary: of the same name, and each as it was written."""
    for suffix in ("csv", "sha256"):
        shutil.copy(RESULTS / "claims" / f"lines.{suffix}", RESULTS / "summaries" / f"lines.{suffix}")
    assert verified().faults() == ["results/summaries/lines.sha256: lists files made by claims; expected summarise"]
    assert counts("summaries") == [2, 2, 1, 1, 0]


@pytest.mark.usefixtures("project")
def test_a_missing_part_of_a_figure_is_a_fault():
    path = first("figures/*.svg")
    path.unlink()
    assert verified().faults() == [f"{path}: no such file"]
    assert counts("figures") == [4, 4, 3, 3, 0]


@pytest.mark.usefixtures("project")
def test_a_damaged_file_is_present_and_not_intact():
    path = first("trajectories/*.nc")
    path.write_bytes(path.read_bytes()[:-1])
    assert verified().faults() == [f"{path}: truncated, damaged or foreign: it does not end with its checksum"]
    assert counts("trajectories") == [3, 3, 2, 2, 0]


def own(faults):
    """Those of the file that was edited, not of what had been made of it."""
    return [line for line in faults if not line.endswith(": stale: its inputs have changed since")]


def edit(path, name, value):
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.setncattr(name, value)
    seal.seal(path)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("folder", "stage"), [("allocations", "allocate"), ("trajectories", "train")])
def test_a_file_of_other_code_is_stale(folder, stage):
    """A fault, unless it is allowed; then it is told."""
    path = first(f"{folder}/*.nc")
    load = {"allocate": allocations.load, "train": trajectories.load}[stage]
    attributes = load(path).attributes
    edit(path, "engine_digest", "0123456789ab")
    edit(path, "engine_parts", attributes["engine_parts"].replace('"randomness.py":"', '"randomness.py":"_'))
    line = (
        f"{path}: stale: made by code 0123456789ab of {stage}; the present code is {attributes['engine_digest']}: "
        "randomness.py changed"
    )
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
        ("config/studies/sweep.yaml", "The plateau.", "Another caption.", {"figures", "gallery"}),
        ("config/studies/lines.yaml", "says: It is lower.", "says: It is below.", {"claims", "scorecard", "gallery"}),
        ("config/readings/alternatives.yaml", "step_size: 0.2", "step_size: 0.3", {"readings", "multiverse"}),
    ],
)
def test_what_was_made_for_another_request_is_stale(path, old, new, kinds):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
    stale = [one for one in verified().findings if one.state != "current"]
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
    (RESULTS / "ro-crate-metadata.json").touch()
    (RESULTS / "archived").rmdir()
    (RESULTS / "reference").rmdir()
    assert verified().faults() == []
    assert counts("trajectories") == [3, 3, 3, 3, 1]
    assert counts("figures")[4] == 1
    code, said = byzcode("verify")
    assert code == 0
    assert "Note: results/trajectories: unexpected: 0123456789ab.nc\n" in said
    assert "Note: results/figures: unexpected: mine.svg\n" in said
    assert "Note: results: unexpected: junk/\n" in said
    assert "Note: results/claims: unexpected: sub/\n" in said
    assert "Note: results/summaries: unexpected: broken.csv\n" in said
    assert said.count("unexpected: ") == 5


@pytest.mark.usefixtures("project")
def test_other_versions_are_told_and_no_fault():
    for path in RESULTS.glob("trajectories/*.nc"):
        edit(path, "numpy_version", "1.0.0")
    code, said = byzcode("verify", "--allow-stale")
    assert code == 0
    assert "Note: 3 files were made with numpy 1.0.0; installed: " in said
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


# Tables are those requested, made of the present files.

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
    checksums.write(checksums.beside(path), stage, {}, [path])
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
    checksums.write(checksums.beside(path), stage, {"another": 1}, [path])
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
    stale = {one.item.path for one in verified().findings if one.state != "current"}
    drawn = {RESULTS / "figures" / f"{name}.sha256" for name in load_plan_file(CONFIG).figures}
    direct = {*RESULTS.glob("summaries/*.sha256"), *RESULTS.glob("claims/*.sha256")}
    assert stale == direct | (drawn - {first("figures/holding*.sha256"), first("figures/sweep*.sha256")})
    assert {line.partition(": ")[2] for line in verified().faults()} == {"stale: its inputs have changed since"}
    assert verified().faults(allow_stale=True) == []


@pytest.mark.parametrize(("read", "out"), [("claims/lines", "scorecard"), ("summaries/sweep", "figures/sweep-plateau")])
@pytest.mark.usefixtures("project")
def test_what_was_made_of_another_table_is_stale(read, out):
    path = RESULTS / f"{read}.csv"
    path.write_text(path.read_text() + "\n")
    listed = checksums.Checklist.read(checksums.beside(path))
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    listed.path.write_text(seal.sealed(listed.path).decode().replace(listed.sums[path.name], now))
    seal.seal(listed.path)
    assert verified().faults() == [f"{RESULTS}/{out}.sha256: stale: its inputs have changed since"]


def test_trajectories_of_another_allocation_are_stale(project):
    run, spec = next(iter(project.runs.items()))
    path = RESULTS / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.set_auto_mask(False)
        dataset["subset"][0] = dataset["subset"][0][::-1]
        dataset["subset"].sha256 = netcdf.digest(dataset["subset"][:])
    seal.seal(path)
    lines = [line for line in verified().faults() if "trajectories" in line]
    assert f"{RESULTS}/trajectories/{run}.nc: stale: trained with another allocation than that in {path}" in lines


# The archive.


@pytest.mark.usefixtures("project")
def test_what_was_unpacked_is_compared_with_its_manifest():
    assert byzcode("archive", "--out", "all.tar.gz")[0] == 0
    shutil.rmtree(RESULTS)
    unpack("all.tar.gz", ".")
    assert byzcode("verify")[0] == 0
    manifest = RESULTS / FOLDER / MANIFEST
    listed = json.loads(manifest.read_text())["files"]
    assert {RESULTS / name for name in listed} == {path for item in verified().items for path in item.paths}

    path = first("trajectories/*.nc")
    edit(path, "title", "Another")  # intact, but different from the archive
    done = verified()
    assert own(done.faults()) == []
    assert f"Note: {path}: differs from the archive, by {manifest}" in done.lines()
    content = path.read_bytes()
    path.write_bytes(content[:-1])  # what is damaged does not vouch for itself
    assert f"{path}: differs from the archive, by {manifest}" in verified().faults()
    path.write_bytes(content)
    for text in ("{", "[" * 100_000):
        manifest.write_text(text)
        assert own(verified().faults())[0].startswith(f"{manifest}: damaged or not a manifest: ")
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


@pytest.mark.usefixtures("project")
def test_what_is_drawn_anew_out_of_an_archive_is_no_fault():
    """A colour is another: the figures are intact, current, and no longer those of the archive."""
    assert byzcode("archive", "--out", "all.tar.gz")[0] == 0
    shutil.rmtree(RESULTS)
    unpack("all.tar.gz", ".")
    style = Path("config/style.yaml")
    text = style.read_text()
    style.write_text(re.sub("#[0-9a-fA-F]{6}", "#123456", text))
    assert style.read_text() != text
    plan = load_plan_file(CONFIG)
    for name in plan.figures:
        assert byzcode(*figure(plan, name))[0] == 0
    for command in (scorecard(plan), gallery(plan)):
        assert byzcode(*command)[0] == 0
    done = verified()
    assert done.faults() == []
    assert any("differs from the archive" in line for line in done.lines())


@pytest.mark.usefixtures("project")
def test_the_reference_beside_the_results_is_compared_with(tmp_path):
    for path in (*RESULTS.glob("summaries/*.csv"), RESULTS / "scorecard.csv", *RESULTS.glob("multiverse/*.csv")):
        kept = RESULTS / "reference" / path.relative_to(RESULTS)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)
    code, said = byzcode("verify")
    assert code == 0, said
    assert "Compared with results/reference" in said
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


def test_many_files_of_one_reason_are_one_line():
    few, many = [f"{name}: damaged: so" for name in "ab"], [f"{place}: stale: so" for place in range(11)]

    assert folded([*many, *few]) == ["0, 1, 2 and 8 more: stale: so", *few]
    assert folded(many[1:]) == many[1:]
