"""Readings: what each of them changes, what it leaves alone, and that a verdict under one is that of the scorecard."""

from __future__ import annotations

import copy
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from byzcode.analysis import evidence
from byzcode.errors import UserError
from byzcode.multiverse.plan import Multiverse, of_request
from byzcode.multiverse.readings import Universe, changes, read_as, universes
from byzcode.multiverse.universe import KEPT, verdicts
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.studies.alternatives import Alternatives
from byzcode.studies.expand import lookup
from byzcode.studies.plan import load_plan, load_plan_file, read_yaml
from byzcode.training.workers import train

ROOT = Path(__file__).parents[2]
CONFIG, ALTERNATIVES = ROOT / "config/config.yaml", ROOT / "config/readings/alternatives.yaml"

# --- the configured readings -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def configured():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return Multiverse.load(load_plan_file("config/config.yaml"))


@pytest.fixture(scope="module")
def tests(configured):
    """What is tested under each reading, by its name: every one is valid."""
    return {name: configured.tests(universe) for name, universe in configured.universes.items()}


@pytest.fixture(scope="module")
def primary(configured, tests):
    """The runs of each cell under the primary reading, reduced and full."""
    return {
        universe.size: {test.request["cell"]: test for test in tests[name]}
        for name, universe in configured.universes.items()
        if universe.kind == "primary"
    }


def specs(test):
    return [test.specs[run] for run in (*test.request["runs"], *test.request["against"])]


def test_the_readings_are_the_primary_single_and_random_ones(configured):
    found = list(configured.universes.values())
    choices, settings = configured.alternatives.choices, configured.settings
    counts = Counter((universe.kind, universe.size) for universe in found)
    assert counts["primary", "reduced"] == counts["primary", "full"] == 1
    assert counts["single", "reduced"] == sum(len(choice.others) for choice in choices)
    assert counts["random", "reduced"] == settings.random >= 200
    assert counts["random", "full"] == settings.full - 1
    standing = {choice.choice: choice.primary for choice in choices}
    for universe in found:
        assert universe.taken.keys() == standing.keys()
        differ = sum(universe.taken[name] != value for name, value in standing.items())
        assert (differ == 0) == (universe.kind == "primary")
        assert differ == 1 or universe.kind != "single"
    reduced = {json.dumps(dict(each.taken)) for each in found if each.size == "reduced"}
    assert {json.dumps(dict(each.taken)) for each in found if each.size == "full"} <= reduced


def test_readings_have_names_of_their_own_that_stay(configured):
    found = universes(configured.settings, configured.alternatives.choices)
    assert [universe.name for universe in found] == list(configured.universes)
    assert len({universe.name for universe in found}) == len(found)
    for universe in found[:3]:
        turned = universe._replace(kind="random", taken=dict(reversed(universe.taken.items())))
        assert turned.name == universe.name
        assert universe._replace(size="full").name != universe._replace(size="reduced").name


def test_random_readings_draw_every_value_alike(configured):
    drawn = [universe for universe in configured.universes.values() if universe.kind == "random"]
    drawn = [universe for universe in drawn if universe.size == "reduced"]
    for choice in configured.alternatives.choices:
        names = [choice.primary, *(other.name for other in choice.others)]
        counts = Counter(universe.taken[choice.choice] for universe in drawn)
        assert set(counts) == set(names)
        expected = len(drawn) / len(names)
        assert sum((counts[name] - expected) ** 2 / expected for name in names) < 25  # 1e-5 of 4 degrees of freedom


def test_every_choice_has_different_alternatives_with_names_of_their_own(configured):
    names = [choice.choice for choice in configured.alternatives.choices]
    assert len(set(names)) == len(names)
    for choice in configured.alternatives.choices:
        values = [choice.primary, *(other.name for other in choice.others)]
        assert len(set(values)) == len(values), choice.choice
        assert len({json.dumps(other.set, sort_keys=True) for other in choice.others}) == len(choice.others)
        assert set(choice.studies or ()) <= set(configured.plan.studies)


def test_each_alternative_changes_some_run_and_nothing_that_a_claim_varies(configured, tests, primary):
    for name, universe in configured.universes.items():
        if universe.kind != "single":
            continue
        changed = 0
        for test in tests[name]:
            before = primary["reduced"][test.request["cell"]]
            changed += specs(test) != specs(before)
            claim = test.request["claim"]
            free = {key for asked in configured.settings.claims if asked.study == test.study for key in asked.where}
            along = {claim["along"]} if "along" in claim else set()
            own = {key for side in ("curve", "against") for key in claim.get(side, {}).get("where", {})}
            for key in ({*claim["each"], *along} | own) - free:
                for one, other in zip(specs(test), specs(before), strict=True):
                    gradient = one.method != other.method == "clairvoyant"  # which knows all: no rule, no liars
                    assert gradient or lookup(one, key) == lookup(other, key), (name, key)
        assert changed, universe.taken


def test_under_every_reading_the_same_cells_are_tested_on_pairs_of_seeds(tests):
    cells = [test.request["cell"] for test in next(iter(tests.values()))]
    assert len(set(cells)) == len(cells)
    for found in tests.values():
        assert [test.request["cell"] for test in found] == cells
        for test in found:
            assert len({one.seeds for one in specs(test)}) == 1
            for one, other in zip(test.request["runs"], test.request["against"], strict=bool(test.request["against"])):
                assert one != other, test.request["cell"]


def test_the_reduced_size_keeps_what_decides(primary):
    """N, M, r and f; exact decoding is what it gives, the true gradient."""
    for cell, test in primary["reduced"].items():
        for one, other in zip(specs(test), specs(primary["full"][cell]), strict=True):
            if one.method != other.method:
                assert (other.method, one.method, one.byzantine.alpha) == ("draco_cyclic", "gradient_descent", 0)
                continue
            kept = [(each.devices, each.subsets, each.redundancy, each.f, each.method) for each in (one, other)]
            assert kept[0] == kept[1]
            assert len(one.seeds) < len(other.seeds)
            assert one.iterations < other.iterations


@pytest.mark.parametrize(("choice", "key"), [("iterations", "iterations"), ("dimension", "problem.dimension")])
def test_a_reading_of_a_size_keeps_it_at_the_reduced_size(choice, key, configured, tests):
    seen = set()
    for name, universe in configured.universes.items():
        if (universe.kind, universe.size) == ("single", "reduced"):
            value = universe.taken[choice]
            if value in ("80", "320", "20", "50"):
                seen.add(value)
                assert {lookup(spec, key) for test in tests[name] for spec in specs(test)} == {int(value)}
    assert len(seen) == 2


def test_at_full_size_the_primary_reading_is_the_scorecards(configured, primary):
    cells = {cell.name: cell for planned in configured.plan.studies.values() for cell in planned.cells}
    for name, test in primary["full"].items():
        assert test.request == cells[name].request()


# --- one run under a reading -----------------------------------------------------------------------------------------

CRA = {"method": "cra_dl", "redundancy": 40, "attack": "sign_flip", "aggregation": "phocas"}


def spec(**changes):
    values = {**CRA, **changes}
    return RunSpec.parse({key: value for key, value in values.items() if value is not None}, "test")


def read(one, changed, fixed=()):
    return read_as(one, changed, fixed, "test")


def test_options_are_of_the_component_that_they_name():
    assert read(spec(), {"attack.sign_flip.coefficient": -2}) == spec(attack={"name": "sign_flip", "coefficient": -2})
    assert read(spec(), {"attack.gaussian.scale": 1}) == spec()
    assert read(spec(), {"step_size": 0.2, "aggregation.phocas.variant": "vector"}) == spec(
        step_size=0.2, aggregation={"name": "phocas", "variant": "vector"}
    )
    assert read(spec(), {"method.cra_dl.encoding": "replication"}) == spec(encoding="replication")
    assert read(spec(), {"method.sgc_dl.encoding": "uniform", "method.rba_dl.redundancy": 1}) == spec()


@pytest.mark.parametrize("turned", [False, True])
def test_an_option_is_set_after_its_component(turned):
    changed = {"attack": "gaussian", "attack.gaussian.scale": 3, "attack.sign_flip.coefficient": -1}
    changed = dict(reversed(changed.items())) if turned else changed
    assert read(spec(), changed) == spec(attack={"name": "gaussian", "scale": 3})


@pytest.mark.parametrize("turned", [False, True])
def test_a_method_in_place_of_a_method_brings_what_it_settles(turned):
    one = spec(method="clairvoyant", aggregation=None, redundancy=40, step_size=0.3, seeds=7)
    changed = {"method.clairvoyant.encoding": "replication", "method.clairvoyant.method": "gradient_descent"}
    changed = dict(reversed(changed.items())) if turned else changed
    expected = RunSpec.parse({"method": "gradient_descent", "step_size": 0.3, "seeds": 7}, "test")
    assert read(one, changed) == expected
    draco = RunSpec.parse({"method": "draco_cyclic", "redundancy": 110, "attack": "alie", "step_size": 0.3}, "test")
    assert read(draco, {"method.draco_cyclic.method": "gradient_descent"}) == expected.model_copy(
        update={"seeds": draco.seeds}
    )
    corrected = read(spec(), {"method.cra_dl.method": "cra_dl_corrected"})
    assert corrected == spec(method="cra_dl_corrected")
    assert corrected.encoding.name == "replication"


def test_what_the_claim_varies_stays():
    one = spec()
    assert read(one, {"attack": "gaussian", "step_size": 0.2}, ["attack.name"]) == spec(step_size=0.2)
    assert read(one, {"attack.sign_flip.coefficient": -1}, ["attack.coefficient"]) == one
    assert read(one, {"problem.linear_regression.sigma_h": 2}, ["problem.sigma_h"]) == one
    assert read(one, {"aggregation.phocas.variant": "vector"}, ["aggregation.name"]) != one  # an option is no name
    assert read(one, {"step_size": 0.2}, ["step_size"]) == one


def test_what_a_method_fixes_stays():
    exact = RunSpec.parse({"method": "gradient_descent"}, "test")
    assert read(exact, {"attack": "alie", "compression": "qsgd", "byzantine.compressed": False}) == exact
    mean = RunSpec.parse({"method": "ma", "attack": "ipm"}, "test")
    assert read(mean, {"attack": "alie", "aggregation": "median"}) == mean.model_copy(
        update={"attack": spec(attack="alie").attack}
    )


def test_an_impossible_reading_gives_one_line():
    with pytest.raises(UserError, match=r"^test: aggregation\.variant = 'message': allowed: coordinate, vector"):
        read(spec(), {"aggregation.phocas.variant": "message"})
    with pytest.raises(UserError, match=r"^test: redundancy = 2000: allowed: 1 to 1000"):
        read(spec(), {"method.cra_dl.redundancy": 2000})


def test_an_unknown_name_gives_one_line(configured):
    with pytest.raises(UserError) as caught:
        changes({"feature-scale": "11"}, configured.alternatives.choices, "cra-a")
    assert str(caught.value) == "reading: feature-scale = '11': did you mean '1'? allowed: 1, 0.1, 10"
    assert changes({}, configured.alternatives.choices, "cra-a") == {}


def test_a_choice_may_concern_some_studies_only(configured):
    taken = {"lad-attack": "ALIE"}
    assert changes(taken, configured.alternatives.choices, "lad-a") == {"attack": "alie"}
    assert changes(taken, configured.alternatives.choices, "cra-a") == {}


# --- a tiny multiverse, end to end -----------------------------------------------------------------------------------

STUDY = {
    "study": "tiny",
    "title": "A tiny study",
    "base": {
        "problem.subsets": 40,
        "problem.dimension": 4,
        "devices": 10,
        "iterations": 60,
        "record.step": 2,
        "seeds": 8,
        "attack": "sign_flip",
    },
    "grid": {"aggregation": ["median", "trimmed_mean"]},
    "curves": [
        {"label": "MA", "method": "ma"},
        {"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [4, 20]}},
    ],
    "plots": {"plateau": {"kind": "sweep", "x": "redundancy", "columns": "aggregation", "caption": "c"}},
    "claims": [
        {
            "claim": "below-ma",
            "says": "It is lower.",
            "source": "Nowhere",
            "mark": "stated",
            "test": "lower",
            "curve": {"curve": "CRA-DL", "where": {"redundancy": 20}},
            "against": "MA",
            "each": ["aggregation"],
            "confirms": "If so.",
            "refutes": "If not.",
        },
        {
            "claim": "falls",
            "says": "It falls.",
            "source": "Nowhere",
            "mark": "inferred",
            "test": "falls",
            "curve": "CRA-DL",
            "along": "redundancy",
            "values": [4, 20],
            "where": {"aggregation": "median"},
            "confirms": "If so.",
            "refutes": "If not.",
        },
    ],
}
OPEN = {
    "choices": [
        {
            "choice": "coefficient",
            "title": "How strong",
            "primary": "-5",
            "others": [
                {"name": "-1", "set": {"attack.sign_flip.coefficient": -1}, "reason": "Weak."},
                {"name": "-2", "set": {"attack.sign_flip.coefficient": -2}, "reason": "Between."},
            ],
        },
        {
            "choice": "step",
            "title": "How far",
            "primary": "0.5",
            "others": [{"name": "0.2", "set": {"step_size": 0.2}, "reason": "Careful."}],
        },
    ]
}
SETTINGS = {"random": 4, "seed": 1, "full": 1, "claims": [{"study": "tiny", "reduced": {"seeds": 6}}]}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The multiverse of the tiny study; what is given replaces parts of its files."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def load(alternatives=OPEN, settings=SETTINGS, study=STUDY, **config):
        names = {name: f"{name}.yaml" for name in ("study", "alternatives", "multiverse")}
        contents = study, alternatives, {**settings, "alternatives": names["alternatives"]}
        for name, values in zip(names.values(), contents, strict=True):
            Path(name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        return Multiverse.load(
            load_plan({"studies": [names["study"]], "multiverse": names["multiverse"], **config}, "test")
        )

    return load


def of_kind(multiverse, kind, size="reduced"):
    return [each for each in multiverse.universes.values() if (each.kind, each.size) == (kind, size)]


def test_random_readings_come_out_again(tiny):
    multiverse = tiny()
    drawn = of_kind(multiverse, "random")
    assert len(drawn) == 2  # two of the four are the primary or single ones
    for universe in drawn:
        one = verdicts(multiverse, universe)
        again = verdicts(*of_request(json.loads(multiverse.request(universe.name))))
        pd.testing.assert_frame_equal(one, again)
        assert one["cell"].tolist() == ["tiny/below-ma/median", "tiny/below-ma/trimmed_mean", "tiny/falls"]
        assert set(one["reading"]) == {universe.name}
        assert set(one["choice:coefficient"]) == {universe.taken["coefficient"]}
        assert (one["seeds"] == 6).all()


def test_the_primary_reading_gives_the_verdicts_of_the_scorecard(tiny, tmp_path):
    """The same numbers, from trajectories that are stored and read again."""
    multiverse = tiny()
    (universe,) = of_kind(multiverse, "primary", "full")
    found = verdicts(multiverse, universe)
    planned = multiverse.plan.studies["tiny"]
    for member in planned.members:
        assigned = allocations.draw(member.spec.allocation_spec)
        path = tmp_path / f"{member.spec.run_id}.nc"
        times = {"wall_seconds": 1.0, "cpu_seconds": 1.0}
        trajectories.write(path, member.spec, train(member.spec, assigned), assigned, device="cpu", threads=1, **times)
    request = json.loads(planned.claims_json())
    rows = evidence.of_study(request, lambda name: tmp_path / f"{name}.nc")
    expected = evidence.scorecard([rows])
    pd.testing.assert_frame_equal(found[KEPT], expected[KEPT])
    assert found.loc[0, "verdict"] == "supported"
    assert found["effect"].notna().all()


def test_a_changed_alternative_changes_only_the_readings_that_take_it(tiny):
    multiverse = tiny(settings={**SETTINGS, "random": 30})
    before = {name: multiverse.request(name) for name in multiverse.universes}
    changed = copy.deepcopy(OPEN)
    changed["choices"][0]["others"][0]["set"] = {"attack.sign_flip.coefficient": -1.5}
    multiverse = tiny(alternatives=changed, settings={**SETTINGS, "random": 30})
    assert multiverse.universes.keys() == before.keys()
    for name, universe in multiverse.universes.items():
        assert (multiverse.request(name) != before[name]) == (universe.taken["coefficient"] == "-1")


def test_a_reason_or_where_results_lie_changes_no_reading(tiny):
    multiverse = tiny()
    before = {name: multiverse.request(name) for name in multiverse.universes}
    changed = copy.deepcopy(OPEN)
    changed["choices"][0]["others"][0]["reason"] = "Said otherwise."
    for again in (tiny(alternatives=changed), tiny(results="elsewhere", device="cuda", code_tracking="off")):
        assert {name: again.request(name) for name in again.universes} == before


def test_a_changed_margin_of_a_claim_changes_the_readings(tiny):
    multiverse = tiny()
    before = {name: multiverse.request(name) for name in multiverse.universes}
    study = copy.deepcopy(STUDY)
    study["claims"][0]["factor"] = 0.9
    again = tiny(study=study)
    assert all(again.request(name) != before[name] for name in again.universes)


MISTAKES = {
    "a study": ({"study": "tny"}, "claims.study = 'tny': did you mean 'tiny'? allowed: tiny"),
    "a claim": ({"claims": ["fals"]}, "claims.claims = 'fals': did you mean 'falls'? allowed: below-ma, falls"),
    "a place": (
        {"claims": ["below-ma"], "where": {"aggregation": "phocas"}},
        "claims.where.aggregation = 'phocas': not a ",
    ),
    "a key of no grid": ({"where": {"agregation": "median"}}, "claims.where.agregation = 'median': not a grid key of "),
    "a place that a claim does not have": (
        {"claims": ["falls"], "where": {"aggregation": "trimmed_mean"}},
        "claims.where = {'aggregation': 'trimmed_mean'}: no claim of tiny is tested there",
    ),
    "records": (
        {"reduced": {"iterations": 20, "record.step": 10}},
        "tiny/below-ma/median: reduced, curve 'CRA-DL': record.step = 10: records 1 of the last 4 iterations of 20",
    ),
    "a field": ({"reduced": {"seds": 3}}, "tiny: reduced.seds = 3: unknown key; did you mean 'seeds'?"),
    "a component": (
        {"reduced": {"attack.sign_flipp.coefficient": -3}},
        "tiny: reduced.attack.sign_flipp.coefficient = -3: unknown name; did you mean 'sign_flip'?",
    ),
    "a method": ({"instead": {"draco": "cra_dl"}}, "tiny: instead = 'draco': unknown method; allowed: ma, "),
    "two values": (
        {"reduced": {"byzantine": {"alpha": 0.1}, "byzantine.alpha": 0.2}},
        "tiny: reduced.byzantine.alpha = 0.2: the reading also gives byzantine.alpha = 0.1; give one value",
    ),
}


@pytest.mark.parametrize(("changed", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_what_is_asked_gives_one_line(changed, says, tiny):
    def tests():
        multiverse = tiny(settings={**SETTINGS, "claims": [{**SETTINGS["claims"][0], **changed}]})
        return multiverse.tests(of_kind(multiverse, "primary")[0])

    with pytest.raises(UserError) as caught:
        tests()
    assert "\n" not in str(caught.value)
    assert says in str(caught.value)


def test_a_test_is_selected_once(tiny):
    part = {"study": "tiny", "where": {"aggregation": "median"}}
    multiverse = tiny(settings={**SETTINGS, "claims": [part, {"study": "tiny", "claims": ["below-ma"]}]})
    with pytest.raises(UserError, match=r"^multiverse\.yaml: claims = 'tiny/below-ma/median': selected twice"):
        multiverse.tests(of_kind(multiverse, "primary")[0])


def of_step(**changed):
    """The choices, with one of them changed: a reading of such a name would be another one than its name says."""
    wrong = copy.deepcopy(OPEN)
    wrong["choices"][1] |= changed
    return wrong


def setting(**values):
    return of_step(others=[{"name": "other", "set": values, "reason": "r"}])


UNSET = {
    "nothing": (setting(), "choices[1].others[0].set = {}: allowed: 1 or more entries"),
    "a component": (setting(**{"attack.gausian.scale": 3}), "other: set.attack.gausian.scale = 3: unknown name; did"),
    "a name": (setting(**{"attack.gaussian.name": "alie"}), "other: set.attack.gaussian.name = 'alie': unknown key"),
    "an option": (setting(**{"attack.gaussian.scal": 3}), "other: set.attack.gaussian.scal = 3: unknown key; did you"),
    "a value": (setting(**{"attack.gaussian.scale": "x"}), "other: set.attack.gaussian.scale = 'x': allowed: numbers"),
    "a method": (setting(**{"method.rba.redundancy": 3}), "other: set.method.rba.redundancy = 3: unknown method"),
    "a method's field": (setting(**{"method.lad.sedes": 3}), "other: set.method.lad.sedes = 3: unknown key"),
    "a key of another choice": (
        setting(**{"attack.sign_flip.coefficient": -3}),
        "choice step: set = 'attack.sign_flip.coefficient': choice coefficient sets it as well",
    ),
    "the name of another choice": (of_step(choice="coefficient"), "choices.choice = 'coefficient': each name once"),
    "the name of the primary": (of_step(primary="0.2"), "others.name = '0.2': each name once in choice step"),
}


@pytest.mark.parametrize(("alternatives", "says"), UNSET.values(), ids=UNSET)
def test_an_alternative_sets_what_it_says(alternatives, says, tiny):
    with pytest.raises(UserError) as caught:
        tiny(alternatives=alternatives)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"alternatives.yaml: {says}")


def test_choices_of_different_studies_may_set_one_key(tiny):
    apart = copy.deepcopy(OPEN)
    apart["choices"][0]["studies"], apart["choices"][1]["studies"] = ["tiny"], ["other"]
    apart["choices"][1]["others"][0]["set"] = {"attack.sign_flip.coefficient": -3}
    assert tiny(alternatives=apart).alternatives.choices


def test_a_mistake_in_the_alternatives_gives_one_line(tiny, tmp_path):
    wrong = copy.deepcopy(OPEN)
    wrong["choices"][1]["others"][0]["sett"] = {}
    with pytest.raises(UserError, match=r"alternatives\.yaml: choices\[1\]\.others\[0\]\.sett = {}: unknown key; did"):
        tiny(alternatives=wrong)


def test_an_alternative_of_another_name_is_no_reading(tiny):
    multiverse = tiny()
    stray = Universe("single", "reduced", {"coefficient": "-7", "step": "0.5"})
    with pytest.raises(UserError, match=r"^reading: coefficient = '-7': "):
        verdicts(multiverse, stray)


def test_part_of_a_grid_may_be_selected(tiny):
    some = {**SETTINGS, "claims": [{"study": "tiny", "where": {"aggregation": "median"}}]}
    multiverse = tiny(settings=some)
    found = multiverse.tests(of_kind(multiverse, "primary")[0])
    assert [test.request["cell"] for test in found] == ["tiny/below-ma/median", "tiny/falls"]
    both = copy.deepcopy(OPEN)
    both["choices"][1]["others"][0]["set"] = {"aggregation": "phocas"}
    freed, kept = tiny(alternatives=both, settings=some), tiny(alternatives=both)
    taken = next(each for each in of_kind(kept, "single") if each.taken["step"] == "0.2")
    assert specs(freed.tests(taken)[0])[0].aggregation.name == "phocas"
    assert specs(kept.tests(taken)[0])[0].aggregation.name == "median"


def test_the_file_of_alternatives_is_what_the_readings_are_of(configured):
    assert configured.alternatives == parse(Alternatives, read_yaml(str(ALTERNATIVES)), "test")
    assert replace(configured, alternatives=Alternatives(choices=configured.alternatives.choices[:1])).universes


def test_a_run_that_two_claims_share_is_read_for_each(tiny):
    """One claim varies redundancy, so no reading sets it there; the other does not. Both read the same run of MA."""
    other = {**STUDY["claims"][0], "claim": "rba-below-ma", "curve": "RBA-DL"}
    study = {
        **STUDY,
        "curves": [*STUDY["curves"], {"label": "RBA-DL", "method": "rba_dl"}],
        "claims": [STUDY["claims"][0], other],
    }
    choice = {
        "choice": "share",
        "title": "How much",
        "primary": "M/N",
        "others": [{"name": "1", "set": {"redundancy": 1}, "reason": "Few."}],
    }
    multiverse = tiny(alternatives={"choices": [choice]}, study=study)
    (few,) = of_kind(multiverse, "single")
    shares = {
        test.request["claim"]["claim"]: {test.specs[run].redundancy for run in test.request["against"]}
        for test in multiverse.tests(few)
    }
    assert shares == {"below-ma": {4}, "rba-below-ma": {1}}
