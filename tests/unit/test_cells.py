"""Which runs a claim means, and what is said of mistakes in one."""

from __future__ import annotations

import copy
import itertools
import re
import shutil

import pytest
from unit.claim_runs import RECORD, ROOT, WORDS

from byzcode.errors import UserError
from byzcode.studies.claim import Open
from byzcode.studies.plan import load_plan, load_plan_file


@pytest.fixture(scope="module")
def configured():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return load_plan_file("config/config.yaml")


@pytest.fixture(scope="module")
def cells(configured):
    return {cell.name: cell for planned in configured.studies.values() for cell in planned.cells}


def test_every_configured_claim_has_tests_and_runs(configured, cells):
    count = 0
    for planned in configured.studies.values():
        for each in planned.study.claims:
            mine = [cell for cell in planned.cells if cell.claim.claim == each.claim]
            assert mine, each.claim
            count += len(mine)
            for cell in mine:
                runs = [member.spec.run_id for member in (*cell.runs, *cell.against)]
                assert bool(runs) != isinstance(each, Open)
                assert set(runs) <= set(configured.runs)
                assert len(runs) == len(set(runs)), cell.name  # none of them compares a run with itself
    assert count == len(cells)  # each name once


def test_a_test_says_where_on_the_grid_it_stands(cells):
    """What a claim fixes there is a condition of its verdict: at -2 the plain mean is not beaten."""
    assert cells["cra-a/below-sgc-dl/median"].request()["place"] == "attack.coefficient = -5, aggregation = median"


def test_all_compared_runs_have_the_same_data_and_seeds(cells):
    for name, cell in cells.items():
        specs = [member.spec for member in (*cell.runs, *cell.against)]
        varied = {"sigma_h"} if getattr(cell.claim, "along", "") == "problem.sigma_h" else set()
        for one, other in itertools.pairwise(specs):
            assert one.seeds == other.seeds
            data = [{**each.problem.model_dump(), **dict.fromkeys(varied)} for each in (one, other)]
            assert data[0] == data[1], cell.name
            assert (one.iterations, one.devices) == (other.iterations, other.devices)
            # on real data each method has the step that was chosen for it (test_real_steps)
            assert one.step_size == other.step_size or name.startswith(("real-digits/", "mlp-digits/"))


ATTACKS = {
    "cra-a": ("sign_flip", -5.0, 0.2),
    "cra-b": ("gaussian", None, 0.03),
    "cra-c": ("sample_duplicating", None, 0.4),
}


@pytest.mark.parametrize("study", ATTACKS)
@pytest.mark.parametrize(("method", "redundancy"), [("ma", 10), ("rba_dl", 10), ("sgc_dl", 40)])
@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas"])
def test_the_orderings_of_cra_dl_are_of_the_runs_that_they_name(study, method, redundancy, rule, cells):
    cell = cells[f"{study}/below-{method.replace('_', '-')}/{rule}"]
    (one,), (other,) = ([member.spec for member in side] for side in (cell.runs, cell.against))
    attack, coefficient, alpha = ATTACKS[study]
    assert (one.method, one.redundancy, one.aggregation.name, one.encoding.name) == ("cra_dl", 40, rule, "uniform")
    assert (other.method, other.redundancy) == (method, redundancy)
    assert other.aggregation.name == (rule if method == "rba_dl" else "mean")
    for each in (one, other):
        assert (each.attack.name, each.attack.options.get("coefficient")) == (attack, coefficient)
        assert (each.byzantine.alpha, each.byzantine.identities) == (alpha, "redrawn")
        assert (each.devices, each.subsets, len(each.seeds)) == (100, 1000, 20)
    assert cell.place == {"aggregation": rule}


@pytest.mark.parametrize("study", ATTACKS)
@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas"])
def test_at_equal_work_devices_compute_and_store_as_many_subsets(study, rule, cells):
    (coded,), (uncoded,) = specs_of(cells[f"{study}/pays-at-equal-work/{rule}"])
    assert (coded.method, uncoded.method) == ("cra_dl", "rba_dl")
    assert coded.redundancy == uncoded.redundancy == 10
    assert coded.aggregation.name == uncoded.aggregation.name == rule


@pytest.mark.parametrize("attack", ["sign_flip -2", "alie", "ipm"])
def test_at_equal_storage_lad_has_one_task_and_all_subsets(attack, cells):
    (coded,), (other,) = specs_of(cells[f"lad-a/pays-at-equal-storage/{attack}"])
    assert (coded.redundancy, other.redundancy) == (20, 1)
    assert (coded.method, coded.assignment) == (other.method, other.assignment) == ("lad", "redrawn")


@pytest.mark.parametrize("dimension", [80, 50])
@pytest.mark.parametrize("attack", ["sign_flip -2", "alie"])
def test_lad_is_compared_with_the_exact_gradient_at_fewer_parameters(dimension, attack, cells):
    (coded,), (exact,) = specs_of(cells[f"lad-dimension/near-draco-{dimension}/{attack}"])
    assert (coded.method, coded.redundancy, exact.method) == ("lad", 20, "gradient_descent")
    assert coded.dimension == exact.dimension == dimension
    assert coded.iterations == exact.iterations == 1000


def test_nobody_lies_in_the_control(cells):
    control = [cell for name, cell in cells.items() if name.startswith("cra-no-liars/")]
    assert len(control) == 5
    assert {spec.f for cell in control for side in specs_of(cell) for spec in side} == {0}


def specs_of(cell):
    return [[member.spec for member in side] for side in (cell.runs, cell.against)]


def test_the_other_claims_are_of_the_runs_that_they_name(cells):
    runs, _ = specs_of(cells["cra-d/error-falls/median"])
    assert [each.redundancy for each in runs] == [10, 20, 30, 40, 50]
    assert {(each.method, each.aggregation.name) for each in runs} == {("cra_dl", "median")}
    runs, against = specs_of(cells["cra-e/advantage-grows-ratio/phocas"])
    assert [each.problem.options["sigma_h"] for each in runs] == [0, 0.25, 0.5]
    assert [each.problem.options["sigma_h"] for each in against] == [0, 0.25, 0.5]
    assert {(each.method, each.redundancy) for each in (*runs, *against)} == {("cra_dl", 40), ("rba_dl", 10)}
    (one,), (other,) = specs_of(cells["cra-f/as-exact-coding/trimmed_mean"])
    assert (other.method, other.redundancy, other.f, one.f) == ("draco_cyclic", 110, 5, 5)
    (one,), (other,) = specs_of(cells["cra-f/as-clairvoyant/trimmed_mean"])
    assert (other.method, other.redundancy, other.allocation_spec) == ("clairvoyant", 40, one.allocation_spec)
    (one,), (other,) = specs_of(cells["cra-identities/redrawn-is-stronger/median"])
    assert (one.byzantine.identities, other.byzantine.identities) == ("persistent", "redrawn")
    (one,), (other,) = specs_of(cells["lad-a/below-cwtm/sign_flip -2"])
    assert (one.method, one.redundancy, other.method, other.redundancy) == ("lad", 20, "cwtm", 1)
    assert one.attack == other.attack
    assert one.attack.options["coefficient"] == -2
    (one,), (other,) = specs_of(cells["lad-d/nnm-helps/random_k 0.3"])
    assert one.compression == other.compression
    assert one.compression.options["share"] == 0.3
    assert (one.pre_aggregation.name, other.pre_aggregation.name) == ("nnm", "none")
    (one,), () = specs_of(cells["coded-variance/sampled-40"])
    assert (one.redundancy, one.subsets) == (40, 1000)


SMALL = {
    "study": "small",
    "title": "A small study",
    "base": {
        "problem.subsets": 12,
        "problem.dimension": 3,
        "devices": 6,
        "iterations": 5,
        "seeds": 2,
        "aggregation": "median",
    },
    "grid": {"attack": [{"name": "sign_flip", "coefficient": -5}, "ipm"]},
    "curves": [
        {"label": "RBA-DL", "method": "rba_dl"},
        {"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [4, 6, 12]}},
    ],
    "plots": {"who": {"kind": "sweep", "x": "redundancy", "columns": "attack", "caption": "c", "curves": ["CRA-DL"]}},
}
GOOD = {
    **WORDS,
    "test": "lower",
    "curve": {"curve": "CRA-DL", "where": {"redundancy": 6}},
    "against": "RBA-DL",
    "each": ["attack"],
}
FALLS = {**WORDS, "test": "falls", "curve": "CRA-DL", "along": "redundancy", "values": [4, 6], "each": ["attack"]}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The cells of the small study with other claims."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def plan(*claims, **changes):
        import yaml

        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump({**copy.deepcopy(SMALL), "claims": list(claims), **changes}))
        return load_plan({"studies": [path.name]}).studies["small"].cells

    return plan


def test_a_good_claim_has_a_test_at_each_place(planned):
    found = planned(GOOD, {**FALLS, "claim": "two"})
    assert [cell.name for cell in found] == [
        "small/one/sign_flip -5",
        "small/one/ipm",
        "small/two/sign_flip -5",
        "small/two/ipm",
    ]
    assert found[0].request()["place"] == "attack = sign_flip -5"
    assert [member.spec.attack.name for member in (*found[1].runs, *found[1].against)] == ["ipm", "ipm"]
    assert [member.spec.redundancy for member in found[2].runs] == [4, 6]


def test_a_claim_may_be_of_another_kind_at_a_place(planned):
    found = planned({**GOOD, "kind": "law", "kinds": [{"where": {"attack": "ipm"}, "kind": "chosen"}]})
    assert [cell.claim.kind for cell in found] == ["law", "chosen"]
    assert [cell.request()["claim"]["kinds"] for cell in found] == [[], []]


def test_a_control_names_claims_of_its_study(planned):
    control = {**GOOD, "claim": "two", "kind": "control", "controls": ["one"]}
    assert [cell.claim.kind for cell in planned(GOOD, control)] == ["empirical"] * 2 + ["control"] * 2
    for names, message in (
        (["oen"], "claims[1].controls = 'oen': not a tested claim of this study; did you mean 'one'? allowed: one"),
        (["two"], "claims[1].controls = 'two': not a tested claim of this study; "),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            planned(GOOD, {**control, "controls": names})


def test_the_shipped_claims_have_their_kinds(cells):
    kinds = {name: cell.claim.kind for name, cell in cells.items()}
    assert {name for name, kind in kinds.items() if name.startswith("lad-d/below-com-cwtm/") and kind == "chosen"} == {
        "lad-d/below-com-cwtm/random_k 0.1"
    }
    assert {kinds[name] for name in kinds if name.startswith("coded-variance/")} == {"identity"}
    assert {cell.claim.test for cell in cells.values() if cell.claim.kind == "law"} == {"law"}
    assert all(cell.claim.test != "law" for cell in cells.values() if cell.claim.kind != "law")


def test_a_key_may_be_said_twice_of_one_place(planned):
    """A component that is named alone is any of that name: options may be said beside it."""
    there = {"redundancy": 6, "attack": {"name": "sign_flip", "coefficient": -5}}
    (found,) = planned({**GOOD, "where": {"attack": "sign_flip"}, "curve": {"curve": "CRA-DL", "where": there}})
    assert (found.name, found.runs[0].spec.redundancy) == ("small/one/sign_flip -5", 6)


MISTAKES = {
    "an unknown curve": ({"against": "RBA"}, "claims[0].against = 'RBA': not a curve of this study; did you mean"),
    "an unknown key": (
        {"where": {"redundncy": 4}},
        "claims[0].curve.where = 'redundncy': not a grid key of this study; did you mean 'redundancy'?",
    ),
    "a key of another curve": (
        {"against": {"curve": "RBA-DL", "where": {"redundancy": 4}}},
        "claims[0].against.where = 'redundancy': 'RBA-DL' does not vary it; allowed: attack",
    ),
    "an unknown value": (
        {"curve": {"curve": "CRA-DL", "where": {"redundancy": 5}}},
        "claims[0].curve = 'CRA-DL': must be a single run, but 0 match; its grid has no ",
    ),
    "an unknown value of a place": (
        {"where": {"attack": "gaussian"}},
        "claims[0].where.attack = 'gaussian': not a value of the grid; allowed: sign_flip -5, ipm",
    ),
    "a side that is elsewhere": (
        {"where": {"redundancy": 4}},
        "claims[0].curve.where.redundancy = 6: contradicts redundancy = 4, where the claim is tested; give one value",
    ),
    "a side that does not go along": (
        {"against": {"curve": "CRA-DL", "where": {"redundancy": 4, "attack": "ipm"}}},
        "claims[0].against.where.attack = 'ipm': contradicts attack = {'name': 'sign_flip', ",
    ),
    "a part in which it is not tested": (
        {**FALLS, "where": {"redundancy": 4}, "against": None},
        "claims[0].where.redundancy = 4: contradicts redundancy = 6, where the claim is tested; give one value",
    ),
    "an ambiguous side": (
        {"curve": "CRA-DL"},
        "claims[0].curve = 'CRA-DL': must be a single run, but 3 match; give values of redundancy",
    ),
    "no grid key": (
        {"each": ["aggregation"]},
        "claims[0].each = 'aggregation': not a key of the study's grid; ",
    ),
    "an unknown plot": ({"figure": "how"}, "claims[0].figure = 'how': not a plot of this study; allowed: who"),
    "an unknown kind": ({"test": "higher"}, "claims[0].test = 'higher': unknown name; allowed: lower, "),
    "an unknown field": ({"margn": 2}, "claims[0].margn = 2: unknown key; "),
    "a margin below 1": (
        {"test": "equivalent", "margin": 0.5},
        "claims[0].margin = 0.5: allowed: greater than 1",
    ),
    "what is open has no runs": (
        {"test": "open"},
        "claims[0].against = 'RBA-DL': unknown key; allowed: claim, kind, says, source, mark, test, reason",
    ),
    "a control of nothing": (
        {"kind": "control"},
        "claims[0].controls = []: allowed: names of the claims that it controls",
    ),
    "a claim that controls": (
        {"controls": ["one"]},
        "claims[0].controls = ['one']: allowed: only for a claim of kind control",
    ),
    "a control of an unknown claim": (
        {"kind": "control", "controls": ["two"]},
        "claims[0].controls = 'two': not a tested claim of this study; this study tests no other claim",
    ),
    "a kind that does not exist": ({"kind": "sure"}, "claims[0].kind = 'sure': allowed: empirical, law, identity, "),
    "another kind along no key": (
        {"kinds": [{"where": {"redundancy": 4}, "kind": "chosen"}]},
        "claims[0].kinds.where.redundancy = 4: not a key in each; allowed: attack",
    ),
    "another kind where it is not tested": (
        {"kinds": [{"where": {"attack": "gaussian"}, "kind": "chosen"}]},
        "claims[0].kinds.where.attack = 'gaussian': not a value at which the claim is tested; allowed: ",
    ),
    "a run and itself": (
        {"against": {"curve": "CRA-DL", "where": {"redundancy": 6}}},
        "claims[0].against = 'CRA-DL': the same run as the curve's",
    ),
    "along what does not vary": (
        {"test": "falls", "curve": "RBA-DL", "along": "redundancy", "values": [4, 6], "against": None},
        "claims[0].along = 'redundancy': some runs of 'RBA-DL' do not differ along it",
    ),
    "a factor of nothing": (
        {
            "test": "law",
            "curve": "CRA-DL",
            "along": "redundancy",
            "values": [4, 12],
            "predicted": "coded_variance",
            "margin": 0.2,
            "against": None,
        },
        "claims[0].curve = 12: redundancy must be below 12 (the number of subsets, M)",
    ),
}


@pytest.mark.parametrize(("changes", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gives_one_line(changes, says, planned):
    wrong = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(UserError) as caught:
        planned(wrong)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"small.yaml: {says}")


def test_a_claim_twice_gives_one_line(planned):
    with pytest.raises(UserError) as caught:
        planned(GOOD, FALLS)
    assert str(caught.value) == "small.yaml: claims[1].claim = 'one': each name once in a study"


def test_seeds_that_are_no_pairs_give_one_line(planned):
    curves = copy.deepcopy(SMALL["curves"])
    curves[0]["seeds"] = 3
    with pytest.raises(UserError, match=r"claims\[0\]\.curve = \(0, 1\): seeds must be the same in all runs"):
        planned(GOOD, curves=curves)


def test_a_study_that_trains_nothing_has_no_test(planned):
    plots = {"who": {"kind": "allocation", "caption": "c"}}
    with pytest.raises(UserError, match=r"claims\[0\]\.test = 'lower': this study trains nothing"):
        planned(GOOD, plots=plots)
    opened = {key: WORDS[key] for key in RECORD} | {"test": "open", "reason": "Why not."}
    assert [cell.name for cell in planned(opened, plots=plots)] == ["small/one"]


def test_an_option_alone_does_not_tell_components_apart(planned):
    grid = {"attack": [{"name": "sign_flip", "coefficient": -5}, {"name": "sign_flip", "coefficient": -2}]}
    wrong = {**GOOD, "each": [], "where": {"attack": "sign_flip"}}
    with pytest.raises(UserError, match="must be a single run, but 2 match; give the options as well"):
        planned(wrong, grid=grid)


RARELY = {**SMALL["base"], "iterations": 100, "record.step": 50}
FEW = (
    "curve 'CRA-DL': record.step = 50: records 1 of the last 20 iterations of 100, and a level needs 3; allowed: 1 to 6"
)
LINES = {"who": {"kind": "trajectories", "columns": "attack", "hue": "redundancy", "caption": "c"}}
LAW = {**WORDS, "test": "law", "curve": "CRA-DL", "along": "redundancy", "values": [4, 6], "each": ["attack"]}
LAW |= {"predicted": "heterogeneity", "margin": 0.5}


@pytest.mark.parametrize("at", ["plateau", "end"])
@pytest.mark.parametrize("claim", [GOOD, FALLS, LAW], ids=lambda claim: claim["test"])
def test_levels_of_too_few_records_give_one_line(claim, at, planned):
    with pytest.raises(UserError) as caught:
        planned({**claim, "at": at}, base=RARELY, plots=LINES)
    assert str(caught.value).startswith(f"small.yaml: claims[0], {FEW}")
    assert "\n" not in str(caught.value)
    assert planned({**claim, "at": at}, base={**RARELY, "record.step": 6}, plots=LINES)


def test_a_start_and_a_cost_need_no_records_of_the_end(planned):
    assert planned({**GOOD, "at": "start"}, base=RARELY, plots=LINES)
    assert planned({**GOOD, "quantity": "bits_sent"}, base=RARELY, plots=LINES)
    assert planned(base=RARELY, plots=LINES) == []
    costly = {**LAW, "quantity": "bits_sent"}  # the factor is a level all the same
    with pytest.raises(UserError, match=r"record\.step = 50"):
        planned(costly, base=RARELY, plots=LINES)


@pytest.mark.parametrize("claim", [GOOD, {**GOOD, "test": "equivalent", "margin": 2}], ids=["lower", "equivalent"])
def test_ends_after_unequally_many_iterations_give_one_line(claim, planned):
    curves = copy.deepcopy(SMALL["curves"])
    curves[0]["iterations"] = 50
    base = {**SMALL["base"], "iterations": 100, "record.step": 2}
    with pytest.raises(UserError) as caught:
        planned({**claim, "at": "end"}, curves=curves, base=base)
    assert str(caught.value) == (
        "small.yaml: claims[0].at = 'end': all runs must have equally many iterations; 'CRA-DL' has 100, "
        "'RBA-DL' has 50. Use at: plateau to compare runs of different lengths"
    )
    assert planned(claim, curves=curves, base=base)  # at the plateau
    assert planned({**claim, "at": "start"}, curves=curves, base=base)
    assert planned({**claim, "at": "end", "quantity": "bits_sent"}, curves=curves, base=base)


def test_ends_along_the_number_of_iterations_give_one_line(planned):
    curves = [{"label": "RBA-DL", "method": "rba_dl"}, {"label": "CRA-DL", "method": "cra_dl", "redundancy": 4}]
    grid = {"iterations": [50, 100]}
    along = {"curve": "CRA-DL", "along": "iterations", "values": [50, 100]}
    plots = {"who": {"kind": "sweep", "x": "iterations", "caption": "c"}}
    base = {**SMALL["base"], "attack": "ipm", "record.step": 2}
    for claim in (
        {**WORDS, "test": "falls", **along},
        {**WORDS, "test": "grows", **along, "against": "RBA-DL", "advantage": "ratio"},
    ):
        with pytest.raises(
            UserError, match=r"claims\[0\]\.at = 'end': all runs must have equally many iterations; 'CRA-DL' has 50"
        ):
            planned({**claim, "at": "end"}, curves=curves, grid=grid, plots=plots, base=base)
        assert planned(claim, curves=curves, grid=grid, plots=plots, base=base)


@pytest.mark.parametrize(("kind", "what"), [("sweep", "iterations"), ("bounds", "steps")])
def test_a_plot_of_levels_of_too_few_records_gives_one_line(kind, what, planned):
    plots = {"who": {"kind": kind, "x": "redundancy", "columns": "attack", "caption": "c"}}
    with pytest.raises(UserError) as caught:
        planned(base=RARELY, plots=plots)
    found = 1 if kind == "sweep" else 0  # where a step begins; the last record ends one
    assert str(caught.value) == (
        f"small.yaml: plots.who, curve 'RBA-DL': record.step = 50: records {found} of the last 20 {what} of 100, "
        "and a level needs 3; allowed: 1 to 6 iterations"
    )
    assert planned(base={**RARELY, "record.step": 6}, plots=plots) == []
    plots["who"]["curves"] = ["CRA-DL"]  # of what it shows
    curves = copy.deepcopy(SMALL["curves"])
    curves[1]["record.step"] = 5
    assert planned(base=RARELY, plots=plots, curves=curves) == []
