"""Rules, attacks, compressors and codes on tensors, arrays and lists: the same numbers as inside, in the given form."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import byzcode as bz
from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS, Threat
from byzcode.coding import DECODERS, ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.front import forms, gradients
from byzcode.kernels.gather import Code, coded_rows
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream

Layers = namedtuple("Layers", ["weight", "bias"])
N, F = 11, 2


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def refusal(called) -> str:
    with pytest.raises(bz.UserError) as caught:
        called()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- forms -----------------------------------------------------------------------------------------------------------

NUMPY = st.sampled_from(["float16", "float32", "float64", ">f8", ">f4"])
TORCH = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


def made(shape, dtype):
    array = numbers(*shape, seed=len(shape))
    return torch.tensor(array).to(dtype) if isinstance(dtype, torch.dtype) else np.asarray(array, dtype=dtype)


@st.composite
def trees(draw, leaf):
    """The form of a message: a leaf, or lists, tuples, named tuples and mappings of such."""
    inner = st.recursive(
        leaf,
        lambda each: st.one_of(
            st.lists(each, min_size=1, max_size=3),
            st.lists(each, min_size=1, max_size=3).map(tuple),
            st.tuples(each, each).map(lambda pair: Layers(*pair)),
            st.dictionaries(st.sampled_from("abc"), each, min_size=1),
            st.dictionaries(st.sampled_from("abc"), each, min_size=1).map(OrderedDict),
        ),
        max_leaves=5,
    )
    return draw(inner)


shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def same(one, other) -> bool:
    """Whether two messages are equal in form and in all numbers."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return len(one) == len(other) and all(map(same, one, other))


@settings(max_examples=200)
@given(
    tree=st.one_of(trees(st.tuples(shapes, NUMPY)), trees(st.tuples(shapes, TORCH))),
    devices=st.integers(1, 4),
    outer=st.sampled_from([list, tuple]),
)
def test_a_form_is_given_back(tree, devices, outer):
    def build(tree):
        if isinstance(tree, tuple) and len(tree) == 2 and isinstance(tree[1], str | torch.dtype):
            return made(*tree)
        if isinstance(tree, dict):
            return type(tree)((key, build(each)) for key, each in tree.items())
        return type(tree)(*map(build, tree)) if hasattr(tree, "_fields") else type(tree)(map(build, tree))

    given_messages = outer(build(tree) for _ in range(devices))
    form = forms.read(given_messages, "test")
    assert form.messages.shape[0] == form.devices == devices
    assert same(form.several(form.messages), given_messages)
    assert same(form.one(form.messages[0]), given_messages[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_an_array_keeps_its_axes_and_its_type(dtype, batch):
    messages = made((*batch, N, 4), dtype)
    result = bz.aggregate("trimmed_mean", messages, F)
    assert (type(result), result.dtype, tuple(result.shape)) == (type(messages), messages.dtype, (*batch, 4))
    precise = torch.as_tensor(messages).double()
    expected = RULES["trimmed_mean"](precise, F)
    tolerance = {2: 1e-2, 4: 1e-5, 8: 1e-13}[messages.dtype.itemsize]
    np.testing.assert_allclose(torch.as_tensor(result).double(), expected, atol=tolerance)


def test_what_is_given_stays_as_it_is_and_is_not_shared():
    messages = numbers(N, 3)
    before = messages.copy()
    for result in (
        bz.compress("identity", messages).messages,
        bz.attack("none", messages, liars=[0]),
        bz.attack("sign_flip", messages, liars=[]),
        bz.pre_aggregate("none", messages, 1),
        bz.pre_aggregate("none", list(messages), 1)[0],
    ):
        assert np.array_equal(result, before[: len(result)] if result.ndim == 2 else before[0])
        result += 1
        assert np.array_equal(messages, before)
    tensor = torch.tensor(before)
    for result in (bz.attack("none", tensor, [0]), bz.attack("none", list(tensor), [0])[0]):
        result += 1
        assert torch.equal(tensor, torch.tensor(before))


def test_views_of_any_layout_are_read():
    whole = numbers(4, 2 * N)
    for view in (whole.T[::-2], whole.T[::2], np.asfortranarray(whole.T)[::2]):
        expected = bz.aggregate("median", np.ascontiguousarray(view), F)
        assert np.array_equal(bz.aggregate("median", view, F), expected)
        assert torch.equal(
            bz.aggregate("median", torch.tensor(view.copy()).T.contiguous().T, F), torch.tensor(expected)
        )
    frozen = numbers(N, 2)
    frozen.flags.writeable = False
    assert np.array_equal(bz.aggregate("median", frozen, 0), np.median(frozen, axis=0))


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        (numbers(5), "messages has shape (5,); allowed: (..., N, D), or a list of N messages"),
        (np.empty((0, 3)), "messages has shape (0, 3)"),
        ([], "messages is empty"),
        ([[]], "messages[0] has no arrays"),
        (3.0, "messages = 3.0: allowed: torch tensors or numpy arrays (..., N, D)"),
        ("abc", "messages = 'abc': allowed: torch"),
        ([[1.0, 2.0]], "messages[0][0] = 1.0: allowed: torch tensors or numpy arrays"),
        (np.ones((3, 2), dtype=int), "messages is of int64; allowed: float16, float32, float64"),
        (torch.ones(3, 2, dtype=torch.complex64), "messages is of torch.complex64; allowed: dense tensors"),
        (torch.ones(3, 2).to_sparse(), "messages is of torch.sparse_coo"),
        (np.ma.ones((3, 2)), "without a mask"),
        ([numbers(2), numbers(3)], "messages[1] is a numpy array of float64 with shape (3,), but messages[0] a numpy"),
        ([numbers(2), torch.ones(2)], "messages[1] is a tensor on cpu of torch.float32"),
        ([[numbers(2)], [numbers(2), numbers(2)]], "messages[1] has other parts than messages[0]"),
        ([{"a": numbers(2)}, {"b": numbers(2)}], "messages[1] has other parts than messages[0]"),
        ([[numbers(2), torch.ones(2)]], "messages[0] has arrays in several places"),
        ([{"a": {"b": "x"}}], "messages[0]['a']['b'] = 'x'"),
    ],
)
def test_what_is_no_messages_is_refused_with_its_place(messages, says):
    assert says in refusal(lambda: bz.aggregate("mean", messages, 0))


# --- the same numbers as inside --------------------------------------------------------------------------------------


def as_layers(array):
    """Messages (N, 7) as lists of layers."""
    return [{"weight": row[:6].reshape(2, 3), "bias": row[6:]} for row in array]


def joined(layers):
    return np.concatenate([np.asarray(layers["weight"]).ravel(), np.asarray(layers["bias"]).ravel()])


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_that_of_the_table_in_every_form(rule):
    array = numbers(N, 7)
    expected = RULES[rule](torch.tensor(array), F).numpy()
    assert np.array_equal(bz.aggregate(rule, array, F), expected)
    assert np.array_equal(bz.aggregate(rule, torch.tensor(array), F).numpy(), expected)
    assert np.array_equal(bz.aggregate(rule, list(array), F), expected)
    assert np.array_equal(bz.aggregate(rule, list(torch.tensor(array)), F).numpy(), expected)
    assert np.array_equal(joined(bz.aggregate(rule, as_layers(array), F)), expected)
    assert np.array_equal(bz.aggregate(rule, np.stack([array, array]), F), [expected, expected])


def draws(messages, purpose, seed, iteration):
    return Draws([Stream(seed + run, purpose) for run in range(len(messages))], iteration, like=messages)


@pytest.mark.parametrize("name", PRE_AGGREGATORS)
def test_a_pre_aggregator_is_that_of_the_table(name):
    runs = torch.tensor(numbers(2, N, 7))
    expected = PRE_AGGREGATORS[name](runs, F, draws(runs, "pre_aggregation", 3, 5))
    mixed = bz.pre_aggregate(name, runs.numpy(), F, seed=3, iteration=5)
    assert np.array_equal(mixed, expected)
    alone = bz.pre_aggregate(name, as_layers(runs[0].numpy()), F, seed=3, iteration=5)
    assert np.array_equal([joined(each) for each in alone], expected[0])


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_that_of_the_table(name):
    runs, poisoned = torch.tensor(numbers(2, N, 7)), torch.tensor(numbers(2, N, 7, seed=1))
    lying = torch.tensor([[1, 4], [0, 9]])
    honest = torch.tensor([[each for each in range(N) if each not in own] for own in lying.tolist()])
    alone = torch.tensor(numbers(2, N, 7, seed=2))
    rule = RULES["median"]
    threat = Threat(lying, honest, lambda messages: rule(messages, F), lambda: poisoned, lambda: alone, iteration=5)
    expected = ATTACKS[name](runs, threat, draws(runs, "attack", 3, 5)).numpy()
    knows = ATTACKS[name].knows
    more = {"rule": "median"} if "rule" in knows else {}
    beside = {"relabelled": poisoned} if "labels" in knows else {"exclusive": alone} if "allocation" in knows else {}
    more_too = {key: each.numpy() for key, each in beside.items()}
    mask = threat.mask.numpy()
    for liars in (lying, lying.numpy().tolist(), lying.flip(-1), mask):
        received = bz.attack(name, runs.numpy(), liars, seed=3, iteration=5, **more, **more_too)
        np.testing.assert_array_equal(received, expected)
    more_too = {key: as_layers(each[0].numpy()) for key, each in beside.items()}
    alone = bz.attack(name, as_layers(runs[0].numpy()), lying[0], seed=3, iteration=5, **more, **more_too)
    np.testing.assert_array_equal([joined(each) for each in alone], expected[0])


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compressor_is_that_of_the_table(name):
    runs = torch.tensor(numbers(2, N, 7))
    expected = COMPRESSORS[name](runs, draws(runs, "compression", 3, 5), 16)
    got = bz.compress(name, runs.numpy(), message_bits=16, seed=3, iteration=5)
    assert np.array_equal(got.messages, expected.messages)
    assert np.array_equal(got.bits, expected.bits)
    alone = bz.compress(name, as_layers(runs[0].numpy()), message_bits=16, seed=3, iteration=5)
    assert np.array_equal([joined(each) for each in alone.messages], expected.messages[0])


@pytest.mark.parametrize("name", [name for name in ENCODERS if ENCODERS[name].numbers == 1])
def test_a_code_is_that_of_the_table(name):
    gradients_of = torch.tensor(numbers(2, 12, 7))
    held = bz.allocate("random", 5, 12, 4, seed=2)
    code = Code(
        torch.tensor(held.astype(np.int64)).expand(2, -1, -1).contiguous(),
        torch.tensor(ENCODERS[name](held, 12)).expand(2, -1, -1).contiguous(),
    )
    expected = coded_rows(gradients_of, torch.ones(2, 12, dtype=torch.float64), code)
    assert np.array_equal(bz.encode(name, gradients_of.numpy(), held), expected)
    alone = bz.encode(name, as_layers(gradients_of[0].numpy()), torch.tensor(held))
    assert np.array_equal([joined(each) for each in alone], expected[0])


@pytest.mark.parametrize(
    ("decoder", "encoding", "allocation"),
    [
        ("repetition", "uniform", "repetition"),
        ("draco_cyclic", "draco_cyclic", "cyclic"),
    ],
)
def test_a_decoder_finds_the_mean_gradient_among_lies(decoder, encoding, allocation):
    gradients_of = numbers(2, 15, 6)
    held = bz.allocate(allocation, 15, 15, 5)
    sent = bz.encode(encoding, gradients_of, held)
    received = bz.attack("gaussian", sent, liars=[3], scale=1e3)
    decoded = bz.decode(decoder, received, subsets=15, redundancy=5)
    np.testing.assert_allclose(decoded.gradient, gradients_of.mean(axis=1), atol=1e-6)
    assert decoded.failed.tolist() == [False, False]
    inside = DECODERS[decoder].prepare(15, 15, 5)(torch.tensor(received))
    assert np.array_equal(decoded.gradient, inside.gradient)
    assert bz.decode(decoder, received[0], subsets=15, redundancy=5).failed is False


def test_layers_are_decoded_in_their_form():
    layers = as_layers(numbers(4, 7))
    sent = bz.encode("uniform", layers, bz.allocate("repetition", 6, 4, 2))
    decoded = bz.decode("repetition", bz.attack("constant", sent, [0]), subsets=4, redundancy=2)
    np.testing.assert_allclose(joined(decoded.gradient), np.mean([joined(each) for each in layers], axis=0))


def test_the_server_s_rule_may_be_a_function():
    messages = numbers(N, 3)
    named = bz.attack("alie_search", messages, [0, 1], rule={"name": "krum", "neighbours": "n-f-1"})
    own = bz.attack(
        "alie_search", messages, [0, 1], rule=lambda tried: bz.aggregate("krum", tried, 2, neighbours="n-f-1")
    )
    assert np.array_equal(named, own)


# --- what is refused -------------------------------------------------------------------------------------------------

X = numbers(N, 3)


@pytest.mark.parametrize(
    ("called", "says"),
    [
        (
            lambda: bz.aggregate("medain", X, 1),
            "aggregate: rule = 'medain': did you mean 'median'? allowed: mean, median",
        ),
        (lambda: bz.aggregate(None, X, 1), "aggregate: rule = None: allowed: mean"),
        (
            lambda: bz.aggregate("krum", X, 1, neighbors=3),
            "aggregate: neighbors = 3: unknown key; did you mean 'neighbours'",
        ),
        (lambda: bz.aggregate("median", X, 1, rounds=3), "aggregate: rounds = 3: unknown key; median has no options"),
        (lambda: bz.aggregate("krum", X, 1, neighbours="n"), "aggregate: neighbours = 'n': allowed: n-f-2, n-f-1"),
        (lambda: bz.aggregate("median", X, 6), "aggregate: f = 6: allowed: 0 to 5 (median of 11 messages)"),
        (lambda: bz.aggregate("median", X, 1.5), "aggregate: f = 1.5: allowed: 0 to 5"),
        (lambda: bz.aggregate("median", X, True), "aggregate: f = True: allowed: 0 to 5"),
        (lambda: bz.aggregate("multi_krum", X, 2, kept=10), "aggregate: kept = 10: allowed: 1 to 9"),
        (lambda: bz.attack("sign_flop", X, [0]), "attack: name = 'sign_flop': did you mean 'sign_flip'?"),
        (lambda: bz.attack("sign_flip", X, [N]), f"attack: liars = [{N}]: allowed: different device numbers, 0 to 10"),
        (lambda: bz.attack("sign_flip", X, [0, 0]), "attack: liars = [0, 0]: allowed: different"),
        (lambda: bz.attack("sign_flip", X, 3), "attack: liars = 3: allowed"),
        (lambda: bz.attack("sign_flip", X, [0.5]), "attack: liars = [0.5]: allowed"),
        (lambda: bz.attack("sign_flip", X, range(N)), "at least one of the 11 devices must be honest"),
        (lambda: bz.attack("sign_flip", X, np.ones(3, bool)), "or 11 truth values"),
        (lambda: bz.attack("sign_flip", X, [0], coefficient=1), "attack: coefficient = 1: allowed: less than 0"),
        (
            lambda: bz.attack("sign_flip", X, [0], rule="median"),
            "rule is given, but sign_flip does not use it; allowed: for",
        ),
        (lambda: bz.attack("alie", X, [0], relabelled=X), "relabelled is given, but alie does not use it"),
        (lambda: bz.attack("alie_search", X, [0]), "attack: rule = None: alie_search tries the server's rule"),
        (lambda: bz.attack("alie_search", X, range(6), rule="median"), "rule = 'median': tolerates 0 to 5 liars"),
        (lambda: bz.attack("alie_search", X, [0], rule={"name": "krum", "x": 1}), "attack: x = 1: unknown key"),
        (lambda: bz.attack("alie", X, [0], exclusive=X), "exclusive is given, but alie does not use it"),
        (lambda: bz.attack("label_flip", X, [0]), "attack: relabelled = None: label_flip needs the messages"),
        (lambda: bz.attack("negate_exclusive", X, [0]), "attack: exclusive = None: negate_exclusive needs the parts"),
        (
            lambda: bz.attack("label_flip", X, [0], relabelled=X[:, :2]),
            "relabelled are not of the form of the messages",
        ),
        (lambda: bz.attack("mimic", X, [0], victim=N), "attack: victim = 11: allowed: 0 to 10 (the devices)"),
        (lambda: bz.attack("gaussian", X, [0], seed=-1), "attack: seed = -1: allowed: 0 to"),
        (lambda: bz.compress("topk", X), "compress: compressor = 'topk': did you mean 'top_k'?"),
        (lambda: bz.compress("top_k", X, shares=0.5), "compress: shares = 0.5: unknown key; did you mean 'share'?"),
        (lambda: bz.compress("top_k", X, share=2), "compress: share = 2: allowed: at most 1"),
        (lambda: bz.compress("top_k", X, message_bits=0), "compress: message_bits = 0: allowed: 1 to 1024"),
        (lambda: bz.allocate("cyclc", 4, 4, 2), "allocate: allocation = 'cyclc': did you mean 'cyclic'?"),
        (lambda: bz.allocate("cyclic", 3, 4, 2), "allocate: "),
        (lambda: bz.allocate("cyclic", 4, 4, 5), "allocate: "),
        (lambda: bz.encode("uniform", X, [[0, 11]]), "encode: assigned must name subsets 0 to 10"),
        (lambda: bz.encode("uniform", X, [0, 1]), "encode: assigned must be (N, S)"),
        (lambda: bz.encode("draco_cyclic", list(X), bz.allocate("cyclic", N, N, 3)), "sends 2 D numbers"),
        (lambda: bz.decode("repetition", X, subsets=4, redundancy=3), "decode: redundancy = 3: "),
        (lambda: bz.decode("draco_cyclic", X, subsets=N, redundancy=3), "reads messages of 2 D numbers"),
        (lambda: bz.pre_aggregate("nn", X, 1), "pre_aggregate: pre_aggregator = 'nn': did you mean 'nnm'?"),
    ],
)
def test_a_mistake_is_told_in_one_line(called, says):
    assert says in refusal(called)


# --- gradients -------------------------------------------------------------------------------------------------------


def differentiable(*shape: int) -> torch.Tensor:
    return torch.tensor(numbers(*shape), requires_grad=True)


OPTIONS = {
    "phocas": [{}, {"variant": "vector"}],
    "centered_clipping": [{}, {"radius": 0.8, "rounds": 3}, {"radius": 0.8, "start": "zero"}],
    "multi_krum": [{}, {"kept": 3}],
}


@pytest.mark.parametrize(
    ("rule", "options"), [(rule, own) for rule in gradients.RULES for own in OPTIONS.get(rule, [{}])], ids=str
)
def test_the_gradient_of_a_rule_is_that_of_its_numbers(rule, options):
    def of(messages):
        return bz.aggregate(rule, messages, F, **options)

    messages = differentiable(N, 3)
    with torch.no_grad():
        assert torch.equal(of(messages), RULES[rule](messages.detach(), F, **options))
    assert torch.equal(of(messages).detach(), RULES[rule](messages.detach(), F, **options))
    assert torch.autograd.gradcheck(of, messages, atol=1e-4)
    assert torch.autograd.gradcheck(of, differentiable(2, N, 2), atol=1e-4)


def test_the_mean_of_wide_messages_has_a_gradient():
    messages = differentiable(3, 20_001)
    bz.aggregate("mean", messages, 0).sum().backward()
    assert torch.equal(messages.grad, torch.full_like(messages, 1 / 3))


@pytest.mark.parametrize("rule", ["trimmed_mean", "median", "meamed", "phocas", "geometric_median", "krum"])
def test_gradients_are_finite_whatever_liars_send(rule):
    array = numbers(N, 3)
    array[2], array[7] = np.inf, np.nan
    messages = torch.tensor(array, requires_grad=True)
    bz.aggregate(rule, messages, F).sum().backward()
    assert messages.grad[[0, 1, 3, 4, 5, 6, 8, 9, 10]].isfinite().all()
    assert torch.equal(messages.grad.nan_to_num()[[2, 7]], torch.zeros(2, 3, dtype=torch.float64))
    assert messages.grad.nan_to_num().sum() == pytest.approx(3)


def test_the_geometric_median_on_a_message_moves_with_it():
    messages = torch.tensor([[0.0, 0], [1, 0], [0, 1], [-1, -1], [0.01, 0]], dtype=torch.float64, requires_grad=True)
    bz.aggregate("geometric_median", messages, 1)[0].backward()
    assert messages.grad.tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [1, 0]]


def test_gradients_reach_the_layers_of_a_list():
    layers = [[differentiable(2, 2), differentiable(3)] for _ in range(5)]
    weight, bias = bz.aggregate("trimmed_mean", layers, 1)
    (weight.sum() + 2 * bias.sum()).backward()
    assert sum(each[0].grad.sum() for each in layers) == pytest.approx(4)
    assert sum(each[1].grad.sum() for each in layers) == pytest.approx(6)


@pytest.mark.parametrize("name", gradients.ATTACKS)
def test_gradients_pass_through_an_attack(name):
    messages, poisoned = differentiable(2, N, 3), differentiable(2, N, 3)
    more = {"relabelled": poisoned} if name == "label_flip" else {}
    received = bz.attack(name, messages, [1, 4], seed=1, **more)
    assert received.requires_grad
    if name in ("infinite", "nan"):
        (gradient,) = torch.autograd.grad(received[:, [0, 2]].sum(), messages)
        assert gradient[:, [0, 2]].eq(1).all()
        return
    if more:
        both = (messages, poisoned)
        assert torch.autograd.gradcheck(lambda one, two: bz.attack(name, one, [1, 4], relabelled=two), both)
        return
    assert torch.autograd.gradcheck(lambda messages: bz.attack(name, messages, [1, 4], seed=1), messages)


@pytest.mark.parametrize("name", gradients.COMPRESSORS)
def test_gradients_pass_through_a_compressor(name):
    assert torch.autograd.gradcheck(lambda messages: bz.compress(name, messages).messages, differentiable(2, 4, 9))


@pytest.mark.parametrize("name", gradients.PRE_AGGREGATORS)
def test_gradients_pass_through_a_pre_aggregator(name):
    assert torch.autograd.gradcheck(lambda messages: bz.pre_aggregate(name, messages, 1), differentiable(2, 5, 3))


@pytest.mark.parametrize("name", ["uniform", "replication", "draco_cyclic"])
def test_gradients_pass_through_a_code(name):
    held = bz.allocate("cyclic", 5, 5, 3)
    assert torch.autograd.gradcheck(lambda each: bz.encode(name, each, held), differentiable(2, 5, 3))


def told(name, x):
    """What an attack must be told besides the messages."""
    return {
        **({"rule": "mean"} if "rule" in ATTACKS[name].knows else {}),
        **({"exclusive": x.detach()} if "allocation" in ATTACKS[name].knows else {}),
    }


NO_GRADIENT = [
    *(lambda x, rule=rule: bz.aggregate(rule, x, 1) for rule in RULES if rule not in gradients.RULES),
    *(
        lambda x, name=name: bz.attack(name, x, [0], **told(name, x))
        for name in ATTACKS
        if name not in gradients.ATTACKS
    ),
    *(lambda x, name=name: bz.compress(name, x) for name in COMPRESSORS if name not in gradients.COMPRESSORS),
    *(
        lambda x, name=name: bz.pre_aggregate(name, x, 1)
        for name in PRE_AGGREGATORS
        if name not in gradients.PRE_AGGREGATORS
    ),
    lambda x: bz.decode("repetition", x, subsets=N, redundancy=1),
]


@pytest.mark.parametrize("called", NO_GRADIENT)
def test_no_gradient_is_lost_in_silence(called):
    assert "the messages require a gradient" in refusal(lambda: called(differentiable(N, 4)))
    called(differentiable(N, 4).detach())
    with torch.no_grad():
        called(differentiable(N, 4))
