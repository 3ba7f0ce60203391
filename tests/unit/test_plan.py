"""How studies and readings unfold into runs, and configurations into plans."""

from __future__ import annotations

import textwrap

import pytest

from byzcode.errors import UserError
from byzcode.specs.run import RunSpec
from byzcode.studies.expand import expand, lookup, merge, points
from byzcode.studies.plan import load_plan, read_yaml
from byzcode.studies.study import Reading, Study

CRA = {"method": "cra_dl", "redundancy": 40, "aggregation": "median"}


def spec(**changes):
    return RunSpec.parse({**CRA, **changes}, "test")


def test_merge_reaches_into_components_by_dotted_keys():
    assert merge({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"a": 1, "b": 3, "c": 4}
    assert merge({"attack": "sign_flip"}, {"attack.coefficient": -1}) == {
        "attack": {"name": "sign_flip", "coefficient": -1}
    }
    assert merge({"attack": {"name": "gaussian", "scale": 1}}, {"attack.scale": 2}) == {
        "attack": {"name": "gaussian", "scale": 2}
    }
    assert merge({}, {"byzantine.alpha": 0.1}) == {"byzantine": {"alpha": 0.1}}
    assert merge({"attack": {"name": "gaussian", "scale": 1}}, {"attack": "sign_flip"}) == {"attack": "sign_flip"}
    before = {"byzantine": {"alpha": 0.1}}
    merge(before, {"byzantine.alpha": 0.2})
    assert before == {"byzantine": {"alpha": 0.1}}


def test_points_are_the_product_of_a_grid():
    assert list(points({})) == [{}]
    assert list(points({"a": [1, 2], "b": ["x", "y"]})) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_lookup():
    one = spec(attack={"name": "sign_flip", "coefficient": -3})
    assert lookup(one, "redundancy") == 40
    assert lookup(one, "attack") == "sign_flip"
    assert lookup(one, "attack.coefficient") == -3
    assert lookup(one, "byzantine.alpha") == 0.2
    assert lookup(one, "attack.scale") is None


EMPTY_READING = Reading(reading="none", title="Nothing", choices=[])
PLOTS = {"p": {"kind": "allocation", "caption": "c"}}


def study(curves, **parts):
    return Study.model_validate({"study": "s", "title": "t", "plots": PLOTS, "curves": curves, **parts})


def reading(**choices):
    listed = [
        {"key": key.replace("__", "."), "value": value, "mark": "unknown", "reason": "a test"}
        for key, value in choices.items()
    ]
    return Reading.model_validate({"reading": "r", "title": "t", "choices": listed})


def runs(asked, by=EMPTY_READING):
    return [member.spec for member in expand(asked, by, "test")]


def test_base_grid_and_curve_make_a_run():
    found = runs(
        study(
            [
                {"label": "CRA", **CRA, "grid": {"redundancy": [20, 30]}},
                {"label": "MA", "method": "ma"},
                {"label": "weak", **CRA, "attack.coefficient": -1},
            ],
            base={"attack": "sign_flip", "iterations": 7},
            grid={"byzantine.alpha": [0.1, 0.2], "problem.sigma_h": [0, 0.5]},
        )
    )
    assert len(found) == 4 * 2 + 4 + 4
    assert {one.iterations for one in found} == {7}
    assert [(one.byzantine.alpha, one.problem.options["sigma_h"], one.redundancy) for one in found[:4]] == [
        (0.1, 0, 20),
        (0.1, 0, 30),
        (0.1, 0.5, 20),
        (0.1, 0.5, 30),
    ]
    assert [one.attack.options["coefficient"] for one in found[-4:]] == [-1] * 4
    assert len({one.run_id for one in found}) == len(found)


def test_labels_and_styles_are_no_part_of_a_run():
    one, two = (
        runs(study([{"label": label, "style": style, **CRA}], title=title))
        for label, style, title in (("A", None, "T"), ("B", "cra_dl", "Another"))
    )
    assert one[0].run_id == two[0].run_id == spec().run_id


def test_what_a_method_fixes_outweighs_base_and_grid_but_no_curve():
    found = runs(
        study(
            [{"label": "GD", "method": "gradient_descent"}, {"label": "MA", "method": "ma"}],
            base={"attack": "sign_flip", "aggregation": "median"},
            grid={"byzantine.alpha": [0.1, 0.2]},
        )
    )
    assert [one.f for one in found] == [0, 0, 10, 20]
    assert found[0] == found[1]
    assert {one.aggregation.name for one in found} == {"mean"}
    with pytest.raises(UserError, match=r"^test: curve 'MA': aggregation = .*method ma fixes aggregation"):
        runs(study([{"label": "MA", "method": "ma", "aggregation": "median"}]))


def test_a_mistake_names_the_curve():
    with pytest.raises(UserError, match=r"^test: curve 'X': method = 'nonsense'"):
        runs(study([{"label": "X", "method": "nonsense"}]))
    with pytest.raises(UserError, match=r"^test: curve 'X': redundancy = 2000"):
        runs(study([{"label": "X", **CRA, "redundancy": 2000}]))
    with pytest.raises(UserError, match="each label once"):
        runs(study([{"label": "X", **CRA}, {"label": "X", **CRA}]))


def test_a_choice_for_a_component_holds_for_that_component_alone():
    by = reading(attack__sign_flip__coefficient=-2.0, attack__gaussian__scale=3.0)
    for attack, options in (
        ("sign_flip", {"coefficient": -2.0}),
        ("gaussian", {"scale": 3.0}),
        ("none", {}),
        ({"name": "sign_flip", "coefficient": -1}, {"coefficient": -1.0}),
    ):
        [one] = runs(study([{"label": "A", **CRA, "attack": attack}]), by)
        assert one.attack.options.items() >= options.items()


def test_a_choice_for_the_problem_holds_without_naming_it():
    by = reading(problem__linear_regression__sigma_h=0.5, problem__linear_regression__dimension=10)
    [one] = runs(study([{"label": "A", **CRA}]), by)
    assert (one.problem.options["sigma_h"], one.dimension) == (0.5, 10)
    [one] = runs(study([{"label": "A", **CRA, "problem.sigma_h": 0.0}]), by)
    assert (one.problem.options["sigma_h"], one.dimension) == (0.0, 10)


def test_a_choice_for_a_part_that_the_method_settles_holds_too():
    """cra_dl allocates at random unless told otherwise; the reading says from which side."""
    [one] = runs(study([{"label": "A", **CRA}]), reading(allocation__random__side="subset"))
    assert one.allocation.options == {"side": "subset"}


def test_a_choice_of_a_component_holds_unless_the_study_or_the_method_says_otherwise():
    by = reading(aggregation="phocas", attack="gaussian")
    cra, own, ma = runs(
        study(
            [
                {"label": "A", "method": "cra_dl", "redundancy": 40},
                {"label": "B", **CRA, "attack": "none"},
                {"label": "C", "method": "ma"},
            ]
        ),
        by,
    )
    assert (cra.aggregation.name, cra.attack.name) == ("phocas", "gaussian")
    assert (own.aggregation.name, own.attack.name) == ("median", "none")
    assert (ma.aggregation.name, ma.attack.name) == ("mean", "gaussian")


def test_a_choice_for_a_method_holds_for_that_method_alone():
    by = reading(method__cra_dl__encoding="replication", method__clairvoyant__redundancy=40)
    cra, corrected, seen, sgc = runs(
        study(
            [
                {"label": "A", **CRA},
                {"label": "B", **CRA, "encoding": "uniform"},
                {"label": "C", "method": "clairvoyant"},
                {"label": "D", "method": "sgc_dl", "redundancy": 30},
            ]
        ),
        by,
    )
    assert (cra.encoding.name, corrected.encoding.name) == ("replication", "uniform")
    assert (seen.redundancy, sgc.redundancy) == (40, 30)


def test_a_choice_for_a_plain_field_holds_unless_the_study_says_otherwise():
    by = reading(step_size=0.3, byzantine__identities="persistent", record__step=9, iterations=11)
    one, two = runs(
        study([{"label": "A", **CRA}, {"label": "B", **CRA, "step_size": 1, "byzantine": {"identities": "redrawn"}}]),
        by,
    )
    assert (one.step_size, one.byzantine.identities, one.record.step, one.iterations) == (0.3, "persistent", 9, 11)
    assert (two.step_size, two.byzantine.identities, two.iterations) == (1.0, "redrawn", 11)


# --- plans -----------------------------------------------------------------------------------------------------------

STUDY = """
    study: {name}
    title: {title}
    base: {{problem: {{name: linear_regression, subsets: 60, dimension: 7}}, devices: 20, attack: sign_flip}}
    curves:
      - {{label: {label}, method: cra_dl, redundancy: 12, aggregation: median}}
      - {{label: Own, method: cra_dl, redundancy: {own}, aggregation: median}}
    plots:
      loss: {{kind: trajectories, caption: c}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    def write(name, text):
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")

    monkeypatch.chdir(tmp_path)
    write("one.yaml", STUDY.format(name="one", title="First", label="A", own=13))
    write("two.yaml", STUDY.format(name="two", title="Second", label="B", own=14))
    write("reading.yaml", "{reading: r, title: t, choices: []}")
    write("style.yaml", "cra_dl: {color: '#D55E00'}")
    return write


CONFIG = {"studies": ["one.yaml", "two.yaml"], "reading": "reading.yaml", "style": "style.yaml"}


def test_a_run_that_two_studies_share_is_one_run(project):
    plan = load_plan(CONFIG)
    one, two = (plan.studies[name].run_ids() for name in ("one", "two"))
    assert one[0] == two[0]
    assert one[1] != two[1]
    assert set(plan.runs) == {*one, *two}
    assert len(plan.runs) == 3
    assert all(run == spec.run_id for run, spec in plan.runs.items())
    assert len(plan.allocations) == 3


def test_a_new_label_changes_no_run_and_no_summary_but_the_figure(project):
    before = load_plan(CONFIG)
    project("one.yaml", STUDY.format(name="one", title="First", label="New", own=13))
    after = load_plan(CONFIG)
    assert after.runs.keys() == before.runs.keys()
    assert after.studies["one"].summary_json() == before.studies["one"].summary_json()
    assert after.studies["one"].figure_json("loss") != before.studies["one"].figure_json("loss")


def test_a_new_point_is_the_only_new_run(project):
    before = load_plan(CONFIG)
    project("one.yaml", STUDY.format(name="one", title="First", label="A", own=13) + "    grid: {redundancy: [12]}\n")
    project("two.yaml", STUDY.format(name="two", title="Second", label="B", own=15))
    after = load_plan(CONFIG)
    assert len(after.runs.keys() - before.runs.keys()) == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("one.yaml", "study: [", ["one.yaml", "line", "not valid YAML"]),
        ("one.yaml", "- 1", ["one.yaml", "expected a mapping"]),
        ("one.yaml", "study: one\nstudy: two\n", ["one.yaml", "line 2", "occurs twice"]),
        (
            "one.yaml",
            STUDY.format(name="two", title="T", label="A", own=13),
            ["two.yaml", "already the name of the study in one.yaml"],
        ),
        ("one.yaml", STUDY.format(name="One Two", title="T", label="A", own=13), ["one.yaml", "study"]),
        ("style.yaml", "ma: {color: '#D55E00'}", ["cra_dl", "style.yaml"]),
        ("style.yaml", "cra_dl: {color: red}", ["style.yaml", "cra_dl", "red"]),
        (
            "reading.yaml",
            "{reading: r, title: t, choices: [{key: colour, value: 1, mark: unknown, reason: x}]}",
            ["reading.yaml", "colour"],
        ),
        (
            "reading.yaml",
            "{reading: r, title: t, choices: [{key: attack.sign_flip.name, value: alie, mark: unknown, reason: x}]}",
            ["reading.yaml: choices.key = 'attack.sign_flip.name': unknown key; allowed: coefficient, of"],
        ),
        (
            "reading.yaml",
            "{reading: r, title: t, choices: [{key: attack.none.scale, value: 2, mark: unknown, reason: x}]}",
            ["reading.yaml: choices.key = 'attack.none.scale': it has no options"],
        ),
    ],
)
def test_a_mistake_in_a_file_is_told_in_one_line(name, text, words, project):
    project(name, text)
    with pytest.raises(UserError) as caught:
        load_plan(CONFIG)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_missing_files_are_told(project):
    for config in (
        {**CONFIG, "studies": ["none*.yaml"]},
        {**CONFIG, "reading": "none.yaml"},
        {**CONFIG, "style": "none.yaml"},
    ):
        with pytest.raises(UserError, match="none"):
            load_plan(config)
    with pytest.raises(UserError, match="did you mean 'studies'"):
        load_plan({"studys": []})


def test_yaml_numbers_with_an_exponent_are_numbers(project):
    """YAML 1.1 reads 1e6 as a text; a spec makes a number of it."""
    project("numbers.yaml", "diverged_at: 1e6\n")
    assert spec(**read_yaml("numbers.yaml")) == spec(diverged_at=1_000_000)
