"""The pages of the documentation: they build, their links lead somewhere, they load nothing from a network.

Each block of code of README.md, CONTRIBUTING.md and the pages is in :data:`BLOCKS`: the test that runs it, or why none
does.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from unit.claim_runs import ROOT

from byzcode.specs.fields import COMPONENTS
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories
from byzcode.studies.expand import expand
from byzcode.studies.plan import load
from byzcode.studies.study import Reading, Study

PAGES = ("README.md", "CONTRIBUTING.md", "config/README.md", "results/README.md")
#: Where `make docs` installs what builds the pages.
LIBRARIES = ROOT / ".venv" / "docs"

# --- the blocks of code -----------------------------------------------------------------------------------------------

#: Said of blocks that no test runs.
SHOWS = "not run: it shows what a command prints"
CLONES = "not run: it clones a repository that has no public address yet"
HOURS = "not run as it stands: hours, or an environment of its own; the targets run small in "

#: What runs a block, by the file and the beginning of the block: a test here, or a file of tests; or why nothing does.
BLOCKS: dict[tuple[str, str], str] = {
    ("README.md", "make reproduce"): HOURS + "tests/end_to_end/test_workflow.py and tests/faults/test_rounds.py",
    ("README.md", "pip install -e"): "not run: it changes the environment; .ci/run installs from the lock",
    ("README.md", ". .venv/bin/activate"): HOURS + "tests/end_to_end/test_workflow.py and tests/unit/test_recommend.py",
    ("README.md", "study: my-question"): "test_a_printed_study_loads",
    ("README.md", "byzcode train --spec"): "test_the_printed_spec_is_one",
    ("README.md", "pip install 'byzcode-"): "tests/end_to_end/test_installing.py",
    ("README.md", "import numpy as np\nimport byzcode"): "tests/unit/test_front.py",
    ("README.md", 'configfile: "config/config.yaml"'): "tests/dag/test_module.py",
    ("README.md", "git clone <this repository>"): CLONES,
    ("CONTRIBUTING.md", '"""The honest mean, shifted'): "tests/end_to_end/test_contributing.py",
    ("CONTRIBUTING.md", "study: shifted-mean"): "tests/end_to_end/test_contributing.py",
    ("CONTRIBUTING.md", '"""The mid-point of the central'): "tests/end_to_end/test_contributing.py",
    ("CONTRIBUTING.md", '"""Phase retrieval'): "tests/end_to_end/test_contributing.py",
    ("CONTRIBUTING.md", "study: phases"): "tests/end_to_end/test_contributing.py",
    ("config/README.md", "study: own-module"): "tests/dag/test_modules_of_users.py",
    ("config/README.md", "plots:\n  worst:"): "test_the_printed_plots_load",
    ("results/README.md", "byzcode verify"): "tests/end_to_end/test_archive.py",
    ("results/README.md", "tar xzf byzcode-results.tar.gz"): "tests/end_to_end/test_archive.py",
    ("results/README.md", "from byzcode.storage import"): "test_the_printed_calls_work",
    ("docs/architecture.md", "config/studies/*.yaml"): "not run: a picture of the workflow",
    ("docs/architecture.md", "devices   theta"): "not run: a picture of the loop",
    ("docs/artifact.md", "make quick"): HOURS + "tests/end_to_end/test_workflow.py and tests/unit/test_report.py",
    ("docs/cluster.md", "git clone <this repository>"): CLONES,
    ("docs/cluster.md", "  runs per job   jobs"): SHOWS,
    ("docs/cluster.md", "sbatch --cpus-per-task 32"): "not run: it needs a cluster; tests/slurm has one of its own",
    ("docs/cluster.md", "  runs per job    jobs"): SHOWS,
    ("docs/first-figure.md", "git clone <this repository>"): CLONES,
    ("docs/first-figure.md", ". .venv/bin/activate"): "test_the_printed_figures_are_those_of_the_plan",
    ("docs/first-figure.md", "byzcode plan cra-b"): "test_the_printed_runs_are_those_of_the_plan",
    ("docs/first-figure.md", "cra-b: Training under"): "test_the_printed_runs_are_those_of_the_plan",
    ("docs/first-figure.md", "study: my-question"): "test_a_printed_study_loads",
    ("docs/first-figure.md", "snakemake --cores 2 results/figures/my-question"): "test_a_printed_study_loads",
    ("docs/other-libraries.md", "python examples/distributed.py"): "tests/unit/test_distributed.py",
    ("docs/other-libraries.md", "import numpy as np\n\nfrom byzcode.adapters"): "tests/unit/test_adapters.py",
    ("docs/other-libraries.md", "from byzcode.adapters.flower"): "tests/differential/test_adapters.py",
    ("docs/reproduce.md", "make reproduce"): HOURS + "tests/end_to_end/test_workflow.py",
}
#: Pages whose blocks have tests of their own.
ELSEWHERE = {"docs/python.md"}

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    return [*PAGES, *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        (language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE))
        for indent, language, code in _FENCE.findall(text)
    ]


def block(page: str, beginning: str) -> str:
    """The one block of a page that begins so."""
    (found,) = [code for _, code in blocks(page) if code.startswith(beginning)]
    return found


def test_every_block_of_code_is_run_or_says_why_not() -> None:
    printed = [(page, code) for page in pages() if page not in ELSEWHERE for _, code in blocks(page)]
    unsaid = [
        f"{page}: {code[:60]!r}"
        for page, code in printed
        if not any(page == where and code.startswith(beginning) for where, beginning in BLOCKS)
    ]
    assert not unsaid, "say in BLOCKS how these are tested, or why not"
    gone = [key for key in BLOCKS if not any(page == key[0] and code.startswith(key[1]) for page, code in printed)]
    assert not gone


def test_times_for_committees_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    times = dict(re.findall(r"^(make [\w-]+) +#.*?  +((?:about )?[\w ]+)$", readme, re.MULTILINE))
    rows = re.findall(
        r"^\| [^|]+\| `(make [\w-]+)` \| ([^|]+) \|", (ROOT / "docs/artifact.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 9
    assert [time for command, time in rows if time != times.get(command, "105 seconds")] == []


@pytest.mark.parametrize("page", pages())
def test_a_link_leads_to_a_file_of_the_repository(page: str) -> None:
    """Also where the pages are read as they are, without being built."""
    linked = re.findall(r"\]\((?!\w+:)([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in linked if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_what_is_said_to_run_a_block_exists() -> None:
    for said in BLOCKS.values():
        for path in re.findall(r"tests/\w+(?:/\w+\.py)?", said):
            assert (ROOT / path).exists(), path
        if said.startswith("test_"):
            assert said in globals()
        else:
            assert said.startswith(("not run", "tests/"))


PRINTED_STUDIES = [("README.md", "study: my-question"), ("docs/first-figure.md", "study: my-question")]


@pytest.mark.parametrize("key", PRINTED_STUDIES, ids=lambda key: key[0])
def test_a_printed_study_loads(key: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(block(*key), encoding="utf-8")
    study = load(Study, str(path))
    reading = load(Reading, str(ROOT / "config/readings/primary.yaml"))
    assert len({member.spec.run_id for member in expand(study, reading, str(path))}) == 4
    for figure in re.findall(r"results/figures/my-question-(\w+)\.png", (ROOT / key[0]).read_text(encoding="utf-8")):
        assert figure in study.plots


def test_the_printed_plots_load() -> None:
    plots = yaml.safe_load(block("config/README.md", "plots:\n  worst:"))
    given = {"study": "s", "title": "t", "curves": [{"label": "A", "method": "rba_dl"}], **plots}
    assert Study.model_validate(given).plots["worst"].kind == "heatmap"


def printed_spec() -> str:
    (json,) = re.findall(r"--spec '(.*?)'", block("README.md", "byzcode train --spec"))
    return json


def test_the_printed_spec_is_one() -> None:
    assert RunSpec.from_json(printed_spec(), "README.md").redundancy == 40


def test_the_printed_calls_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a training of the printed spec, shortened."""
    monkeypatch.chdir(tmp_path)
    small = printed_spec().removesuffix("}") + ', "iterations": 3, "seeds": 2}'
    command = ["from byzcode.cli import main; main()", "train", "--spec", small, "--out", "run.nc"]
    subprocess.run([sys.executable, "-c", *command], check=True, capture_output=True)
    code = block("results/README.md", "from byzcode.storage import")
    exec(code.replace("results/trajectories/<run id>.nc", "run.nc"), {})
    with trajectories.open("run.nc") as run:
        attributes = {name for name in run.attrs if name != "data_sets"}
    page = (ROOT / "docs/netcdf.md").read_text(encoding="utf-8").partition("| attribute |")[2].partition("\n\n")[0]
    said = {name for line in page.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert said == attributes


@pytest.fixture
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("_in_the_project")
def test_the_printed_figures_are_those_of_the_plan() -> None:
    from byzcode.studies.plan import load_plan_file

    figures = load_plan_file().figures
    for page in ("docs/first-figure.md", "README.md"):
        for name in re.findall(r"results/figures/([a-z][\w-]+)\.png", (ROOT / page).read_text(encoding="utf-8")):
            assert name in figures or name.startswith("my-question")


@pytest.mark.usefixtures("_in_the_project")
def test_the_printed_runs_are_those_of_the_plan() -> None:
    from byzcode.studies.plan import load_plan_file

    planned = load_plan_file().studies["cra-b"]
    labels = {member.spec.run_id: member.curve.label for member in planned.members}
    head, *lines = block("docs/first-figure.md", "cra-b: Training under").splitlines()
    assert head == f"cra-b: {planned.study.title} ({planned.path})"
    for line in lines:
        run, _, label = line.split(maxsplit=2)
        assert label.startswith(labels[run])
    (explained,) = re.findall(r"byzcode explain (\w+)", block("docs/first-figure.md", "byzcode plan cra-b"))
    assert explained in labels


# --- the built pages --------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The addresses on a page: those that it loads, and those that it links to; and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.linked: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        addresses = {given[name] for name in ("src", "href", "srcset", "data", "poster") if name in given}
        (self.linked if tag == "a" else self.loaded).update(addresses)


def outside(address: str) -> bool:
    return re.match(r"(?:\w+:)?//", address) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make docs` builds them."""
    if importlib.util.find_spec("mkdocs") is None and not (LIBRARIES / "mkdocs").is_dir():
        pytest.skip("mkdocs is not installed: make .venv/docs")
    folder = tmp_path_factory.mktemp("docs") / "site"
    searched = os.pathsep.join([str(LIBRARIES), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": searched}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, Tags]:
    return {path: Tags(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_every_page_is_there(site: Path) -> None:
    named = re.findall(r"^ +- (?:\w+: )?([\w-]+)\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) > 15
    for page in set(named) - {"python"}:
        assert (site / f"{page}.html").is_file(), page


@pytest.mark.slow
def test_no_page_loads_anything_from_a_network(site: Path, built: dict[Path, Tags]) -> None:
    found = {address for tags in built.values() for address in tags.loaded if outside(address)}
    styles = "\n".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    found |= {address for address in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", styles) if outside(address)}
    assert not found


@pytest.mark.slow
def test_every_link_between_pages_leads_somewhere(built: dict[Path, Tags]) -> None:
    broken = []
    for path, tags in built.items():
        for address in tags.linked | tags.loaded:
            if re.match(r"\w+:", address) or outside(address) or path.name == "404.html":
                continue
            target, _, anchor = unquote(address).partition("#")
            file = (path.parent / target.partition("?")[0]).resolve() if target else path
            if not file.exists() or (anchor and file in built and anchor not in built[file].anchors):
                broken.append(f"{path.name}: {address}")
    assert not broken


@pytest.mark.slow
def test_every_component_is_on_the_page_of_methods(site: Path) -> None:
    page = (site / "methods.html").read_text(encoding="utf-8")
    for table in COMPONENTS.values():
        for name in table:
            assert f">{name}</code>" in page, name
    assert r"\frac" not in page
    assert "<math" in page


@pytest.mark.slow
def test_no_mark_of_a_table_is_left(built: dict[Path, Tags]) -> None:
    for path in built:
        if "files" not in path.parts:
            assert "generated:" not in path.read_text(encoding="utf-8"), path


@pytest.mark.slow
def test_the_verdicts_of_the_readme_are_those_of_the_page(site: Path) -> None:
    page = (site / "reproduce.html").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([A-Z-]+): .*\| (\d+), (\d+), (\d+)[^|]*\|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 8
    for figure, *counts in rows:
        row = page.partition(f">{figure}</a>")[2].partition("</tr>")[0]
        words = zip(counts, ("supported", "refuted", "undecided"), strict=True)
        assert ", ".join(f"{count} {word}" for count, word in words if count != "0") in row, figure
