"""Parts that a user registers: they are named like all others, and runs know what they were made of."""

from __future__ import annotations

import dataclasses
import json
import linecache
import textwrap
import types

import numpy as np
import pytest
import torch
from unit import front_parts
from unit.front_parts import closing_over, clouds, halved, smallest, strongest

import byzcode as bz
from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.front.identity import parts_of
from byzcode.problems import Sizes
from byzcode.problems.linear_regression import linear_regression
from byzcode.provenance.code import loaded
from byzcode.specs import parts
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories

SMALL = {
    "problem": {"name": "linear_regression", "subsets": 60, "dimension": 7},
    "devices": 20,
    "iterations": 20,
    "seeds": 2,
    "method": "rba_dl",
}


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    bz.register.forget()


def refusal(called, *arguments, **more) -> str:
    with pytest.raises(bz.UserError) as caught:
        called(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def function(source: str, name: str = "mine", file: str | None = None, **known):
    """A function as a notebook would make it: its source is known by a name that is no file."""
    place = file or f"<cell {hash(source)}>"
    text = textwrap.dedent(source)
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    module = types.ModuleType("cell")
    vars(module).update({"torch": torch, "np": np, "bz": bz, **known})
    exec(compile(text, place, "exec"), vars(module))
    return vars(module)[name]


def identity(source: str, **known) -> str:
    return parts_of({"function": function(source, **known)}, "it")["it"]


# --- parts are named like all others ---------------------------------------------------------------------------------


def test_a_registered_part_is_trained_with():
    bz.register.attack(strongest)
    bz.register.rule(title="least value")(smallest)
    bz.register.compressor(halved)
    spec = bz.spec(**SMALL, attack={"name": "strongest", "shift": 2}, aggregation="smallest", compression="halved")
    assert spec.attack.options == {"shift": 2.0}
    assert RunSpec.from_json(spec.canonical(), "again") == spec
    run = bz.train(spec)
    named = {key for key in json.loads(run.attrs["engine_parts"]) if key.startswith("registered")}
    assert named == {"registered attack strongest", "registered rule smallest", "registered compressor halved"}
    assert bz.plot.trajectories(run).data["curve"].tolist()


def test_the_engine_computes_with_it():
    """A twin of a shipped attack gives the numbers of that attack."""
    twin = function("""
        def mine(messages, threat, draws, *, factor: float = 2.0):
            return threat.replace(messages, -factor * threat.of_honest(messages).mean(dim=-2, keepdim=True))
        """)
    bz.register.attack(twin)
    one, other = (bz.train(**SMALL, aggregation="median", attack=name) for name in ("mine", "ipm"))
    for variable in one.variables:
        np.testing.assert_array_equal(one[variable], other[variable])


def test_calls_on_messages_know_it():
    messages = np.random.default_rng(0).normal(size=(5, 3))
    bz.register.attack(strongest)
    bz.register.rule(smallest)
    bz.register.compressor(halved)
    expected = messages[1:].mean(axis=0) + 2 * front_parts.STRENGTH
    np.testing.assert_allclose(bz.attack("strongest", messages, [0], shift=2)[0], expected)
    assert np.array_equal(bz.aggregate("smallest", messages, 1, rank=1), np.sort(messages, axis=0)[1])
    assert np.array_equal(bz.compress("halved", messages, share=0.25).messages, 0.25 * messages)
    assert "shfit = 2: unknown key; did you mean 'shift'" in refusal(bz.attack, "strongest", messages, [0], shfit=2)
    assert torch.autograd.gradcheck(
        lambda each: bz.aggregate("smallest", each, 1), torch.tensor(messages, requires_grad=True)
    )


def test_a_registered_part_that_loses_gradients_is_refused():
    bz.register.rule(function("def mine(messages, f):\n    return messages.detach().mean(dim=-2)\n"))
    messages = torch.ones(3, 2, requires_grad=True)
    assert "mine loses it" in refusal(bz.aggregate, "mine", messages, 1)
    assert bz.aggregate("mine", messages.detach(), 1).tolist() == [1, 1]


def test_a_problem_is_trained_on():
    @bz.register.problem(
        sizes=lambda *, dimension: Sizes(60, samples=60, dimension=dimension, data=60 * dimension, memory=999),
        knows=("optimum", "smoothness", "strong_convexity"),
    )
    def own(seeds, device, dtype, *, dimension: int = 7):
        return linear_regression(seeds, device, dtype, subsets=60, dimension=dimension)

    one = bz.train(**{**SMALL, "problem": {"name": "own", "dimension": 7}}, aggregation="median", attack="alie")
    other = bz.train(**SMALL, aggregation="median", attack="alie")
    np.testing.assert_array_equal(one["loss"], other["loss"])
    named = json.loads(one.attrs["engine_parts"])
    assert {"registered problem own", "problems/linear_regression.py"} <= named.keys()


def test_a_data_set_is_trained_on():
    bz.register.data(clouds)
    problem = {"name": "softmax_regression", "data": "clouds", "subsets": 20}
    run = bz.train(**{**SMALL, "problem": problem, "step_size": 1.0}, aggregation="median")
    assert float(run["loss"][:, -1].max()) < 0.5 < np.log(2)
    assert float(run["test_accuracy"][:, -1].min()) > 0.6
    assert "registered data clouds" in json.loads(run.attrs["engine_parts"])
    assert "clouds" in json.loads(run.attrs["data_sets"])
    targets = {**problem, "name": "least_squares"}
    assert "problem.data = 'clouds'" in refusal(bz.spec, **{**SMALL, "problem": targets}, aggregation="median")
    bz.register.data(name="line")(
        function("""
        def mine():
            x = np.linspace(0, 1, 80)
            return (x[:60, None], 2 * x[:60]), (x[60:, None], 2 * x[60:])
        """)
    )
    run = bz.train(**{**SMALL, "problem": {**targets, "data": "line"}, "iterations": 200}, aggregation="mean")
    assert float(run["excess_loss"][:, -1].max()) < 1e-2


def test_what_is_forgotten_is_gone():
    before = bz.spec(**SMALL, aggregation="median", attack="alie")
    schema = RunSpec.model_json_schema()
    bz.register.attack(strongest)
    bz.register.data(clouds)
    assert bz.spec(**SMALL, aggregation="median", attack="alie") == before
    assert RunSpec.model_json_schema() != schema
    bz.register.forget("strongest")
    assert "strongest" not in ATTACKS
    assert "unknown attack" in refusal(bz.spec, **SMALL, aggregation="median", attack="strongest")
    bz.register.forget()
    assert RunSpec.model_json_schema() == schema
    assert bz.spec(**SMALL, aggregation="median", attack="alie") == before
    assert "'strongest' is not registered" in refusal(bz.register.forget, "strongest")


def test_a_cell_may_be_run_again():
    for shift in (1.0, 2.0):
        bz.register.attack(
            function(f"""
            def mine(messages, threat, draws, *, shift: float = {shift}):
                return threat.replace(messages, threat.of_liars(messages) + shift)
            """)
        )
        assert bz.spec(**SMALL, aggregation="median", attack="mine").attack.options == {"shift": shift}


def test_no_other_run_is_concerned():
    spec = bz.spec(**SMALL, aggregation="median", attack="alie")
    before = trajectories.engine_parts(spec)
    bz.register.attack(strongest)
    assert trajectories.engine_parts(spec) == before
    assert not any(name.startswith("front/") for name in loaded().parts(["byzcode.training.workers"]))


# --- identity --------------------------------------------------------------------------------------------------------

SOURCE = '''
SCALE = 2.0


def helper(x):
    """Help."""
    return x + 1


def mine(messages, f, *, rank: int = 0):
    """A rule."""
    return helper(messages).sort(dim=-2).values[..., rank, :] * SCALE  # a comment
'''

SAME = {
    "comment": SOURCE.replace("a comment", "another"),
    "docstrings": SOURCE.replace("A rule.", "My rule.").replace("Help.", "Assist."),
    "layout": SOURCE.replace("(messages, f, *, rank: int = 0)", "(\n    messages, f, *, rank: int = 0\n)"),
    "what is not used": SOURCE + "\n\ndef unused():\n    return 3\n",
    "place in the file": "\n\n\n" + SOURCE,
    "decorator": SOURCE.replace("def mine", "@bz.register.rule(title='One')\ndef mine"),
}
OTHER = {
    "code": SOURCE.replace("* SCALE", "/ SCALE"),
    "default": SOURCE.replace("rank: int = 0", "rank: int = 1"),
    "global value": SOURCE.replace("SCALE = 2.0", "SCALE = 3.0"),
    "type of a value": SOURCE.replace("SCALE = 2.0", "SCALE = 2"),
    "called function": SOURCE.replace("x + 1", "x + 2"),
}


@pytest.mark.parametrize("name", SAME)
def test_words_mean_nothing(name):
    assert identity(SAME[name]) == identity(SOURCE)


@pytest.mark.parametrize("name", OTHER)
def test_code_and_values_mean_something(name):
    assert identity(OTHER[name]) != identity(SOURCE)


VALUES = [
    *(1, 1.0, True, None, "a", b"a", 2j, (1, 2), [1, 2], {1, 2}, frozenset({1, 2}), {"a": 1}, {"a": [1, {"b": 2}]}),
    *(np.arange(3), np.arange(3.0), np.arange(4), np.float32(1), torch.ones(2), torch.ones(2, dtype=torch.float16)),
    *(torch.float32, front_parts.smallest, np.mean, len, dataclasses.dataclass, loaded, ATTACKS["alie"]),
]


def test_closed_over_values_tell_apart():
    def of(value):
        return parts_of({"function": closing_over(value)}, "it")

    found = [json.dumps(of(value), sort_keys=True) for value in VALUES]
    assert len(set(found)) == len(VALUES)
    assert found == [json.dumps(of(value), sort_keys=True) for value in VALUES]
    array = np.arange(3.0)
    attack = closing_over(array)
    before = parts_of({"function": attack}, "it")
    array[1] = 7
    assert parts_of({"function": attack}, "it") != before


def test_a_value_that_changes_makes_a_run_stale(tmp_path, monkeypatch):
    bz.register.attack(strongest)
    fields = {**SMALL, "aggregation": "mean", "attack": "strongest"}
    first = bz.train(**fields, out=tmp_path / "run.nc")
    monkeypatch.setattr(front_parts, "STRENGTH", 30.0)
    second = bz.train(**fields, out=tmp_path / "run.nc")
    assert first.attrs["run_id"] == second.attrs["run_id"]
    assert first.attrs["engine_digest"] != second.attrs["engine_digest"]
    assert not np.array_equal(first["loss"], second["loss"])
    monkeypatch.undo()
    assert trajectories.engine_digest(bz.spec(**fields)) == first.attrs["engine_digest"]


def test_the_source_is_that_at_definition(tmp_path):
    """An edit of the file after the function was defined does not change what the process runs."""
    file = tmp_path / "rules.py"
    file.write_text(SOURCE, encoding="utf-8")
    module = types.ModuleType("rules")
    exec(compile(SOURCE, file, "exec"), vars(module))
    bz.register.rule(module.mine)
    before = trajectories.engine_parts(bz.spec(**SMALL, aggregation="mine"))
    file.write_text(OTHER["code"], encoding="utf-8")
    linecache.checkcache()
    assert trajectories.engine_parts(bz.spec(**SMALL, aggregation="mine")) == before


def test_parts_of_byzcode_that_a_function_uses_count():
    names = parts_of(
        {
            "f": function(
                "def mine(x):\n    return order.median(x)\n",
                order=__import__("byzcode.kernels.order", fromlist=["order"]),
            )
        },
        "it",
    )
    assert {"it", "kernels/order.py"} <= names.keys()
    whole = parts_of({"f": function("def mine(x):\n    return RULES['median'](x, 1)\n", RULES=RULES)}, "it")
    assert {f"aggregation/{rule}.py" for rule in RULES} <= whole.keys()
    front = parts_of({"f": function("def mine(x):\n    return bz.aggregate('median', x, 1)\n")}, "it")
    assert "byzcode as a whole" in front


def test_classes_lambdas_methods_and_recursion_count():
    source = """
        import functools

        class Base:
            factor = 2

        class Own(Base):
            def __init__(self, value):
                self.value = value

            @property
            def double(self):
                return self.factor * self.value

            def of(self, x):
                return x * self.double

        own, power = Own(3), lambda x: x ** 2
        part = functools.partial(own.of)

        def mine(x, n=3):
            return power(part(x)) if n == 0 else mine(x, n - 1)
        """
    first = identity(source)
    assert first == identity(source)
    for old, new in [
        ("Own(3)", "Own(4)"),
        ("self.factor * self.value", "self.factor + self.value"),
        ("factor = 2", "factor = 3"),
        ("x ** 2", "x ** 3"),
        ("n - 1", "n - 2"),
    ]:
        assert identity(source.replace(old, new)) != first, new


def test_two_lambdas_in_a_line_are_told_apart():
    source = "one, two = lambda x: x + 1, lambda x: x + 2\n"
    one, two = (parts_of({"f": function(source, name)}, "it") for name in ("one", "two"))
    assert one != two


def test_a_change_of_how_many_liars_a_rule_tolerates_counts():
    found = set()
    for most in ("devices // 2", "devices // 3"):
        source = SOURCE + f"\n\ndef most(devices):\n    return {most}\n"
        known = function(source, "mine")
        bz.register.rule(most_liars=known.__globals__["most"])(known)
        found.add(trajectories.engine_digest(bz.spec(**SMALL, aggregation="mine")))
    assert len(found) == 2


# --- what is refused -------------------------------------------------------------------------------------------------


def without_source():
    known = {}
    exec("def gone(messages, threat, draws): return messages", known)
    return known["gone"]


def undefined():
    return function("def mine(messages, threat, draws):\n    return later(messages)\n")


def opaque():
    return function("def mine(messages, threat, draws):\n    return handle(messages)\n", handle=iter([1]))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: len, "is a builtin_function_or_method; allowed: a function with a source"),
        (without_source, "has no source"),
        (lambda: lambda messages, threat, draws: messages, "name = '<lambda>': allowed: small letters"),
        (undefined, "later is not defined yet"),
        (opaque, "handle = <list_iterator"),
        (
            lambda: function("def alie(messages, threat, draws):\n    return messages\n", "alie"),
            "byzcode has a attack of this name",
        ),
        (lambda: function("def Mine(messages, threat, draws):\n    return messages\n", "Mine"), "name = 'Mine'"),
        (
            lambda: function("def mine(messages, threat):\n    return messages\n"),
            "takes (messages, threat); allowed: a",
        ),
        (lambda: function("def mine(messages, threat, draws, **more):\n    return messages\n"), "allowed: a function"),
        (
            lambda: function("def mine(messages, threat, draws, *, a=1):\n    return messages\n"),
            "option a: allowed: an",
        ),
        (
            lambda: function("def mine(messages, threat, draws, *, a: int):\n    return messages\n"),
            "option a: allowed: an",
        ),
        (
            lambda: function("def mine(messages, threat, draws, *, a: 'unknown' = 1):\n    return messages\n"),
            "its options cannot be read",
        ),
    ],
)
def test_what_has_no_identity_or_another_shape_is_refused(made, says):
    assert says in refusal(bz.register.attack, made())
    assert not ATTACKS.added
    bz.spec(**SMALL, aggregation="median", attack="alie")


def test_what_a_function_returns_is_checked():
    messages = np.ones((4, 2))
    wrong = "def mine(messages, threat, draws):\n    return {}\n"
    for returned, says in [
        ("messages[..., :1]", "returned torch.float64 (1, 4, 1)"),
        ("messages.float()", "returned torch.float32 (1, 4, 2); allowed: messages, torch.float64 (1, 4, 2)"),
        ("None", "returned a NoneType"),
        ("messages + 1", "changed messages of honest devices; allowed: threat.replace"),
    ]:
        bz.register.attack(function(wrong.format(returned)))
        assert says in refusal(bz.attack, "mine", messages, [0])
    bz.register.rule(function("def mine(messages, f):\n    return messages\n"))
    assert "rule mine: returned torch.float64 (4, 2); allowed: one vector" in refusal(bz.aggregate, "mine", messages, 1)
    bz.register.compressor(function("def mine(messages, draws, number_bits):\n    return messages\n"))
    assert "allowed: a pair of messages and bits" in refusal(bz.compress, "mine", messages)


def test_data_that_cannot_be_used_is_refused():
    for returned in (
        "3",
        "(1, 2)",
        "((np.ones((3, 2)), np.ones(2)),) * 2",
        "((np.ones((3, 2)), np.full(3, np.nan)),) * 2",
    ):
        assert "register.data mine" in refusal(bz.register.data, function(f"def mine():\n    return {returned}\n"))
    assert "allowed: sizes whose product is 2" in refusal(bz.register.data(shape=(3,)), clouds)
    assert "sizes = None" in refusal(bz.register.problem, strongest)


def test_processes_do_not_know_it():
    bz.register.attack(strongest)
    said = refusal(bz.train, **SMALL, aggregation="median", attack="strongest", threads=2)
    assert "threads = 2: allowed: 1; the processes would not know strongest" in said


def test_a_table_takes_no_assignment():
    with pytest.raises(TypeError, match=r"use the decorators of byzcode\.register"):
        ATTACKS["mine"] = strongest


def test_of_a_run_names_it():
    bz.register.attack(strongest)
    assert "byzcode.attacks.strongest:ENTRY" in parts.of_run(bz.spec(**SMALL, aggregation="median", attack="strongest"))
