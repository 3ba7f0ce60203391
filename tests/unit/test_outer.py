"""Coded gradients of linear layers in single precision: compiled, against loops, autograd and the other path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byzcode.kernels import native, outer
from byzcode.kernels.gather import Code
from byzcode.kernels.outer import Layer
from byzcode.problems import PROBLEMS, fused

pytestmark = pytest.mark.skipif(native.library() is None, reason="the kernels are not compiled")

MODELS = {"softmax_regression": {"ridge": 0.1}, "mlp": {"hidden": (17, 5)}, "cnn": {"hidden": 20}}
UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}


@st.composite
def layers(draw):
    """A layer with subsets of any sizes, and a code with or without permutations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    runs, subsets, devices = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(1, 7))
    outputs, inputs, slots = draw(st.integers(1, 21)), draw(st.integers(16, 230)), draw(st.integers(1, subsets))
    examples = subsets + draw(st.integers(0, 30))
    cuts = [np.sort(rng.choice(np.arange(1, examples), subsets - 1, replace=False)) for _ in range(runs)]
    sizes = np.stack([np.diff(np.concatenate([[0], cut, [examples]])) for cut in cuts]).astype(np.int64)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    orders = [
        torch.from_numpy(np.stack([rng.permutation(size) for _ in range(runs)])) if draw(st.booleans()) else None
        for size in (devices, subsets)
    ]
    assigned = torch.from_numpy(rng.integers(0, subsets, (runs, devices, slots)))
    layer = Layer(normal(runs, examples, outputs), normal(runs, examples, inputs), torch.from_numpy(sizes))
    return layer, Code(assigned, normal(runs, devices, slots), *orders)


def gradients(layer):
    """Of all subsets, (R, M, o i), in double precision and one by one."""
    return torch.stack(
        [
            torch.stack(
                [(a.double().T @ b.double()).flatten() for a, b in zip(left.split(own), right.split(own), strict=True)]
            )
            for left, right, own in zip(layer.left, layer.right, layer.sizes.tolist(), strict=True)
        ]
    )


def written(layer, code, before=3, after=5):
    """The coded gradients, in the middle of messages whose other coordinates stay as they are."""
    runs, devices, _ = code.assigned.shape
    messages = torch.full((runs, devices, before + layer.parameters + after), 7.0)
    assert outer.coded(layer, code, messages[..., before : before + layer.parameters])
    assert (messages[..., :before] == 7).all()
    assert (messages[..., before + layer.parameters :] == 7).all()
    return messages[..., before : before + layer.parameters]


@settings(max_examples=150, deadline=None)
@given(layers())
def test_coded_gradients_of_a_layer_are_what_they_say(case):
    layer, code = case
    own, (assigned, weight) = gradients(layer), code.settled
    want = torch.stack(
        [(w.double().unsqueeze(-1) * g[a]).sum(dim=1) for g, a, w in zip(own, assigned, weight, strict=True)]
    )
    torch.testing.assert_close(written(layer, code).double(), want, rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(layers())
def test_distances_of_a_layer_are_what_they_say(case):
    layer, _ = case
    own = gradients(layer)
    centre = own.mean(dim=1).float()
    out = torch.full(own.shape[:2], 2.0, dtype=torch.float64)
    assert outer.squared_distances(layer, centre, out)
    torch.testing.assert_close(out - 2, (own - centre.double().unsqueeze(1)).square().sum(dim=-1), rtol=1e-4, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(layers())
def test_a_run_has_the_bits_that_it_has_alone(case):
    layer, code = case
    together = written(layer, code)
    for run in range(len(together)):
        alone = Layer(*(each[run : run + 1].clone() for each in layer))
        parts = (code.assigned, code.weight, code.devices, code.names)
        own = Code(*(None if each is None else each[run : run + 1].clone() for each in parts))
        assert written(alone, own).numpy().tobytes() == together[run : run + 1].numpy().tobytes()


def test_squares_beyond_the_largest_float_do_not_overflow():
    layer = Layer(torch.full((1, 1, 1), 1e15), torch.full((1, 1, 20), 1e15), torch.ones(1, 1, dtype=torch.int64))
    out = torch.zeros(1, 1, dtype=torch.float64)
    assert outer.squared_distances(layer, torch.zeros(1, 20), out)
    assert float(out) == pytest.approx(20e60, rel=1e-6)


def test_what_compiled_code_does_not_take_is_refused():
    def layer(inputs=20, dtype=torch.float32):
        return Layer(torch.ones(1, 4, 3, dtype=dtype), torch.ones(1, 4, inputs, dtype=dtype), torch.full((1, 2), 2))

    code, out = Code(torch.tensor([[[0], [1]]]), torch.ones(1, 2, 1)), torch.zeros(1, 2, 60)
    assert outer.coded(layer(), code, out)
    double = Code(code.assigned, code.weight.double())
    assert not outer.coded(layer(dtype=torch.float64), double, out.double())
    assert not outer.coded(layer(), double, out)
    assert not outer.coded(layer(inputs=15), code, torch.zeros(1, 2, 45))
    assert not outer.coded(layer(), code, torch.zeros(1, 2, 120)[..., ::2])
    turned = Layer(torch.ones(1, 3, 4).mT, torch.ones(1, 4, 20), torch.full((1, 2), 2))
    assert not outer.coded(turned, code, out)
    assert not outer.takes(torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_fused_gradients_are_those_of_double_precision(name, partition, monkeypatch):
    """Of a sparse code; and fused code is used in single precision only."""
    options = {"subsets": 30, "partition": partition, "examples": 500, **MODELS[name]}
    single, double = (PROBLEMS[name]((0, 5), "cpu", dtype, **options) for dtype in ("float32", "float64"))
    rng = np.random.default_rng(3)
    theta = double.start() + torch.from_numpy(0.1 * rng.normal(size=double.start().shape))
    assigned = torch.from_numpy(np.stack([[rng.permutation(30)[:4] for _ in range(7)] for _ in range(2)]))
    weight = torch.from_numpy(rng.normal(size=assigned.shape))
    calls = []
    monkeypatch.setattr(fused, "messages", lambda *given, own=fused.messages: calls.append(1) or own(*given))
    made = []
    for problem, dtype in ((double, torch.float64), (single, torch.float32)):
        forward = problem.forward(theta.to(dtype))
        gradient = problem.gradient(forward)
        made.append(
            {
                "gradient": gradient,
                "messages": problem.coded_gradients(forward, Code(assigned, weight.to(dtype))),
                "heterogeneity": problem.heterogeneity(forward, gradient),
                "largest": problem.largest_heterogeneity(forward, gradient),
            }
        )
        assert len(calls) == (dtype == torch.float32)
    for quantity, want in made[0].items():
        torch.testing.assert_close(
            made[1][quantity].double(), want, rtol=1e-3, atol=1e-4 * float(want.abs().max()), msg=quantity
        )


@pytest.mark.parametrize("name", MODELS)
def test_a_dense_code_and_other_machines_take_the_other_path(name, monkeypatch):
    problem = PROBLEMS[name]((0,), "cpu", "float32", subsets=10, examples=100, **MODELS[name])
    forward = problem.forward(problem.start())
    everything = Code(torch.arange(10).expand(1, 3, 10).contiguous(), torch.full((1, 3, 10), 0.1))
    few = Code(everything.assigned[..., :4].contiguous(), everything.weight[..., :4].contiguous())
    monkeypatch.setattr(fused, "messages", None)
    torch.testing.assert_close(
        problem.coded_gradients(forward, everything)[:, 0], problem.gradient(forward), rtol=1e-3, atol=1e-5
    )
    with pytest.raises(TypeError):
        problem.coded_gradients(forward, few)
    monkeypatch.undo()
    compiled = problem.coded_gradients(forward, few)
    monkeypatch.setattr(native, "_functions", lambda _: {})
    torch.testing.assert_close(problem.coded_gradients(problem.forward(problem.start()), few), compiled)
