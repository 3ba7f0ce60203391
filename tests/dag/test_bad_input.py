"""A mistake in what is asked ends in one line - file, key, value, what is allowed - before any job starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from dag.project import STUDIES, TINY, Project
from fuzz.mutations import laughs, merges

from byzcode.cli import main
from byzcode.errors import UserError
from byzcode.multiverse.plan import Multiverse
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations as allocation_file
from byzcode.studies.plan import load_plan_file

CONFIG, READING, STYLE = "config/config.yaml", "config/readings/primary.yaml", "config/style.yaml"
LINES, SWEEP = f"{STUDIES}/lines.yaml", f"{STUDIES}/sweep.yaml"

RBA, FIRST_CRA = f"{LINES}: curve 'RBA-DL'", f"{LINES}: curve 'CRA-DL, r = 4'"


class Mistake(NamedTuple):
    """A value put into a file of a good project, and what the message says: whence, and then what."""

    file: str
    keys: tuple[str | int, ...]
    value: Any
    where: str
    says: str


def in_curve(place: int, key: str, value: Any, says: str) -> Mistake:
    return Mistake(LINES, ("curves", place, key), value, (RBA, FIRST_CRA)[place], f"{key} = {value!r}: {says}")


def in_base(key: str, value: Any, says: str) -> Mistake:
    return Mistake(LINES, ("base", key), value, RBA, f"{key} = {value!r}: {says}")


def in_study(keys: tuple[str | int, ...], value: Any, says: str) -> Mistake:
    return Mistake(LINES, keys, value, LINES, says)


def in_config(key: str, value: Any, says: str) -> Mistake:
    return Mistake(CONFIG, (key,), value, CONFIG, f"{key} = {value!r}: {says}")


MISTAKES = {
    # unknown keys
    "key in the configuration": in_config("devcie", "cpu", "unknown key; did you mean 'device'? allowed: studies, "),
    "key in a study": in_study(("colour",), "red", "colour = 'red': unknown key; allowed: study, title, paper, base,"),
    "key in the base": in_base("devcies", 6, "unknown key; did you mean 'devices'? allowed: "),
    "key in a curve": in_curve(1, "aggregator", "mean", "unknown key; did you mean 'aggregation'? allowed: "),
    "key in a grid": Mistake(
        LINES, ("grid",), {"redundncy": [4]}, RBA, "redundncy = 4: unknown key; did you mean 'redundancy'? allowed: "
    ),
    "key in a plot": in_study(
        ("plots", "loss", "colums"), "attack", "plots.loss.colums = 'attack': unknown key; did you mean 'columns'? all"
    ),
    "key in a style": Mistake(
        STYLE, ("ma", "colour"), "#000000", STYLE, "ma: colour = '#000000': unknown key; did you mean 'color'?"
    ),
    "key in a reading": Mistake(
        READING, ("choices", 0, "key"), "problm.x", READING, "choices.key = 'problm.x': unknown key; did you mean"
    ),
    # wrong types
    "one study, no list": in_config("studies", LINES, "allowed: a list"),
    "devices in words": in_base("devices", "six", "allowed: whole numbers"),
    "half a device": in_base("devices", 6.5, "allowed: whole numbers"),
    "a label that is a number": in_study(("curves", 0, "label"), 3, "curves[0].label = 3: allowed: text, in quotes"),
    "a grid that is no list": in_study(("grid",), {"devices": 6}, "grid.devices = 6: allowed: a list"),
    "curves that are a mapping": in_study(("curves",), {}, "curves = {}: allowed: a list"),
    "an attack that is a number": in_base("attack", 5, "expected a name, or a mapping of keys to values"),
    "a style that is a colour": Mistake(STYLE, ("ma",), "#000000", STYLE, "ma = '#000000': expected a mapping of keys"),
    # out of range
    "r > M": in_curve(1, "redundancy", 13, "allowed: 1 to 12 (the number of subsets, M)"),
    "r = 0 subsets": in_curve(1, "redundancy", -1, "allowed: at least 1"),
    "disjoint r > M / N": in_curve(0, "redundancy", 3, "allowed: 1 to 2 (subsets over devices), without overlap"),
    "no redundancy, coded": in_curve(1, "redundancy", None, "method cra_dl is coded: say how many subsets each"),
    "no device": in_base("devices", 0, "allowed: at least 1"),
    "no iteration": in_base("iterations", 0, "allowed: at least 1"),
    "a seed twice": in_base("seeds", [1, 1], "each seed once"),
    "an infinite step": in_study(("base", "step_size"), float("inf"), "base.step_size = inf: allowed: finite numbers"),
    "alpha = 1": in_base("byzantine.alpha", 1, "allowed: less than 1"),
    "alpha < 0": in_base("byzantine.alpha", -0.1, "allowed: at least 0"),
    "no honest device": in_base("byzantine.alpha", 0.99, "f = 6 liars among 6 devices: at least one must be honest"),
    "option of an attack": in_base("attack.coefficient", 5, "allowed: less than 0"),
    "option of an allocation": Mistake(
        LINES,
        ("curves", 1, "allocation"),
        {"name": "random", "side": "left"},
        FIRST_CRA,
        "allocation.side = 'left': allowed: device, subset",
    ),
    "results outside the project": in_config(
        "results", "../elsewhere", "allowed: a folder inside the project, its names of letters"
    ),
    "a colour by name": Mistake(STYLE, ("ma", "color"), "red", STYLE, "ma: color = 'red': allowed: # and six"),
    # unknown names
    "a rule": in_base("aggregation", "medain", "unknown rule; did you mean 'median'? allowed: "),
    "an attack": in_base("attack", "signflip", "unknown attack; did you mean 'sign_flip'? allowed: none, "),
    "a method": in_curve(1, "method", "cra", "unknown method; did you mean 'cra_dl'? allowed: ma, "),
    "an allocation": in_curve(1, "allocation", "cyclc", "unknown allocation; "),
    "an encoding": in_curve(1, "encoding", "unifrm", "unknown encoding; did you mean 'uniform'? allowed: "),
    "an option of a problem": in_base("problem.sigma", 1, "unknown key; did you mean 'sigma_h'? allowed: name, "),
    "an option of an attack": in_base("attack.scale", 5, "unknown key; allowed: name, coefficient"),
    "an option of who lies": in_base("byzantine.identitis", "redrawn", "unknown key; did you mean 'identities'?"),
    "a style": in_curve(0, "style", "rba", "not in config/style.yaml; did you mean 'rba_dl'? allowed: ma, "),
    "a kind of plot": in_study(("plots", "loss", "kind"), "cake", "unknown name; allowed: trajectories, sweep, "),
    "a quantity": in_study(
        ("plots", "loss", "y"), "accuracy", "y = 'accuracy': did you mean 'test_accuracy'? allowed: loss, excess_loss"
    ),
    "a curve of a plot": in_study(
        ("plots", "excess", "curves"), ["RBA"], "plots.excess.curves = 'RBA': not a curve of this study; did you mean"
    ),
    "a device": in_config("device", "tpu", "did you mean 'cpu'? allowed: cpu, cuda"),
    # what is empty, missing or there twice
    "no value in a grid": in_study(("grid",), {"devices": []}, "grid.devices = []: allowed: 1 or more entries"),
    "no curve": in_study(("curves",), [], "curves = []: allowed: 1 or more entries"),
    "no plot": in_study(("plots",), {}, "plots = {}: allowed: 1 or more entries"),
    "no study": in_config("studies", [], "allowed: 1 or more entries"),
    "no study file": Mistake(
        CONFIG, ("studies", 0), "config/x.yaml", CONFIG, "studies = 'config/x.yaml': no such file"
    ),
    "no reading file": Mistake(CONFIG, ("reading",), "config/x.yaml", "config/x.yaml", "cannot be read: No such file"),
    "no style file": Mistake(CONFIG, ("style",), "config/x.yaml", "config/x.yaml", "cannot be read: No such file"),
    "a study twice": Mistake(
        SWEEP, ("study",), "lines", SWEEP, f"study = 'lines': already the name of the study in {LINES}; each"
    ),
    "a label twice": in_study(("curves", 1, "label"), "RBA-DL", "curves.label = 'RBA-DL': each label once in a study"),
    "two figures of one name": Mistake(
        SWEEP,
        (),
        {**TINY["lines"], "study": "lines-loss", "plots": {"all": TINY["lines"]["plots"]["loss"]}},
        SWEEP,
        "plots = 'all': figure lines-loss-all is already made by",
    ),
    # what fits by itself and means nothing
    "an axis that no run has": Mistake(
        SWEEP, ("plots", "plateau", "x"), "redundncy", SWEEP, "plots.plateau.x = 'redundncy': "
    ),
    "panels that no run has": in_study(
        ("plots", "loss", "columns"), "agregation", "plots.loss.columns = 'agregation': "
    ),
    "two runs in one place of a figure": in_study(("grid",), {"step_size": [0.1, 0.5]}, "step_size"),
    "no curve in a plot": in_study(("plots", "loss", "curves"), [], "plots.loss.curves = []: "),
    "a marker that matplotlib has not": Mistake(STYLE, ("ma", "marker"), "Q", STYLE, "ma: marker = 'Q': "),
    "a component in a reading": Mistake(
        READING, ("choices", 0, "key"), "problem.linear.sigma_h", READING, "'problem.linear.sigma_h'"
    ),
    "a method in a reading": Mistake(
        READING, ("choices", 0, "key"), "method.cra.encoding", READING, "'method.cra.encoding'"
    ),
    # more than anything needs, or can hold
    "seeds beyond count": in_base("seeds", 10**9, "allowed: at most 10000 seeds"),
    "devices beyond count": in_base("devices", 10**6, "allowed: at most 100000"),
    "iterations beyond count": in_base("iterations", 10**15, "allowed: at most 100000000"),
    "subsets beyond count": in_base("problem.subsets", 10**12, "allowed: at most 1000000000"),
    "features beyond memory": Mistake(
        LINES, ("base", "problem.dimension"), 10**9, RBA, "the features of all seeds: 24000000000 numbers; allowed"
    ),
    "points beyond memory": Mistake(
        LINES, ("base", "iterations"), 10**8, RBA, "record.step = 5: 40000004 points are recorded; allowed: 10000000"
    ),
    "points a decade": Mistake(
        LINES, ("base", "record"), {"spacing": "log", "step": 10**6}, RBA, "record.step = 1000000: allowed: 1 to 1000"
    ),
    "a grid beyond count": in_study(
        ("grid",),
        {key: list(range(1, 1001)) for key in ("devices", "seeds", "iterations")},
        "grid = ['devices', 'seeds', 'iterations']: 3000000000 runs; allowed: at most 50000 in a study",
    ),
    "columns beyond telling": Mistake(
        SWEEP,
        (),
        {
            **TINY["sweep"],
            "grid": {"step_size": [each / 10 for each in range(1, 10)]},
            "plots": {"plateau": {"kind": "sweep", "x": "redundancy", "columns": "step_size", "caption": "c"}},
        },
        SWEEP,
        "plots.plateau.columns = 'step_size': 9 values; allowed: at most 8",
    ),
    "spread beyond numbers": in_base("problem.sigma_h", 1e300, "allowed: at most 1000000000"),
    # what is no word
    "a newline in a label": in_study(("curves", 0, "label"), "a\nb", "curves[0].label = 'a\\nb': allowed: one line"),
    "a blank label": in_study(
        ("curves", 0, "label"), "  ", "curves[0].label = '  ': allowed: one line that is not blank"
    ),
    "a long label": in_study(("curves", 0, "label"), "x" * 500, "allowed: at most 60 characters"),
    "a turning mark in a title": in_study(
        ("title",), "a\u202eb", "title = 'a\\u202eb': contains the control character U+202E"
    ),
    "an escape in a caption": in_study(
        ("plots", "loss", "caption"),
        "a\x1b[2Jb",
        "plots.loss.caption = 'a\\x1b[2Jb': contains the control character U+001B",
    ),
    "NaN in a grid": in_study(("grid",), {"aggregation": [float("nan")]}, "grid.aggregation[0] = nan: allowed: finite"),
    "a path for a study": in_study(("study",), "../lines", "study = '../lines': allowed: small letters and digits"),
    "a study with a space": in_study(("study",), "a b; touch c", "study = 'a b; touch c': allowed: small letters"),
    "a long study": in_study(("study",), "x" * 300, "allowed: at most 60 characters"),
    "an option for results": in_config("results", "-rf", "allowed: a folder inside the project, its names of letters"),
    "a value in a reading": Mistake(READING, ("choices", -1, "value"), "float16", READING, "dtype = 'float16': "),
}


def cases(table: Mapping[str, Any]) -> list[Any]:
    """The entries of a table as parameters."""
    return [pytest.param(entry, id=name) for name, entry in table.items()]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A good configuration, in the working directory."""
    project = Project.configured(tmp_path, TINY)
    project.edit(LINES, "plots", "loss-all", to=TINY["lines"]["plots"]["loss"])
    monkeypatch.chdir(tmp_path)
    return project


class Output(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    error: str


@pytest.fixture
def byzcode(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """The command line, in this process."""

    def run(*arguments: str) -> Output:
        monkeypatch.setattr("sys.argv", ["byzcode", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Output(ended.value.code, *capfd.readouterr())

    return run


def is_one_complaint(output: Output, where: str, says: str) -> bool:
    return (
        output.code == 1
        and output.error.endswith("\n")
        and len(output.error.splitlines()) == 1
        and output.error.startswith(f"byzcode: {where}: ")
        and says in output.error
    )


def put(project: Project, mistake: Mistake) -> None:
    if mistake.keys:
        project.edit(mistake.file, *mistake.keys, to=mistake.value)
    else:
        project.write(mistake.file, mistake.value)


def test_the_configuration_is_good_without_a_mistake(configured: Project, byzcode: Any) -> None:
    output = byzcode("plan")

    assert (output.code, output.error) == (0, "")
    assert "3 runs: 3 missing" in output.out


def test_an_unknown_study(configured: Project, byzcode: Any) -> None:
    said = byzcode("plan", "line")

    assert is_one_complaint(said, "byzcode plan", "STUDY = 'line': no such study in config/config.yaml; did you mean")


def test_the_runs_of_a_study(configured: Project, byzcode: Any) -> None:
    said, every = byzcode("plan", "sweep"), byzcode("plan", "--runs")

    assert said.out.startswith("sweep: ")
    assert len([line for line in said.out.splitlines() if line.startswith("  ")]) == 2
    assert "2 runs: 2 missing" in said.out
    assert "lines: " in every.out
    assert "3 runs: 3 missing" in every.out


@pytest.mark.parametrize("mistake", cases(MISTAKES))
def test_a_mistake_in_the_configuration(configured: Project, byzcode: Any, mistake: Mistake) -> None:
    put(configured, mistake)

    output = byzcode("plan", "--config", CONFIG)

    assert is_one_complaint(output, mistake.where, mistake.says), output
    assert output.out == ""
    assert [path.name for path in configured.root.iterdir()] == ["config"]


@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas"])
def test_a_rule_beyond_its_bound_is_a_result_and_no_mistake(configured: Project, byzcode: Any, rule: str) -> None:
    configured.edit(LINES, "base", "byzantine.alpha", to=0.5)
    configured.edit(LINES, "curves", 0, "aggregation", to=rule)

    assert byzcode("plan").code == 0


@pytest.mark.parametrize("value", ["off", False], ids=["quoted", "as YAML reads it"])
def test_code_tracking_can_be_off(configured: Project, byzcode: Any, value: object) -> None:
    configured.edit(CONFIG, "code_tracking", to=value)

    assert byzcode("plan").code == 0


def test_a_style_for_every_method(configured: Project, byzcode: Any) -> None:
    configured.write(STYLE, {"cra_dl": {"color": "#000000"}})

    assert is_one_complaint(byzcode("plan"), RBA, f"style = 'rba_dl': not in {STYLE}; did you mean 'cra_dl'?")


BROKEN = {
    "not YAML": ("study: [lines\ntitle: Lines\n", "line 2: not valid YAML: expected ',' or ']'"),
    "a tab": ("study: lines\n\ttitle: Lines\n", "line 2: not valid YAML: found character '\\t'"),
    "a key twice": ("study: lines\ntitle: a\ntitle: b\n", "line 3: not valid YAML: key 'title' occurs twice"),
    "a key twice, deep": ("base: {devices: 6, devices: 7}\n", "line 1: not valid YAML: key 'devices' occurs twice"),
    "a list for a key": ("? [a, b]\n: 3\n", "not valid YAML"),
    "a list": ("- study\n", "the file = ['study']: expected a mapping of keys to values"),
    "a word": ("study\n", "the file = 'study': expected a mapping of keys to values"),
    "nothing": ("", "the file = None: expected a mapping of keys to values"),
    "two documents": ("study: a\n---\nstudy: b\n", "line 2: not valid YAML"),
    "not even text": ("\x00\x01", "not valid YAML"),
    "an object": ("study: !!python/object/apply:os.system [touch canary]\n", "a value of kind 'python/object/apply:os"),
    "a name of Python": ("study: !!python/name:os.system\n", "a value of kind 'python/name:os.system'; allowed: plain"),
    "code": (
        "__use_yte__: true\n?__import__('os').system('touch canary'): 1\n",
        "__use_yte__ = True: unknown key; files must",
    ),
    "a date": (
        "study: 2020-13-45\n",
        "line 1: not valid YAML: a value of kind 'timestamp'; allowed: plain values, with",
    ),
    "a tag that does not fit": (
        "study: !!int six\n",
        "line 1: not valid YAML: 'six' is not a valid int: invalid literal",
    ),
    "digits": (f"study: {'9' * 6000}\n", "line 1: not valid YAML: '9999999999"),
    "hexadecimal digits": (f"study: 0x{'f' * 6000}\n", "line 1: not valid YAML: a whole number of more than 64 bits"),
    "a billion laughs": (
        laughs(),
        "not valid YAML: more than 100000 values, with aliases expanded",
    ),
    "a billion merges": (
        merges(),
        "not valid YAML: more than 100000 values, with aliases expanded",
    ),
    "an alias in itself": ("study: &a [*a]\n", "line 1: not valid YAML: more than 100000 values"),
    "nested": (f"study: {'[' * 21}{']' * 21}\n", "line 1: not valid YAML: nested more than 20 deep"),
    "nested beyond the stack": (f"study: {'[' * 5000}{']' * 5000}\n", "not valid YAML: nested more than 20 deep"),
    "a megabyte": (f"study: {'x' * 2**20}\n", "cannot be read: 1048584 bytes; allowed: at most 1048576"),
}


@pytest.mark.parametrize("path", [CONFIG, LINES, READING, STYLE])
@pytest.mark.parametrize("broken", cases(BROKEN))
def test_a_file_that_is_no_mapping(configured: Project, byzcode: Any, path: str, broken: tuple[str, str]) -> None:
    text, says = broken
    (configured.root / path).write_text(text, encoding="utf-8")

    assert is_one_complaint(byzcode("plan"), path, says)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "bytes", "a link in a circle", "a name beyond length"])
def test_a_file_that_no_one_should_read(configured: Project, byzcode: Any, kind: str) -> None:
    path = configured.root / READING
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a link in a circle":
        path.symlink_to(path.name)
    elif kind == "a name beyond length":
        configured.edit(CONFIG, "reading", to="x" * 300)
    else:
        path.write_bytes(b"reading: \xff\n")

    output = byzcode("plan")

    assert output.code == 1
    assert re.fullmatch(r"byzcode: \S+: (reading = |cannot be read: ).+\n", output.error), output


PATHS = ["../outside", "config/../../outside", "/outside", "~/outside", "link/outside", "a\nb", "a\0b"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["results", "studies", "reading", "style", "multiverse", "alternatives"])
def test_no_path_leads_out_of_the_project(configured: Project, byzcode: Any, key: str, path: str) -> None:
    (configured.root / "link").symlink_to(configured.root.parent)
    if key == "alternatives":
        requested = {"alternatives": path, "random": 0, "full": 0, "claims": [{"study": "lines"}]}
        configured.write("config/multiverse.yaml", requested)
        with pytest.raises(UserError, match=r"^config/multiverse.yaml: alternatives = .+: \S") as caught:
            Multiverse.load(load_plan_file(CONFIG))
        assert str(caught.value).isprintable()
        return
    configured.edit(CONFIG, key, to=[path] if key == "studies" else path)

    output = byzcode("plan")

    assert is_one_complaint(output, CONFIG, key), output
    assert "allowed: " in output.error, output


def test_results_that_are_a_link_out_of_the_project(configured: Project, byzcode: Any, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (configured.root / "results").symlink_to(elsewhere)

    assert is_one_complaint(byzcode("plan"), CONFIG, f"results = 'results': leads to {elsewhere}; allowed: a path insi")


def test_a_link_inside_the_project_is_followed(configured: Project, byzcode: Any) -> None:
    (configured.root / "kept").mkdir()
    (configured.root / "results").symlink_to("kept")

    assert byzcode("plan").code == 0


def test_a_configuration_that_is_not_there(configured: Project, byzcode: Any) -> None:
    output = byzcode("plan", "--config", "config/x.yaml")

    assert is_one_complaint(output, "config/x.yaml", "cannot be read: No such file or directory")


def test_what_is_wrong_with_a_file_that_byzcode_brings_along_names_that_file(configured: Project) -> None:
    multiverse = Multiverse.load(load_plan_file(CONFIG))
    with pytest.raises(UserError, match=r"claims\.study = ") as refused:
        multiverse.request(next(iter(multiverse.universes)))
    assert Path(str(refused.value).partition(": ")[0]).is_file()


SHOWN_BY_SNAKEMAKE = ["key in a study", "r > M", "no reading file", "two figures of one name"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN_BY_SNAKEMAKE)
def test_snakemake_passes_the_complaint_on(tmp_path: Path, name: str) -> None:
    project = Project.create(tmp_path / "project", TINY)
    project.edit(LINES, "plots", "loss-all", to=TINY["lines"]["plots"]["loss"])
    mistake = MISTAKES[name]
    put(project, mistake)

    assert_refused(project, f"{mistake.where}: {mistake.says}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["an object", "code", "a date", "nested beyond the stack", "a list", "nothing"])
def test_snakemake_runs_and_makes_nothing_out_of_a_configuration(tmp_path: Path, name: str) -> None:
    project = Project.create(tmp_path / "project", TINY)
    text, says = BROKEN[name]
    (project.root / CONFIG).write_text(text, encoding="utf-8")

    assert_refused(project, f"{CONFIG}: ", says)
    assert not list(tmp_path.rglob("canary*"))


@pytest.mark.slow
@pytest.mark.parametrize("path", [CONFIG, LINES])
def test_snakemake_refuses_a_key_that_stands_twice(tmp_path: Path, path: str) -> None:
    project = Project.create(tmp_path / "project", TINY)
    project.rewrite(path, lambda text: text + text.partition("\n")[0] + "\n" + text.partition("\n")[2])

    assert_refused(project, f"{path}: line ", "occurs twice")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("trajectories/0123456789ab.nc", "run 0123456789ab"),
        ("allocations/0123456789ab.nc", "allocation 0123456789ab"),
    ],
)
def test_snakemake_says_that_nothing_asks_for_a_file(tmp_path: Path, target: str, says: str) -> None:
    project = Project.create(tmp_path / "project", TINY)

    ended = project.snakemake("--cores", "1", f"results/{target}")
    output = ended.stdout + ended.stderr

    assert ended.returncode != 0, output
    assert f"{says}: not requested by the configuration" in output
    assert "KeyError" not in output


@pytest.mark.slow
def test_snakemake_says_that_a_file_is_where_the_results_are_to_be(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", TINY, results="out")
    (project.root / "out").touch()

    assert_refused(project, "out: a file, where a folder is expected")


def assert_refused(project: Project, *messages: str) -> None:
    ended = project.snakemake("--cores", "1", "results/summaries/sweep.csv")
    output = ended.stdout + ended.stderr

    assert ended.returncode != 0, output
    assert all(message in output for message in messages), output
    assert "Traceback" not in output
    assert not (project.root / "results").exists()


RUN: dict[str, Any] = {
    "method": "cra_dl",
    "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
    "devices": 6,
    "redundancy": 4,
    "aggregation": "median",
    "iterations": 5,
    "seeds": 2,
}


def spec(**changes: Any) -> str:
    """The JSON of a small run."""
    return RunSpec.parse({**RUN, **changes}, "test").canonical()


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ('{"devices": 6, "devices": 7}', "--spec", "not valid JSON: key 'devices' occurs twice"),
        ('{"devices": ' + "[" * 5000 + "]" * 5000 + "}", "--spec", "not valid JSON: maximum recursion depth exceeded"),
        ('{"devices": ' + "9" * 5000 + "}", "--spec", "not valid JSON: Exceeds the limit"),
        (spec().replace('"seeds":[0,1]', '"seeds":1000000000'), "--spec", "seeds = 1000000000: allowed: at most 10000"),
        ('{"method": "cra_dl"', "--spec", 'JSON = \'{"method": "cra_dl"\': not valid JSON: '),
        ("", "--spec", "JSON = '': not valid JSON: "),
        ("[]", "--spec", "JSON = []: expected an object of keys and values"),
        ("missing.json", "missing.json", "cannot be read: No such file or directory"),
        (".", ".", "cannot be read: Is a directory"),
        ("{}", "--spec", "method = None: this key is required"),
        (spec().replace('"devices"', '"devcies"'), "--spec", "devcies = 6: unknown key; did you mean 'devices'?"),
        (spec().replace('"median"', '"medain"'), "--spec", "aggregation = {'name': 'medain'}: unknown rule; did you"),
        (spec().replace('"redundancy":4', '"redundancy":13'), "--spec", "redundancy = 13: allowed: 1 to 12"),
    ],
    ids=[
        "a key twice",
        "nested beyond the stack",
        "digits",
        "seeds beyond count",
        "not JSON",
        "nothing",
        "a list",
        "no such file",
        "a folder",
        "empty",
        "unknown key",
        "unknown name",
        "out of range",
    ],
)
def test_a_mistake_in_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, byzcode: Any, text: str, where: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)

    output = byzcode("train", "--spec", text, "--out", "out.nc")

    assert is_one_complaint(output, where, says), output
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_a_spec_file_names_the_file(tmp_path: Path, byzcode: Any) -> None:
    file = tmp_path / "run.json"
    file.write_text(spec().replace('"devices"', '"devcies"'))

    assert is_one_complaint(byzcode("train", "--spec", str(file), "--out", "x.nc"), str(file), "devcies = 6: unknown k")


@pytest.fixture
def allocation(tmp_path: Path) -> Path:
    """The allocation of another run."""
    path = tmp_path / "allocation.nc"
    allocation_file.write(RunSpec.parse({**RUN, "redundancy": 6}, "test").allocation_spec, path)
    return path


def test_the_allocation_of_another_run(tmp_path: Path, allocation: Path, byzcode: Any) -> None:
    out = tmp_path / "out.nc"

    output = byzcode("train", "--spec", spec(), "--allocation", str(allocation), "--out", str(out))

    assert is_one_complaint(output, str(allocation), "holds another allocation: "), output
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"", "it is empty"), (b"text", "foreign"), (64, "does not end with its checksum")],
)
def test_an_allocation_that_is_none(
    allocation: Path, byzcode: Any, tmp_path: Path, content: bytes | int | None, says: str
) -> None:
    if content is None:
        allocation.unlink()
    else:
        allocation.write_bytes(allocation.read_bytes()[:-content] if isinstance(content, int) else content)

    output = byzcode(
        "train", "--spec", spec(redundancy=6), "--allocation", str(allocation), "--out", str(tmp_path / "o")
    )

    assert is_one_complaint(output, str(allocation), says), output


@pytest.mark.parametrize("place", ["a folder", "a file for a folder", "no permission"])
def test_a_place_that_cannot_be_written(tmp_path: Path, byzcode: Any, place: str) -> None:
    (tmp_path / "file").write_text("")
    out = {"a folder": tmp_path, "a file for a folder": tmp_path / "file" / "out.nc", "no permission": Path("/proc/o")}

    output = byzcode("train", "--spec", spec(), "--out", str(out[place]))

    *progress, last = output.error.splitlines()
    assert all(line.startswith("train ") for line in progress)
    assert is_one_complaint(output._replace(error=last + "\n"), str(out[place]), "cannot be written: "), output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(tmp_path: Path, byzcode: Any) -> None:
    output = byzcode("train", "--spec", spec(), "--device", "cuda", "--out", str(tmp_path / "out.nc"))

    *progress, last = output.error.splitlines()
    assert all(line.startswith("train ") for line in progress)
    assert is_one_complaint(output._replace(error=last + "\n"), "--device cuda", "no CUDA device is available"), output
    assert list(tmp_path.iterdir()) == []
