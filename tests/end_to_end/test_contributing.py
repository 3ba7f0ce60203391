"""What CONTRIBUTING.md says of additions: its examples as they stand, and that the tests take in what is added."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from end_to_end.additions import ADDITIONS, CONTRIBUTING, grown, run

pytestmark = pytest.mark.slow

#: The tests that go over the tables.
TABLE_TESTS = (
    *(
        "rules",
        "tables_rules",
        "pre_aggregation",
        "estimation",
        "absence",
        "compression",
        "attacks",
        "allocation",
        "tables_coding",
        "votes",
    ),
    *("tables_problems", "tables_runs", "no_synchronisation", "engine", "sharing", "spec"),
    *("softmax_regression", "partitions", "steps"),
)
FILES = (*(f"tests/unit/test_{name}.py" for name in TABLE_TESTS), "tests/dag/test_quality.py")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all additions. Not to be changed."""
    return grown(tmp_path_factory.mktemp("grown") / "project")


def outcomes(root: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """The tests of the tables in a copy that have to do with some components, by how they ended."""
    asked = ["-q", "-rA", "-p", "end_to_end.of_additions", "-p", "no:cacheprovider", "--tb=short"]
    ended = run(root, "pytest", *asked, *FILES, BYZCODE_ADDED=",".join(names))
    found: dict[str, set[str]] = {"PASSED": set(), "FAILED": set(), "ERROR": set()}
    for how, test in re.findall(r"^(PASSED|FAILED|ERROR) (tests/.*?)(?: - .*)?$", ended.stdout, re.MULTILINE):
        found[how].add(test)
    assert found["PASSED"], ended.stdout + ended.stderr
    return found


def test_what_is_added_as_contributing_says_is_tested_without_an_edit_of_a_test(project: Path) -> None:
    found = outcomes(project, [addition.name for addition in ADDITIONS])

    assert not found["FAILED"] | found["ERROR"]
    for addition in ADDITIONS:
        files = {test.partition("::")[0] for test in found["PASSED"] if addition.name in test.partition("[")[2]}
        assert len(files) >= 2, f"{addition.kind} {addition.name} is hardly tested: {files}"


def test_what_is_added_is_in_the_schemas_and_in_the_reference(project: Path) -> None:
    reference = (project / "config/README.md").read_text(encoding="utf-8")
    schema = (project / "workflow/schemas/run.schema.json").read_text(encoding="utf-8")
    for addition in ADDITIONS:
        # Decoders and votes are named by methods alone, a data set by an option of a problem; the schema takes any word
        # for a method.
        named = addition.kind not in ("decoder", "vote", "data set")
        assert (f"`{addition.name}`" in reference) == named, addition.name
        assert (f'"{addition.name}"' in schema) == (addition.kind not in ("decoder", "vote", "method")), addition.name


def test_what_is_added_has_its_title_in_the_legends_of_figures(project: Path, tmp_path: Path) -> None:
    ended = run(project, "end_to_end.legends", str(tmp_path))
    assert ended.returncode == 0, ended.stderr

    legends = json.loads(ended.stdout)
    kinds = {"attack", "rule", "pre-aggregator", "compressor", "encoder", "allocation", "problem"}
    for addition in ADDITIONS:
        if addition.kind in kinds:
            title = re.search(r'ENTRY = .*title="(.*?)"', addition.text)
            words = title[1] if title else addition.name.replace("_", " ")
            assert any(text.startswith(words) for text in legends[addition.kind]), (addition.name, legends)


def test_an_example_of_each_kind_is_added() -> None:
    kinds = re.findall(r"^\| an? ([\w -]+) \| [^|]*\| `[A-Z_]+` in", CONTRIBUTING, re.MULTILINE)

    assert set(kinds) == {addition.kind for addition in ADDITIONS}
    for addition in ADDITIONS:
        for line in addition.lines:
            assert line.table in CONTRIBUTING
            assert Path(line.file).name in CONTRIBUTING


#: How a component is made wrong: its file, what stands there, what is put in its place, and a test that must see it.
WRONG = {
    "shifted_mean": (
        "attacks/shifted_mean.py",
        "return threat.replace(messages, ",
        "return threat.replace(messages * 1.001, ",
        "test_attacks.py::test_honest_rows_and_the_input_are_left_alone",
    ),
    "midrange": (
        "aggregation/midrange.py",
        "return low / 2 + high / 2",
        "return (low / 2 + high / 2).where(low > messages[..., 0, :], low)",
        "test_rules.py::test_the_order_of_devices_does_not_matter",
    ),
    "shrunken_mean": (
        "aggregation/shrunken_mean.py",
        "total(messages) / devices",
        "total(messages.clamp(-1, 1)) / devices",
        "test_rules.py::test_a_scale_goes_through_with_its_sign",
    ),
    "winsorising": (
        "pre_aggregation/winsorising.py",
        "return torch.where(messages.isnan(), high, messages.clamp(low, high))",
        "return torch.where(messages.isnan(), high, messages.clamp(low, high)) + messages.mean(dim=-2, keepdim=True)",
        "test_pre_aggregation.py::test_at_most_f_are_spoilt",
    ),
    "large_norms": (
        "estimation/large_norms.py",
        "Estimator(large_norms, outstanding)",
        "Estimator(large_norms, lambda suspicions: outstanding(-suspicions))",
        "test_estimation.py::test_lies_far_away_are_counted",
    ),
    "second_half": (
        "absence/second_half.py",
        "delays(draws, loads, spread)",
        "delays(draws, loads.sqrt(), spread)",
        "test_absence.py::test_twice_the_work_takes_twice_as_long",
    ),
    "ternary": (
        "compression/ternary.py",
        "messages.abs() / largest",
        "(messages / largest).square()",
        "test_compression.py::test_unbiased",
    ),
    "leading": (
        "compression/leading.py",
        "share) :] = 0",
        "share) :] *= -2",
        "test_compression.py::test_the_error_is_within_delta",
    ),
    "first_holder": (
        "coding/encoders/first_holder.py",
        "return np.where(assigned == EMPTY, 0.0, weights)",
        "return np.where(assigned == EMPTY, 1.0, weights)",
        "test_tables_coding.py::test_weights_are_finite_numbers_and_zero_in_empty_slots",
    ),
    "group_median": (
        "coding/decoders/group_median.py",
        "[:, (len(index) - 1) // 2]",
        ".mean(dim=-2)",
        "test_tables_coding.py::test_within_its_radius_a_decoder_gives_the_gradient",
    ),
    "median_copy": (
        "coding/votes/median_copy.py",
        "(copies.shape[-2] - 1) // 2",
        "copies.shape[-2] // 3",
        "test_votes.py::test_a_minority_of_lies_on_each_file_does_no_harm",
    ),
    "sliding": (
        "allocation/sliding.py",
        "% subsets, axis=1)",
        "% (subsets - 1), axis=1)",
        "test_allocation.py::test_lists_are_sorted_and_each_subset_is_in_once",
    ),
    "mean_estimation": (
        "problems/mean_estimation.py",
        "return away.mean(dim=-2)",
        "return 2 * away.mean(dim=-2)",
        "test_tables_problems.py::test_the_gradient_is_that_of_the_loss",
    ),
    "logistic_regression": (
        "problems/logistic_regression.py",
        "return times(self.signed.mT, slope) + self.strong_convexity",
        "return times(self.signed.mT, slope) - self.strong_convexity",
        "test_tables_problems.py::test_the_gradient_is_that_of_the_loss",
    ),
    "phase_retrieval": (
        "problems/phase_retrieval.py",
        "- forward.squares) * forward.products",
        "- forward.squares) * forward.products.abs()",
        "test_tables_problems.py::test_the_gradient_is_that_of_the_loss",
    ),
    "blobs": (
        "data/sets/blobs.py",
        "training=60",
        "training=59",
        "test_softmax_regression.py::test_a_data_set_is_as_large_as_it_says_and_is_split_once",
    ),
    "shifted": (
        "data/partitions/shifted.py",
        "Parts(np.concatenate(own)",
        "Parts(0 * np.concatenate(own)",
        "test_partitions.py::test_each_example_is_in_one_group",
    ),
    "halving": (
        "schedules/halving.py",
        "else 0.5",
        "else 1.5",
        "test_steps.py::test_a_schedule_begins_at_1_and_never_rises",
    ),
    "draco_median": (
        "specs/methods.py",
        'source="medians of groups",\n        coded=True,\n        server="decoder"',
        'source="medians of groups",\n        coded=True,\n        server="medians"',
        "test_tables_runs.py::test_a_run_is_described_and_is_read_again",
    ),
}


def test_a_component_that_is_wrong_fails_the_tests(project: Path, tmp_path: Path) -> None:
    """All are made wrong at once: each is in tests of its own."""
    shutil.copytree(project, tmp_path / "wrong")
    for name, (file, right, wrong, _) in WRONG.items():
        path = tmp_path / "wrong/src/byzcode" / file
        text = path.read_text(encoding="utf-8")
        assert right in text, name
        path.write_text(text.replace(right, wrong), encoding="utf-8")

    failed = outcomes(tmp_path / "wrong", WRONG)["FAILED"]

    assert set(WRONG) == {addition.name for addition in ADDITIONS}
    for name, (*_, test) in WRONG.items():
        assert any(each.startswith(f"tests/unit/{test}[") and name in each for each in failed), (name, failed)


#: The worked studies: a run that each has, what its spec says, and variables that its trajectory has and has not.
WORKED = {
    "shifted-mean": ("CRA-DL", '"attack":{"name":"shifted_mean","shift":100.0}', {"excess_loss"}, {"alignment"}),
    "phases": (
        "CRA-DL",
        '"step_schedule":{"least":0.0,"name":"cosine"},"step_size":5.0,"step_unit":"absolute"',
        {"loss", "alignment"},
        {"excess_loss", "distance_to_optimum", "smoothness", "strong_convexity"},
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_studies_are_planned_and_trained(name: str, project: Path, tmp_path: Path) -> None:
    curve, told, present, absent = WORKED[name]
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    study = f"study: {name}\n" + CONTRIBUTING.partition(f"```yaml\nstudy: {name}\n")[2].partition("```")[0]
    study = study.replace("base:\n", "base:\n  iterations: 20\n  seeds: 1\n")
    (tmp_path / f"config/studies/{name}.yaml").write_text(study, encoding="utf-8")

    def byzcode(*arguments: str) -> str:
        done = run(tmp_path, "byzcode.cli", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    planned = byzcode("plan", name).split(f"{name}: ")[1]
    run_id = re.search(rf"([0-9a-f]{{12}})\s+missing\s+{curve}", planned)
    assert run_id, planned
    (tmp_path / "spec.py").write_text(
        "from byzcode.studies.plan import load_plan_file as load\n"
        f"print(load('config/config.yaml').runs['{run_id[1]}'].canonical())"
    )
    spec = run(tmp_path, "spec").stdout
    assert told in spec
    byzcode("train", "--spec", spec, "--out", "run.nc")
    (tmp_path / "names.py").write_text(
        "from byzcode.storage import trajectories\nprint(*trajectories.open('run.nc').variables)"
    )
    variables = set(run(tmp_path, "names").stdout.split())
    assert present <= variables
    assert not absent & variables
