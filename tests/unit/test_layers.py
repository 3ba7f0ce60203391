"""A mapping has no order, and a layer over another keeps what it does not speak of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.claim_runs import ROOT

from byzcode.errors import UserError
from byzcode.multiverse.readings import read_as
from byzcode.provenance.content import canonical
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.studies.expand import expand, merge
from byzcode.studies.plan import load_plan, read_yaml
from byzcode.studies.study import Reading, Study

SMALL = {"problem.subsets": 20, "problem.dimension": 5, "devices": 10, "iterations": 20, "seeds": 2}
CRA = {"label": "A", "method": "cra_dl", "redundancy": 4, "aggregation": "median"}
RANDOM_K = {"label": "A", "method": "com_lad", "redundancy": 4, "aggregation": "median"}
PLOTS = {"p": {"kind": "allocation", "caption": "c"}}


def reading(*choices):
    listed = [{"key": key, "value": value, "mark": "unknown", "reason": "a test"} for key, value in choices]
    return Reading.model_validate({"reading": "r", "title": "t", "choices": listed})


def members(base=(), curve=None, grid=(), by=()):
    values = {"study": "s", "title": "t", "plots": PLOTS, "base": {**SMALL, **dict(base)}, "grid": dict(grid)}
    return expand(parse(Study, {**values, "curves": [curve or CRA]}, "test"), reading(*by), "test")


def run(base=(), curve=None, by=()) -> RunSpec:
    [one] = members(base, curve, by=by)
    return one.spec


def refusal(*arguments, **more) -> str:
    with pytest.raises(UserError) as caught:
        members(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("test: ").removeprefix("curve 'A': ")


# --- the order of keys -----------------------------------------------------------------------------------------------

SAME = [
    {"attack": "sign_flip", "attack.coefficient": -3},
    {"attack": {"name": "sign_flip"}, "attack.coefficient": -3},
    {"attack": {"coefficient": -3}, "attack.name": "sign_flip"},
    {"attack": {"name": "sign_flip", "coefficient": -3}, "attack.coefficient": -3.0},
    {"problem": "linear_regression", "problem.subsets": 40, "problem.dimension": 5},
    {"problem": {"dimension": 5, "name": "linear_regression"}, "problem.subsets": 40},
    {"byzantine": {"alpha": 0.1}, "byzantine.identities": "persistent"},
    {"record": {"spacing": "log"}, "record.step": 3},
    {"compression": "random_k", "compression.share": 0.5},
    {"allocation": "random", "allocation.side": "subset"},
    {"aggregation": "phocas", "aggregation.variant": "vector"},
    {"pre_aggregation": "bucketing", "pre_aggregation.size": 3},
]


@pytest.mark.parametrize("fields", SAME, ids=str)
def test_a_dotted_key_holds_before_and_after_its_component(fields):
    curve = {key: value for key, value in CRA.items() if key not in fields}
    one, other = (run(curve={**curve, **dict(each)}) for each in (fields.items(), reversed(fields.items())))
    assert one.run_id == other.run_id
    for key, value in fields.items():
        head, _, option = key.partition(".")
        if option:
            assert one.model_dump()[head][option] == value


ENTRIES = [
    *(("attack", value) for value in ("sign_flip", "alie", "nonsense", 5, {"name": "sign_flip", "coefficient": -5})),
    *(("attack", value) for value in ({"coefficient": -3}, {"coefficient": -3, "factor": 2}, {})),
    *(("attack.coefficient", value) for value in (-3, -5.0, True, 1)),
    *(("attack.factor", 2), ("attack.name", "sign_flip"), ("attack.coefficient.deeper", 1), ("attack.of.x.y", 1)),
    *(("byzantine", value) for value in ({"alpha": 0.1}, {"identities": "persistent", "alpha": 0.3}, 3)),
    *(("byzantine.alpha", 0.1), ("byzantine.alpha", "x"), ("byzantine.identities", "persistent")),
    *(("problem", "linear_regression"), ("problem.subsets", 20), ("problem", {"subsets": 30}), ("problem.colour", 1)),
    *(("compression", "random_k"), ("compression.share", 0.5), ("compression", {"name": "top_k", "share": 0.2})),
    *(("record", {"spacing": "log"}), ("record.step", 2), ("record", {"step": 3})),
    *(("allocation", "random"), ("allocation.side", "subset"), ("pre_aggregation.size", 3), ("aggregation.kept", 3)),
    *(("aggregation", "multi_krum"), ("devices", 5), ("devices.x", 5), ("devcies", 5), ("iterations", -1)),
]


def mappings(most):
    return st.lists(st.sampled_from(ENTRIES), max_size=most, unique_by=lambda entry: entry[0]).map(dict)


def shuffled(value, order):
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value


def outcome(values, choices):
    """The runs and where they stand, or the refusal."""
    try:
        found = expand(parse(Study, values, "test"), reading(*choices), "test")
    except UserError as error:
        return str(error)
    return sorted(canonical([member.curve.label, member.point, member.spec.canonical()]) for member in found)


@settings(max_examples=400, deadline=None)
@given(
    base=mappings(5),
    grid=mappings(2),
    curve=mappings(4),
    own=mappings(1),
    chosen=mappings(2),
    order=st.randoms(use_true_random=False),
)
def test_any_order_of_the_keys_gives_the_same_runs_or_the_same_refusal(base, grid, curve, own, chosen, order):
    values = {
        "study": "s",
        "title": "t",
        "plots": PLOTS,
        "base": SMALL | base,
        "grid": {key: [value] for key, value in grid.items()},
        "curves": [
            CRA | curve | {"grid": {key: [value] for key, value in own.items()}},
            {"label": "B", "method": "ma"},
        ],
    }
    choices = [(key, value) for key, value in chosen.items() if key.partition(".")[0] in ("byzantine", "record")]
    expected = outcome(values, choices)
    turned = choices[::-1]
    assert outcome(shuffled(values, order), turned) == expected


# --- one layer over another ------------------------------------------------------------------------------------------

ALPHA = {"name": "sign_flip", "coefficient": -3}


@pytest.mark.parametrize(
    ("base", "curve", "found"),
    [
        ({"attack.coefficient": -3}, {"attack": "sign_flip"}, {"attack": ALPHA}),
        ({"attack": ALPHA}, {"attack": "sign_flip"}, {"attack": ALPHA}),
        (
            {"attack": ALPHA},
            {"attack": {"name": "sign_flip", "of": "honest_mean"}},
            {"attack": {**ALPHA, "of": "honest_mean"}},
        ),
        ({"attack": ALPHA}, {"attack.coefficient": -2}, {"attack": {**ALPHA, "coefficient": -2}}),
        ({"attack": ALPHA}, {"attack": {"name": "sign_flip", "coefficient": -2}}, {"attack": {"coefficient": -2}}),
        ({"attack": ALPHA}, {"attack": "alie"}, {"attack": {"name": "alie"}}),  # its options go with a component
        ({"byzantine": {"alpha": 0.1}}, {"byzantine": {"identities": "persistent"}}, {"byzantine": {"alpha": 0.1}}),
        ({"byzantine.alpha": 0.1}, {"byzantine": {"identities": "persistent"}}, {"byzantine": {"alpha": 0.1}}),
        ({"record": {"spacing": "log", "step": 3}}, {"record": {"step": 4}}, {"record": {"spacing": "log", "step": 4}}),
        ({"problem": "linear_regression"}, {"problem": {"sigma_h": 0.5}}, {"problem": {"sigma_h": 0.5, "subsets": 20}}),
        ({"problem.sigma_h": 0.5}, {"problem": "linear_regression"}, {"problem": {"sigma_h": 0.5, "subsets": 20}}),
        (
            {"aggregation": {"name": "phocas", "variant": "vector"}},
            {"aggregation": "phocas"},
            {"aggregation": {"variant": "vector"}},
        ),
        ({"compression.share": 0.5}, {"compression": "random_k"}, {"compression": {"name": "random_k", "share": 0.5}}),
    ],
    ids=str,
)
def test_an_option_stays_where_the_same_component_is_named_again(base, curve, found):
    one = run(base, {**CRA, **curve}).model_dump()
    for head, parts in found.items():
        assert one[head].items() >= parts.items()


def test_an_option_alone_is_of_the_component_that_the_method_or_the_reading_names():
    assert run({"compression.share": 0.5}, RANDOM_K).compression.options["share"] == 0.5
    whole = {**RANDOM_K, "method": "lad"}  # it fixes what is sent, which outweighs the base
    assert run({"compression.share": 0.5}, whole).compression.name == "identity"
    by = [("attack", {"name": "gaussian", "scale": 3.0})]
    assert run(by=by).attack.options["scale"] == 3
    assert run({"attack": "gaussian"}, by=by).attack.options["scale"] == 3
    assert run({"attack.scale": 2.0}, by=by).attack.options["scale"] == 2
    assert run({"attack": "sign_flip"}, by=by).attack.name == "sign_flip"


def test_parts_of_a_reading_stay_where_a_study_speaks_of_others():
    by = [("byzantine", {"identities": "persistent", "compressed": False}), ("record.step", 3)]
    one = run({"byzantine.alpha": 0.1, "record": {"spacing": "log"}}, by=by)
    assert one.byzantine.model_dump() == {"alpha": 0.1, "identities": "persistent", "compressed": False}
    assert one.record.model_dump() == {"spacing": "log", "step": 3}


@pytest.mark.parametrize("turned", [False, True])
def test_a_choice_for_a_method_outweighs_one_for_all(turned):
    by = [("redundancy", 8), ("method.cra_dl.redundancy", 6)]
    curve = {key: value for key, value in CRA.items() if key != "redundancy"}
    assert run(curve=curve, by=by[::-1] if turned else by).redundancy == 6


def test_a_grid_over_an_option_holds_for_a_curve_that_names_the_component():
    found = members(grid={"attack.coefficient": [-4, -2, -1]}, curve={**CRA, "attack": "sign_flip"})
    assert [member.spec.attack.options["coefficient"] for member in found] == [-4, -2, -1]
    assert [member.coordinate("attack.coefficient") for member in found] == [-4, -2, -1]


def test_a_grid_of_a_curve_may_be_over_its_method():
    found = members(curve={"label": "A", "aggregation": "mean", "grid": {"method": ["ma", "rba_dl"]}})
    assert [member.spec.method for member in found] == ["ma", "rba_dl"]


@pytest.mark.parametrize(
    ("base", "curve", "says"),
    [
        (
            {"attack": {"name": "sign_flip", "coefficient": -5}, "attack.coefficient": -3},
            {},
            "attack.coefficient = -3: base also gives attack.coefficient = -5; give one value",
        ),
        (
            {},
            {"byzantine": {"alpha": 0.2}, "byzantine.alpha": 0.3},
            "byzantine.alpha = 0.3: the curve also gives byzantine.alpha = 0.2; give one value",
        ),
        (
            {"attack": "sign_flip", "attack.name": "alie"},
            {},
            "attack.name = 'alie': base also gives attack.name = 'sign_flip'; give one value",
        ),
        (
            {"attack.coefficient": -3},
            {"attack": "alie"},
            "attack.coefficient = -3: unknown key; allowed: name, factor; base gives it, but the curve names alie",
        ),
        (
            {"compression.share": 0.5},
            {},
            "compression.share = 0.5: unknown key; allowed: name; base gives it, but the default names identity",
        ),
        (
            {"attack.coefficient": -3},
            {"method": "gradient_descent"},
            None,  # what a method fixes outweighs the base
        ),
        (
            {},
            {"attack": "alie", "attack.coefficient": -3},
            "attack.coefficient = -3: unknown key; allowed: name, factor",
        ),
        ({"devices.x": 3}, {}, "devices.x = 3: devices has no parts"),
        ({"byzantine": "persistent"}, {}, "byzantine = 'persistent': expected a mapping of keys to values"),
        (
            {"attack.coefficient.deeper": 3},
            {"attack": "sign_flip"},
            "attack.coefficient = {'deeper': 3}: allowed: numbers",
        ),
        (
            {"attack": {"coefficient": {"deeper": 3}}, "attack.coefficient": -3},
            {},
            "attack.coefficient = -3: base also gives attack.coefficient.deeper = 3; give one value",
        ),
    ],
    ids=str,
)
def test_what_contradicts_itself_or_belongs_elsewhere_is_refused_in_one_line(base, curve, says):
    curve = {**CRA, **curve}
    if curve["method"] == "gradient_descent":
        curve = {"label": "A", "method": "gradient_descent"}
    if says is None:
        assert members(base, curve)
    else:
        assert refusal(base, curve) == says


def test_an_option_of_the_base_does_not_fit_a_grid_of_several_components():
    says = refusal({"attack.coefficient": -3}, grid={"attack": ["sign_flip", "alie"]})
    assert says == (
        "attack.coefficient = -3: unknown key; allowed: name, factor; base gives it, but the grid names alie"
    )


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ([("iterations", 3), ("iterations", 4)], "iterations = 4: each key once in a reading"),
        (
            [("byzantine", {"alpha": 0.1}), ("byzantine.alpha", 0.2)],
            "byzantine.alpha = 0.2: the reading also gives byz",
        ),
        (
            [("attack", {"name": "gaussian", "scale": 3}), ("attack.gaussian.scale", 2)],
            "attack.gaussian.scale = 2: attack gives 3; give one value",
        ),
    ],
    ids=str,
)
def test_a_reading_that_contradicts_itself_is_refused(choices, says):
    assert refusal(by=choices).startswith(says)
    assert refusal(by=choices[::-1])


def test_a_value_that_no_run_has_is_checked_all_the_same():
    gradient = {"label": "A", "method": "gradient_descent"}
    assert refusal({"attack": "nonsense"}, gradient).startswith("base.attack = 'nonsense': unknown attack; ")
    says = refusal(curve=gradient, grid={"byzantine.alpha": [0.1, "much"]})
    assert says == "grid.byzantine.alpha = 'much': allowed: numbers"


# --- readings over runs ----------------------------------------------------------------------------------------------


def read(changed, fixed=(), **fields):
    return read_as(run(fields, CRA), changed, fixed, "test")


def test_a_change_of_one_part_keeps_the_others():
    one = read({"byzantine": {"compressed": False}}, **{"byzantine.identities": "persistent", "byzantine.alpha": 0.1})
    assert one.byzantine.model_dump() == {"alpha": 0.1, "identities": "persistent", "compressed": False}
    assert read({"attack": "sign_flip"}, attack=ALPHA).attack.options["coefficient"] == -3
    assert (
        read({"attack": {"name": "sign_flip", "of": "honest_mean"}}, attack=ALPHA).attack.options["coefficient"] == -3
    )


def test_what_a_claim_varies_stays_however_a_change_is_written():
    changes = (
        {"byzantine.alpha": 0.1, "byzantine.identities": "persistent"},
        {"byzantine": {"alpha": 0.1, "identities": "persistent"}},
    )
    one, other = (read(changed, ["byzantine.identities"]) for changed in changes)
    assert one == other
    assert (one.byzantine.alpha, one.byzantine.identities) == (0.1, "redrawn")


@pytest.mark.parametrize("turned", [False, True])
def test_an_option_comes_after_a_component_that_a_method_gets(turned):
    changed = {"method.cra_dl.allocation": "random", "allocation.random.side": "subset"}
    changed = dict(reversed(changed.items())) if turned else changed
    assert read(changed, allocation="cyclic").allocation.options == {"side": "subset"}


def test_a_change_that_contradicts_itself_is_refused():
    with pytest.raises(UserError, match=r"^test: byzantine\.alpha = 0\.2: the reading also gives byzantine\.alpha"):
        read({"byzantine": {"alpha": 0.1}, "byzantine.alpha": 0.2})


def test_merge_takes_dotted_keys_on_both_sides():
    assert merge({"attack.coefficient": -1}, {"attack": "sign_flip"}) == {
        "attack": {"name": "sign_flip", "coefficient": -1}
    }
    assert merge({"byzantine": {"alpha": 0.1}}, {"byzantine": {"identities": "persistent"}}) == {
        "byzantine": {"alpha": 0.1, "identities": "persistent"}
    }


@pytest.mark.parametrize("path", sorted((ROOT / "config/studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configured_study_in_another_order_has_the_same_runs(path):
    values, by = read_yaml(path), parse(Reading, read_yaml(ROOT / "config/readings/primary.yaml"), "test")
    expected = {member.spec.run_id for member in expand(parse(Study, values, "test"), by, "test")}
    turned = parse(Study, shuffled(values, random.Random(0)), "test")
    assert {member.spec.run_id for member in expand(turned, by, "test")} == expected


def test_a_plan_of_any_order_is_the_same_plan(tmp_path, monkeypatch):
    """A file whose dotted keys stand before their components plans the runs of one whose components come first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reading.yaml").write_text("{reading: r, title: t, choices: []}")
    (tmp_path / "style.yaml").write_text("rba_dl: {color: '#D55E00'}")
    base = ["problem: linear_regression", "problem.subsets: 20", "attack: sign_flip", "attack.coefficient: -3"]
    base += ["byzantine: {alpha: 0.2}", "byzantine.identities: persistent", "devices: 10", "aggregation: median"]
    found = []
    for lines in (base, base[::-1]):
        (tmp_path / "study.yaml").write_text(
            f"study: s\ntitle: t\nbase: {{{', '.join(lines)}}}\ncurves: [{{label: A, method: rba_dl}}]\n"
            "plots: {p: {kind: trajectories, caption: c}}\n"
        )
        plan = load_plan({"studies": ["study.yaml"], "reading": "reading.yaml", "style": "style.yaml"})
        found.append([spec.canonical() for spec in plan.runs.values()])
    assert found[0] == found[1]
    [spec] = plan.runs.values()
    assert (spec.subsets, spec.attack.options["coefficient"]) == (20, -3)
    assert spec.byzantine.identities == "persistent"


def test_the_grid_of_a_curve_replaces_that_of_the_study_key_by_key():
    own = {"attack": ["sign_flip"]}
    found = members(grid={"attack": [ALPHA, "alie"], "step_size": [0.5, 1]}, curve={**CRA, "grid": own})
    assert [member.point for member in found] == [{"attack": "sign_flip", "step_size": step} for step in (0.5, 1)]
    assert [member.spec.attack.options["coefficient"] for member in found] == [-5, -5]
