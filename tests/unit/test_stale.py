"""Which results an edit of code concerns, exactly: nine runs that differ in their components, a summary and a figure.

The files of the results hold no more than what they say of themselves, for no more is read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dag.project import TINY, Project
from dag.small_results import inside

from byzcode.errors import UserError
from byzcode.execution.progress import silent
from byzcode.provenance import code as identity
from byzcode.provenance import sources, syntax
from byzcode.provenance.code import Code
from byzcode.specs.ids import by_id
from byzcode.specs.run import RunSpec
from byzcode.storage import layout, seal
from byzcode.storage.inputs import hash_of
from byzcode.storage.statement import Statement
from byzcode.studies.plan import Plan, load_plan_file
from byzcode.verify.expected import Item, expected
from byzcode.verify.stale import CODE, INPUTS, MISSING, REQUEST, UNREADABLE, standing

CURVES: dict[str, dict[str, Any]] = {
    "RBA": {"method": "rba_dl", "redundancy": 2},
    "CRA": {"method": "cra_dl"},
    "ALIE": {"method": "cra_dl", "attack": "alie"},
    "search": {"method": "cra_dl", "attack": "alie_search"},
    "Krum": {"method": "cra_dl", "aggregation": "krum"},
    "Multi-Krum": {"method": "cra_dl", "aggregation": "multi_krum"},
    "QSGD": {"method": "cra_dl", "compression": "qsgd"},
    "NNM": {"method": "cra_dl", "pre_aggregation": "nnm"},
    "LAD": {"method": "lad"},
}
STUDY = {
    "study": "kinds",
    "title": "Kinds",
    "base": {**TINY["lines"]["base"], "redundancy": 4},
    "curves": [{"label": label, **curve} for label, curve in CURVES.items()],
    "plots": {"loss": {"kind": "trajectories", "caption": "All."}},
}
RESULTS = Path("results")

ALL = set(CURVES)
ALLOCATIONS = {"disjoint", "random", "cyclic"}
FIGURE, SUMMARY = "kinds-loss", "kinds"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project.configured(tmp_path_factory.mktemp("stale") / "project", {"kinds": STUDY})
    with inside(project.root):
        for item in items(load_plan_file()):
            state(item)
    return project.root


@pytest.fixture
def plan(made: Path) -> Iterator[Plan]:
    with inside(made):
        yield load_plan_file()


def items(plan: Plan) -> list[Item]:
    return expected(plan, RESULTS, silent, multiverse=False)


def state(item: Item) -> None:
    """Files that say that they are current."""
    item.path.parent.mkdir(parents=True, exist_ok=True)
    for path in item.paths:
        path.write_text("numbers")
    if item.files:
        item.path.write_text(str(Statement(item.stage, item.code, item.request, hash_of(item.inputs))))
        seal.seal(item.path)
    else:
        seal.seal(item.path, Statement(item.stage, item.code, item.request, 12 * "0"))


def names(plan: Plan) -> dict[str, str]:
    """The labels of runs and the kinds of allocations by their ids."""
    (planned,) = plan.studies.values()
    labels = {member.spec.run_id: member.curve.label for member in planned.members}
    return labels | {name: spec.allocation.name for name, spec in plan.allocations.items()}


def stale(plan: Plan) -> dict[str, str]:
    """Why results are made again, by their names."""
    known, found = names(plan), standing(plan, RESULTS, None)
    own = {str(item.path): known.get(item.name, item.name) for item in items(plan)}
    assert found.current.isdisjoint(found.stale)
    return {own[path]: reason for path, reason in found.stale.items() if path in own}


Change = Callable[[str], str]


def adds(text: str) -> str:
    return text + "\nADDED = 1\n"


def inside_of(function: str) -> Change:
    """One more statement, which does nothing, in a function."""

    def changed(text: str) -> str:
        tree = ast.parse(text)
        (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        found.body.append(ast.Expr(ast.Constant(0)))
        return ast.unparse(tree)

    return changed


def says(old: str, new: str) -> Change:
    def changed(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return changed


MEDIANS = ALL - {"Krum", "Multi-Krum"}

EDITS: dict[str, tuple[str, Change, set[str]]] = {
    "an attack": ("attacks/alie.py", inside_of("alie"), {"ALIE", FIGURE}),
    "an attack that another imports": ("attacks/alie.py", inside_of("mean_and_std"), {"ALIE", "search", FIGURE}),
    "a search attack": ("attacks/alie_search.py", inside_of("alie_search"), {"search", FIGURE}),
    "what search attacks share": ("attacks/search.py", inside_of("most_harmful"), {"search", FIGURE}),
    "the attack of most": ("attacks/sign_flip.py", inside_of("sign_flip"), {*ALL - {"ALIE", "search"}, FIGURE}),
    "a rule": ("aggregation/krum.py", inside_of("krum"), {"Krum", FIGURE}),
    "a rule that another imports": ("aggregation/krum.py", inside_of("scores"), {"Krum", "Multi-Krum", FIGURE}),
    "the rule of most": ("aggregation/median.py", inside_of("median"), {*MEDIANS, FIGURE}),
    "a compressor": ("compression/qsgd.py", inside_of("qsgd"), {"QSGD", FIGURE}),
    "a pre-aggregator": ("pre_aggregation/nnm.py", inside_of("nnm"), {"NNM", FIGURE}),
    "an allocation": ("allocation/disjoint.py", inside_of("disjoint"), {"disjoint", "RBA", FIGURE}),
    "another allocation": ("allocation/cyclic.py", inside_of("cyclic"), {"cyclic", "LAD", FIGURE}),
    "an encoder": ("coding/encoders/uniform.py", inside_of("uniform"), {*ALL, FIGURE}),
    "the problem": ("problems/linear_regression.py", inside_of("linear_regression"), {*ALL, FIGURE}),
    "a kernel": ("kernels/nearest.py", inside_of("nearest"), {"NNM", FIGURE}),
    "a kernel of no run": ("kernels/order.py", inside_of("mean_near_median"), set()),
    "a kernel of all": ("kernels/gather.py", inside_of("coded_rows"), {*ALL, FIGURE}),
    "a compiled kernel": (
        "kernels/distances.cpp",
        says("first * first", "first + first"),
        {"Krum", "Multi-Krum", "NNM", FIGURE},
    ),
    "a compiled kernel of all": ("kernels/coded.cpp", says("+= weight", "-= weight"), {*ALL, FIGURE}),
    "a comment of a compiled kernel": ("kernels/coded.cpp", says("// ", "// Here: "), set()),
    "the title of a method": ("specs/methods.py", says('title="LAD"', 'title="Lad"'), {FIGURE}),
    "the title of a method of no run": ("specs/methods.py", says('title="MA"', 'title="Ma"'), set()),
    "the loop": ("training/loop.py", adds, ALL),
    "random numbers": ("randomness.py", adds, {*ALL, *ALLOCATIONS, FIGURE, SUMMARY}),
    "what a run states": ("specs/fields.py", adds, {*ALL, *ALLOCATIONS, FIGURE, SUMMARY, "index"}),
    "what a run is": ("specs/run.py", adds, {*ALL, *ALLOCATIONS, FIGURE, SUMMARY, "index"}),
    "the files of allocations": ("storage/allocations.py", adds, {*ALL, *ALLOCATIONS, FIGURE, SUMMARY}),
    "figures": ("figures/style.py", adds, {FIGURE}),
    "summaries": ("analysis/summary.py", adds, {SUMMARY}),
    "theory": ("theory/constants.py", adds, {FIGURE}),
    **{
        f"{name}": (name, adds, set())
        for name in (
            *("attacks/nan.py", "aggregation/bulyan.py", "compression/top_k.py", "allocation/repetition.py"),
            *("recommend/search.py", "multiverse/universe.py", "scorecard/page.py", "verify/files.py"),
            *("cli/__init__.py", "errors.py", "provenance/code.py", "storage/layout.py", "execution/batches.py"),
            "specs/consistency.py",
        )
    },
}


def edit(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None]) -> None:
    """Other sources; None stands for none."""
    texts = {name: text for name, text in (dict(sources.loaded()) | changes).items() if text is not None}
    code = Code(texts)
    monkeypatch.setattr(identity, "loaded", lambda: code)


@pytest.mark.parametrize(("name", "change", "concerned"), EDITS.values(), ids=EDITS)
def test_an_edit_concerns_these_results_and_no_others(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, name: str, change: Change, concerned: set[str]
) -> None:
    before = sources.loaded()[name]
    after = change(before)
    assert after != before
    edit(monkeypatch, {name: after})

    assert stale(plan) == dict.fromkeys(concerned, CODE)


def test_nothing_is_stale_as_it_is(plan: Plan) -> None:
    assert stale(plan) == {}


def test_comments_and_docstrings_of_all_sources_concern_nothing(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, str | None] = {}
    for name, text in sources.loaded().items():
        if name.endswith(".py"):
            tree = ast.parse(text)
            if ast.get_docstring(tree) is not None:
                tree.body[0] = ast.Expr(ast.Constant("Said otherwise."))
            changes[name] = f"{ast.unparse(tree)}\n# A comment.\n"
    edit(monkeypatch, changes)

    assert stale(plan) == {}


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_components_that_no_run_names_come_and_go(plan: Plan, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    texts, changes = sources.loaded(), dict[str, str | None]()
    for package, last in (("attacks", "nan"), ("aggregation", "bulyan"), ("compression", "natural")):
        table = f"{package}/__init__.py"
        lines = {"added": f'"{last}", "new",', "removed": "", "renamed": '"new",'}
        changes[table] = says(f'"{last}",', lines[change])(texts[table])
        if change != "removed":
            changes[f"{package}/new.py"] = texts[f"{package}/{last}.py"]
        if change != "added":
            changes[f"{package}/{last}.py"] = None
    edit(monkeypatch, changes)

    assert stale(plan) == {}


def test_without_code_tracking_no_edit_counts(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(monkeypatch, {"training/loop.py": adds(sources.loaded()["training/loop.py"])})
    untracked = Plan(plan.config.model_copy(update={"code_tracking": "off"}), plan.reading, plan.studies)

    assert stale(untracked) == {}


def test_what_is_missing_damaged_or_made_for_or_from_other_things_is_made_again(plan: Plan, made: Path) -> None:
    by_name = {names(plan).get(item.name, item.name): item for item in items(plan)}
    kept = {path: path.read_bytes() for item in by_name.values() for path in item.paths}

    def restored(path: Path, content: bytes | None, expected: dict[str, str]) -> None:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        assert stale(plan) == expected
        path.write_bytes(kept[path])

    train, figure = by_name["ALIE"], by_name[FIGURE]
    restored(train.path, None, {"ALIE": MISSING})
    restored(by_name["random"].path, None, {})  # it is needed only if one of its runs is trained
    restored(figure.path.with_suffix(".png"), None, {FIGURE: MISSING})
    for item in (train, figure):
        name = names(plan).get(item.name, item.name)
        for cut in (kept[item.path][:-1], kept[item.path][:10], b""):
            restored(item.path, cut, {name: UNREADABLE})  # what was made of it cannot be compared with it
    restored(figure.path, kept[figure.path].replace(figure.request.encode(), 12 * b"a"), {FIGURE: UNREADABLE})
    figure.path.write_text(str(Statement("figure", figure.code, 12 * "a", hash_of(figure.inputs))))
    seal.seal(figure.path)
    assert stale(plan) == {FIGURE: REQUEST, "index": INPUTS}  # it shows the figure
    figure.path.write_bytes(kept[figure.path])
    train.path.write_text("other numbers")
    seal.seal(train.path, Statement("train", train.code, train.request, 12 * "0"))
    assert stale(plan) == {FIGURE: INPUTS, SUMMARY: INPUTS}
    train.path.write_bytes(kept[train.path])
    lists = by_name["disjoint"]
    lists.path.write_text("other lists")
    seal.seal(lists.path, Statement("allocate", lists.code, lists.request, 12 * "1"))
    assert stale(plan) == {"RBA": INPUTS}
    lists.path.write_bytes(kept[lists.path])


#: Step sizes of which two specs have one id.
COLLIDING = (0.110092662, 0.134193345)


def spec(step_size: float) -> RunSpec:
    return RunSpec.parse(
        {
            "method": "cra_dl",
            "redundancy": 4,
            "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
            "devices": 6,
            "iterations": 5,
            "seeds": 2,
            "aggregation": "median",
            "attack": "sign_flip",
            "step_size": step_size,
        },
        "run",
    )


def test_two_specs_of_one_id_are_told_apart() -> None:
    one, other = map(spec, COLLIDING)
    assert one.run_id == other.run_id == "2ba4dfb573d2"
    assert by_id([one, spec(COLLIDING[0])], "here") == {one.run_id: one}
    with pytest.raises(UserError) as caught:
        by_id([one, other], "a.yaml")
    assert str(caught.value) == (
        "a.yaml: two specs have the id 2ba4dfb573d2; they differ in step_size (0.110092662 and 0.134193345): "
        "change one of these values slightly"
    )


def test_each_source_is_parsed_once_for_all_runs(plan: Plan) -> None:
    """340 runs cost what their sources cost: a quarter of a second."""
    code = Code(sources.loaded())
    before = syntax.module.cache_info()
    for item in items(plan):
        code.parts((*layout.STAGES[item.stage].modules, *item.entries))
    after = syntax.module.cache_info()
    assert after.misses - before.misses <= len(sources.loaded())
    code.parts((*layout.STAGES["train"].modules, *items(plan)[-4].entries))
    assert syntax.module.cache_info().misses == after.misses
