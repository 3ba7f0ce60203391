"""The problem `module`: gradients against plain autograd, blocks, refusals, and what counts as its code."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch.nn import functional

from byzcode.data import DATA_SETS, Split
from byzcode.errors import KeyedError, UserError
from byzcode.kernels.gather import Code
from byzcode.problems import PROBLEMS, module_problem
from byzcode.problems import module as problem_module
from byzcode.problems.users_module import make
from byzcode.provenance import code, users
from byzcode.specs import parts
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train, train_together

SEEDS, SUBSETS = (0, 5), 30
UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}
_NUMBERS = count()

MLP = """
from torch import nn

def net(features, classes):
    return nn.Sequential(nn.Linear(features, 7), nn.ReLU(), nn.Linear(7, classes))
"""
OWN_LOSS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten())
        self.last = nn.Linear(3 * 36, classes)
        self.temperature = nn.Parameter(torch.ones(()))
        self.register_buffer("shift", torch.linspace(0, 1, classes))

    def forward(self, features):
        return self.last(self.layers(features)) + self.shift

    def loss(self, scores, labels):
        return nn.functional.multi_margin_loss(scores * self.temperature, labels, reduction="none")
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes a module of a new name into the current folder, and returns that name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text):
        name = f"users_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    return write


def built(name, dtype="float64", device="cpu", seeds=SEEDS, **options):
    return PROBLEMS["module"](seeds, device, dtype, **{"subsets": SUBSETS, "module": name, **options})


def spec_of(name, **changes):
    problem = {"name": "module", "module": name, "subsets": 10, "examples": 200, **changes.pop("problem", {})}
    values = {"method": "lad", "redundancy": 3, "devices": 10, "aggregation": "median", "attack": "label_flip"}
    values |= {"problem": problem, "iterations": 2, "seeds": [3, 0], "byzantine": {"alpha": 0.2}, "step_size": 0.1}
    return RunSpec.parse({**values, "record": {"step": 1}, **changes}, "study.yaml")


def held(subsets=SUBSETS):
    dice = np.random.default_rng(4)
    assigned = torch.from_numpy(np.stack([[dice.permutation(subsets)[:4] for _ in range(7)] for _ in SEEDS]))
    return Code(assigned, torch.from_numpy(dice.normal(size=assigned.shape)))


def moved(problem):
    dice = np.random.default_rng(3)
    return problem.start() + torch.from_numpy(0.1 * dice.normal(size=problem.start().shape))


def autograd(name, problem, seed, theta, targets):
    """The gradients of all subsets of a seed by plain autograd, one by one, (M, D), and the loss of all examples."""
    module = make(name, problem.features.shape[-1], targets.shape[-1], 0).double()
    torch.nn.utils.vector_to_parameters(theta.clone(), module.parameters())
    own_loss = getattr(module, "loss", None)
    gradients, total, sizes = [], 0.0, problem.sizes[seed].tolist()
    for own, labels in zip(problem.features[seed].split(sizes), targets.argmax(dim=-1).split(sizes), strict=True):
        module.zero_grad()
        scores = module(own)
        losses = own_loss(scores, labels) if own_loss else functional.cross_entropy(scores, labels, reduction="none")
        (len(sizes) / len(targets) * losses.sum()).backward()
        total += float(losses.detach().sum()) / len(targets)
        gradients.append(torch.cat([each.grad.flatten() for each in module.parameters()]))
    return torch.stack(gradients), total


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "own"), [(MLP, "net"), (OWN_LOSS, "Net")])
@pytest.mark.parametrize(("block", "kept"), [(1 << 22, 1 << 27), (1 << 22, 0), (3000, 0), (1, 1 << 27)])
@pytest.mark.parametrize(("flipped", "partition"), [(False, "iid"), (True, "iid"), (False, UNEQUAL)])
def test_messages_and_gradients_are_those_of_autograd(
    source, own, block, kept, flipped, partition, written, monkeypatch
):
    """With all subsets in one block, in several, example by example; kept during an iteration or not."""
    monkeypatch.setattr(module_problem, "BLOCK", block)
    monkeypatch.setattr(module_problem, "KEPT", kept)
    name = f"{written(source)}:{own}"
    problem, held_by = built(name, partition=partition, examples=150 if partition == "iid" else None), held()
    assert (len(set(problem.sizes.flatten().tolist())) > 1) == (partition == UNEQUAL)
    theta = moved(problem)
    with torch.inference_mode():
        forward = problem.forward(theta.clone())
        forward = problem.relabelled(forward) if flipped else forward
        loss, gradient = problem.loss(forward), problem.gradient(forward)
        messages = problem.coded_gradients(forward, held_by)
        near, far = problem.heterogeneity(forward, gradient), problem.largest_heterogeneity(forward, gradient)
    for seed in range(len(SEEDS)):
        targets = problem.targets[seed].flip(-1) if flipped else problem.targets[seed]
        gradients, total = autograd(name, problem, seed, theta[seed], targets)
        close = {"rtol": 1e-9, "atol": 1e-13 * SUBSETS * float(gradients.abs().max())}
        assert float(loss[seed]) == pytest.approx(total, rel=1e-12)
        np.testing.assert_allclose(gradient[seed], gradients.mean(dim=0), **close)
        want = (held_by.weight[seed].unsqueeze(-1) * gradients[held_by.assigned[seed]]).sum(dim=1)
        np.testing.assert_allclose(messages[seed], want, **close)
        away = (gradients - gradients.mean(dim=0)).norm(dim=-1)
        np.testing.assert_allclose(near[seed], away.square().mean().sqrt(), rtol=1e-9)
        np.testing.assert_allclose(far[seed], away.max(), rtol=1e-9)


@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_a_module_of_the_same_layers_is_the_mlp(partition, written):
    """The parameters of `mlp` are weights with the biases in the last column."""
    other = PROBLEMS["mlp"](SEEDS, "cpu", "float64", subsets=SUBSETS, hidden=(7,), partition=partition)
    problem = built(f"{written(MLP)}:net", partition=partition)
    numbers, begin, order = torch.arange(other.start().shape[-1]), 0, []
    for inputs, outputs in other.shapes:
        layer = numbers[begin : begin + outputs * (inputs + 1)].view(outputs, -1)
        order += [layer[:, :-1].flatten(), layer[:, -1]]
        begin += layer.numel()
    order = torch.cat(order)
    theta = other.start() + 0.01
    left, right = problem.forward(theta[:, order]), other.forward(theta)
    torch.testing.assert_close(problem.loss(left), other.loss(right), rtol=1e-12, atol=0)
    torch.testing.assert_close(problem.gradient(left), other.gradient(right)[:, order], rtol=1e-10, atol=1e-13)
    messages = problem.coded_gradients(left, held()), other.coded_gradients(right, held())[..., order]
    torch.testing.assert_close(*messages, rtol=1e-10, atol=1e-12)
    assert torch.equal(problem.test_accuracy(left), other.test_accuracy(right))


def test_a_linear_module_is_softmax_regression():
    """The digits have a last feature of 1, so the bias doubles its weight's gradient."""
    problem = built("torch.nn:Linear")
    other = PROBLEMS["softmax_regression"](SEEDS, "cpu", "float64", subsets=SUBSETS)
    width = problem.features.shape[-1]
    weights = slice(0, 10 * width)
    theta = torch.cat([moved(other), torch.zeros(len(SEEDS), 10, dtype=torch.float64)], dim=-1)
    left, right = problem.forward(theta), other.forward(theta[:, weights].contiguous())
    torch.testing.assert_close(problem.loss(left), other.loss(right), rtol=1e-12, atol=0)
    torch.testing.assert_close(problem.gradient(left)[:, weights], other.gradient(right), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("sizes", [[5] * 10, [1, 9, 3, 3, 200, 7], [1000], [1] * 10_000])
@pytest.mark.parametrize(("dimension", "kept"), [(10, 10), (1 << 23, 10), (10, 1 << 23), (100_000, 500)])
def test_blocks_have_each_subset_once_and_are_no_larger_than_stated(sizes, dimension, kept, written):
    problem = replace(built("torch.nn:Linear", examples=50), first=torch.empty(1, dimension, device="meta"), kept=kept)
    blocks = [block.tolist() for block in problem._divided(sizes)]
    assert sorted(subset for block in blocks for subset in block) == list(range(len(sizes)))
    for block in blocks:
        assert len(block) * dimension <= max(module_problem.BLOCK, dimension)
        largest = max(sizes[subset] for subset in block)
        assert len(block) == 1 or len(block) * largest * kept <= module_problem.BLOCK


@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_a_run_has_the_same_bits_alone_in_a_batch_and_in_other_processes(partition, written, monkeypatch):
    name = f"{written(OWN_LOSS)}:Net"
    spec = spec_of(name, problem={"partition": partition})
    assigned = allocations.draw(spec.allocation_spec)
    together = train_together([spec], [assigned], device="cpu")[0].arrays()
    for place, seed in enumerate(spec.seeds):
        alone = spec_of(name, problem={"partition": partition}, seeds=[seed])
        for quantity, array in train(alone, assigned[place : place + 1]).arrays().items():
            assert array.tobytes() == together[quantity][place : place + 1].tobytes(), quantity
    for quantity, array in train(spec, assigned, threads=2).arrays().items():
        assert array.tobytes() == together[quantity].tobytes(), quantity


def test_the_first_parameters_depend_on_the_seed_alone_and_torchs_numbers_stay_as_they_are(written):
    name = f"{written(MLP)}:net"
    torch.manual_seed(1)
    want = torch.rand(3)
    torch.manual_seed(1)
    first = built(name, subsets=10).start()
    assert torch.equal(torch.rand(3), want)
    assert torch.equal(built(name, "float32", subsets=20, seeds=(5,)).start()[0], first[1].float())
    assert not torch.equal(first[0], first[1])


def test_ten_thousand_subsets_of_a_large_module_never_are_in_memory_together(written, monkeypatch):
    """On the device "meta", which counts no numbers: the largest tensor is much smaller than M D."""
    name = written("from torch import nn\ndef wide(f, c): return nn.Sequential(nn.Linear(f, 1300), nn.Linear(1300, c))")
    monkeypatch.setitem(DATA_SETS["digits"].__dict__, "training", 10_000)
    load = DATA_SETS["digits"].function
    monkeypatch.setitem(
        DATA_SETS["digits"].__dict__,
        "function",
        lambda: Split(
            *(type(each)(np.resize(each.features, (10_000, 64)), np.resize(each.labels, 10_000)) for each in load())
        ),
    )
    monkeypatch.setattr(problem_module, "_check_first", lambda *_: None)  # computes numbers, for minutes
    problem = built(f"{name}:wide", "float32", "meta", seeds=(0,), subsets=10_000)
    assert not problem.few
    largest = 0
    for subsets, gradients in problem.blocks(problem.forward(problem.start()), 0):
        assert gradients.shape == (len(subsets), problem.start().shape[-1])
        largest = max(largest, gradients.numel())
    assert largest <= module_problem.BLOCK


# --- refusals ---------------------------------------------------------------------------------------------------------

IMPORTS = "import random\nimport numpy as np\nimport torch\nfrom torch import nn\n"
CLASS = (
    IMPORTS
    + "class Net(nn.Module):\n    def __init__(self, f, c):\n"
    + "        super().__init__()\n        self.l = nn.Linear(f, c)\n"
)

REFUSED = {
    "not callable": ("Net = 3", "Net is a int; allowed: a function or class"),
    "no such name": ("net = 3", "has no Net; allowed"),
    "syntax": ("x = 1\ndef Net(:", r"users_\d+\.py, line 2: SyntaxError: invalid syntax"),
    "null": ("x = '\0'\n\0", r"users_\d+\.py, line 2: SyntaxError"),
    "fails at import": ("\n1 / 0", r"users_\d+\.py, line 2: ZeroDivisionError: division by zero"),
    "imports what is not there": ("import not_there", r"users_\d+\.py, line 1: ModuleNotFoundError.*not_there"),
    "leaves": ("raise SystemExit(3)", r"line 1: SystemExit: 3"),
    "another signature": ("def Net(): pass", "TypeError: .*takes 0 positional arguments"),
    "fails": ("def Net(f, c):\n    raise ValueError('two\\nlines')", r"line 2: ValueError: two\\nlines"),
    "no module": ("def Net(f, c): return 3", "the factory returned a int; allowed: a torch.nn.Module"),
    "no parameters": (IMPORTS + "def Net(f, c): return nn.Identity()", "no parameters to train"),
    "empty": (
        IMPORTS + "def Net(f, c):\n    m = nn.Flatten()\n    m.p = nn.Parameter(torch.ones(0))\n    return m",
        "no parameters to train",
    ),
    "all frozen": (IMPORTS + "def Net(f, c): return nn.Linear(f, c).requires_grad_(False)", "no parameters to train"),
    "lazy": (IMPORTS + "def Net(f, c): return nn.LazyLinear(c)", "parameter weight is lazy"),
    "complex": (
        IMPORTS + "def Net(f, c): return nn.Linear(f, c, dtype=torch.complex64)",
        "parameter weight is complex64; allowed: real floating-point",
    ),
    "integers": (
        CLASS + "        self.i = nn.Parameter(torch.arange(3), requires_grad=False)",
        "parameter i is int64; allowed: real floating-point",
    ),
    "numpy's random numbers": (
        CLASS + "        self.l.bias.data[:] = torch.from_numpy(np.random.rand(c))",
        "parameter l.bias differs between two calls with the same seed",
    ),
    "constants of a seed": (
        CLASS + "        self.register_buffer('b', torch.rand(3))",
        "b is not trained and differs between seeds",
    ),
    "sizes of a seed": (
        CLASS + "        self.p = nn.Parameter(torch.ones(int(torch.randint(2, 10**6, ()))))",
        "parameter p has another size with another seed",
    ),
    "batch norm": (
        IMPORTS + "def Net(f, c): return nn.Sequential(nn.Linear(f, c), nn.BatchNorm1d(c))",
        r"changes 1\.running_mean, .*\(batch norm\?\); allowed: .*GroupNorm or LayerNorm, or in eval mode",
    ),
    "batch norm without state": (
        IMPORTS + "def Net(f, c): return nn.Sequential(nn.Linear(f, c), nn.BatchNorm1d(c, track_running_stats=False))",
        "depend on the other examples",
    ),
    "a counter": (
        CLASS + "        self.n = 0\n    def forward(self, x):\n        self.n += 1\n        return self.n * self.l(x)",
        "two forward passes give different scores",
    ),
    "dropout": (
        IMPORTS + "def Net(f, c): return nn.Sequential(nn.Linear(f, c), nn.Dropout(0.1))",
        r"draws random numbers, .*\(dropout\?\)",
    ),
    "random numbers of Python": (
        CLASS + "    def forward(self, x): return self.l(x) + 0 * random.random()",
        "draws random numbers",
    ),
    "random numbers of numpy": (
        CLASS + "    def forward(self, x): return self.l(x) + 0 * np.random.rand()",
        "draws random numbers",
    ),
    "scores of another shape": (
        CLASS + "    def forward(self, x): return self.l(x)[:, 1:]",
        r"the scores of 8 examples are float32 of shape \(8, 9\); allowed: real numbers of shape \(8, 10\)",
    ),
    "scores of another type": (CLASS + "    def forward(self, x): return self.l(x).argmax(-1)", "are int64 of shape"),
    "scores in a pair": (CLASS + "    def forward(self, x): return self.l(x), x", "are a tuple"),
    "a mean loss": (
        CLASS + "        self.loss = nn.CrossEntropyLoss()\n    def forward(self, x): return self.l(x)",
        r"the losses of 8 examples are float32 of shape \(\); allowed: real numbers of shape \(8,\)",
    ),
    "a loss among examples": (
        CLASS + "    def forward(self, x): return self.l(x)\n    def loss(self, s, y): return s[:, 0] / s[:, 0].sum()",
        "the loss of an example depends on the other examples",
    ),
    "a loss without parameters": (
        CLASS + "    def forward(self, x): return self.l(x)\n    def loss(self, s, y): return s.detach()[:, 0]",
        "the loss does not depend on the parameters",
    ),
    "fails in a pass": (CLASS + "    def forward(self, x):\n        return self.m(x)", r"line 10: AttributeError"),
    "what vmap cannot do": (
        CLASS + "    def forward(self, x):\n        return self.l(x) + 0 * x[0, 0].item()",
        r"line 10: RuntimeError: vmap",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_module_that_cannot_be_trained_is_refused_before_anything_is_computed(case, written):
    source, message = REFUSED[case]
    name = f"{written(source)}:Net"
    with pytest.raises(UserError, match=rf"^study\.yaml: problem\.module = '{name}': .*{message}") as refused:
        spec_of(name)
    assert "\n" not in str(refused.value)
    assert "byzcode/" not in str(refused.value).replace(str(users.PACKAGE), "byzcode/")


@pytest.mark.parametrize(
    "name", ["net", "a.b", "a:", ":b", "a b:c", "../a:b", "a:b.c", "a..b:c", "a:b:c", 3, "a" * 200 + ":b"]
)
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(UserError, match=r"^study\.yaml: problem\.module = .*allowed: "):
        spec_of(name)


@pytest.mark.parametrize("name", ["not_there:Net", "not_there.at_all:Net", "sys:Net", "math:sqrt"])
def test_a_module_without_source_is_refused(name, written):
    with pytest.raises(UserError, match=rf"problem\.module = '{name}': there is no source of|with a version"):
        spec_of(name)


@pytest.mark.parametrize(
    ("forward", "what"), [("self.l(x) / 0", "the loss"), ("self.l(x) + (self.l(x) * 0).sqrt()", "its gradient")]
)
def test_a_first_loss_or_gradient_that_is_not_finite_is_refused(forward, what, written):
    name = f"{written(CLASS + f'    def forward(self, x): return {forward}')}:Net"
    spec = spec_of(name)
    with pytest.raises(UserError, match=rf"^seed 3: problem\.module = '{name}': {what} at the first parameters is NaN"):
        train(spec, allocations.draw(spec.allocation_spec))


def test_an_error_during_a_training_names_the_line_of_the_user(written):
    name = written(
        CLASS + "    calls = 0\n    def forward(self, x):\n        Net.calls += 1\n"
        "        if Net.calls > 25:\n            raise ValueError('enough')\n        return self.l(x)"
    )
    spec = spec_of(f"{name}:Net", iterations=50)
    with pytest.raises(UserError, match=rf"^training: problem\.module = .*{name}\.py, line 13: ValueError: enough"):
        train(spec, allocations.draw(spec.allocation_spec))


def test_dropout_and_batch_norm_in_eval_mode_are_constants(written):
    name = written(
        IMPORTS + "def net(f, c): return nn.Sequential(nn.BatchNorm1d(f), nn.Linear(f, c), nn.Dropout(0.1)).eval()"
    )
    problem = built(f"{name}:net", examples=60)
    assert problem.gradient(problem.forward(problem.start())).isfinite().all()


# --- the code of a user -----------------------------------------------------------------------------------------------


def package(folder, name):
    """A package of three modules, of which one is not used."""
    inner = folder / name
    inner.mkdir()
    texts = {
        "__init__": "",
        "net": "from . import sizes\ndef make(f, c):\n    from .layers import layer\n    return layer(f, c)",
        "layers": "import torch\ndef layer(f, c): return torch.nn.Linear(f, c)",
        "sizes": "WIDTH = 3",
        "other": "X = 1",
    }
    for module, text in texts.items():
        (inner / f"{module}.py").write_text(text, encoding="utf-8")
    return inner


def test_the_source_of_a_module_and_of_all_that_it_imports_counts(written, tmp_path):
    name = f"users_{next(_NUMBERS)}"
    inner = package(tmp_path, name)
    root = f"{name}.net:make"
    before = users.read([root])
    assert list(before) == [name, *(f"{name}.{module}" for module in ("layers", "net", "sizes"))]
    for module in ("other", "net", "layers", "sizes", "__init__"):
        file = inner / f"{module}.py"
        text = file.read_text(encoding="utf-8")
        file.write_text(f"# A comment.\n{text}\n\n", encoding="utf-8")
        assert users.read([root]) == before
        file.write_text(f"{text}\nADDED = 1\n", encoding="utf-8")
        own = name if module == "__init__" else f"{name}.{module}"
        assert code.changed(users.read([root]), before) == ([] if module == "other" else [own])
        file.write_text(text, encoding="utf-8")


def test_an_edited_module_changes_the_code_of_the_runs_that_use_it_and_no_id(written, tmp_path):
    from byzcode.storage import trajectories
    from byzcode.storage.layout import STAGES

    name, other = written(MLP), written(MLP)
    spec, beside = spec_of(f"{name}:net"), spec_of(f"{other}:net")
    assert f"{name}:net" in parts.of_run(spec)
    assert trajectories.engine_parts(spec).keys() - trajectories.engine_parts(beside).keys() == {name}
    assert spec.run_id != beside.run_id
    assert STAGES["train"].edited(parts.of_run(spec)) == []
    file = tmp_path / f"{name}.py"
    file.write_text(file.read_text(encoding="utf-8").replace("7", "8"), encoding="utf-8")
    assert STAGES["train"].edited(parts.of_run(spec)) == [name]
    assert STAGES["train"].edited(parts.of_run(beside)) == []
    file.unlink()
    assert STAGES["train"].edited(parts.drawn([spec])) == [name]


def test_an_installed_module_counts_by_its_version(monkeypatch):
    before = users.read(["torch.nn:Linear"])
    assert list(before) == ["torch"]
    monkeypatch.setattr(users.metadata, "version", lambda _: "0.0")
    assert users.read(["torch.nn:Linear"]) != before


def test_the_module_is_read_before_it_is_imported(written):
    with pytest.raises(KeyedError, match="no parameters"):
        PROBLEMS["module"].sizes(
            module=f"{written(REFUSED['no parameters'][0])}:Net", data="digits", subsets=3, partition="iid"
        )
