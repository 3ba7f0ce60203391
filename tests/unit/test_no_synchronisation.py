"""What the training loop does on a GPU: it waits for none, and computes what the CPU does. No GPU is needed.

On the device "meta", which has shapes and no numbers, whoever asks for a number (``bool(tensor)``, ``item``,
``nonzero``, a mask as an index, ``cpu``, ``numpy``) gets an error, and what branches on the device takes the way of a
GPU. The same way is then taken with numbers, on a CPU that calls itself a GPU. Not seen: copies from the host, and a
GPU's own sums.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from unit.tables import decoded_run

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS, Threat
from byzcode.coding import DECODERS, ENCODERS, VOTES
from byzcode.compression import COMPRESSORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream
from byzcode.storage import allocations

RUNS, DEVICES, LIARS, DIMENSION = 3, 15, 3, 7
#: One that no machine has, since what is kept for a device outlives the tests.
GPU = torch.device("cuda:99")

OPTIONS = {
    "krum": [{"neighbours": "n-f-1"}],
    "phocas": [{"variant": "vector"}],
    "centered_clipping": [{"start": "zero", "rounds": 2}],
    "clipping": [{"radius": 1.0}],
    "bucketing": [{"size": 2}, {"size": 3}],
    "random_k": [{"mask": "shared"}],
    "sign_flip": [{"of": "honest_mean"}],
    "mimic": [{"victim": 2}],
    "min_max": [{"direction": "top"}],
    "top_direction": [{"factor": 1.0}],
}


def run_rule(messages, name, options):
    return RULES[name](messages, LIARS, **options)


def run_pre_aggregator(messages, name, options):
    return PRE_AGGREGATORS[name](messages, LIARS, draws(messages), **options)


def run_attack(messages, name, options):
    order = torch.arange(DEVICES, device=messages.device).expand(RUNS, DEVICES)
    threat = Threat(
        liars=order[:, :LIARS],
        honest=order[:, LIARS:],
        aggregate=lambda received: RULES["median"](received, LIARS),
        relabelled=lambda: 2 * messages,
        exclusive=lambda: messages / 2,
    )
    return ATTACKS[name](messages, threat, draws(messages), **options)


def run_compressor(messages, name, options):
    compressed = COMPRESSORS[name](messages, draws(messages), 64, **options)
    bits = torch.zeros_like(messages[..., :1]) + (
        compressed.bits if isinstance(compressed.bits, int) else compressed.bits.unsqueeze(-1)
    )
    return torch.cat([compressed.messages, bits], dim=-1)


def run_decoder(messages, name, options):
    spec = decoded_run(name, DEVICES, 2 * DEVICES)
    if spec is None:
        pytest.skip(f"no method has the decoder {name}, so what is sent to it is not known")
    if np.iscomplexobj(ENCODERS[spec.encoding.name](allocations.draw(spec.allocation_spec)[0], spec.subsets)):
        messages = torch.cat([messages, messages], dim=-1)  # real and imaginary parts
    decoded = DECODERS[name].prepare(spec.devices, spec.subsets, spec.redundancy)(messages)
    return torch.cat([decoded.gradient, decoded.failed.to(messages.dtype).unsqueeze(-1)], dim=-1)


def run_vote(messages, name, options):
    """Each device holds one copy of one of five files, so that any two that hold another agree."""
    holders = np.arange(DEVICES).reshape(-1, 3)
    copies = messages.view(RUNS, -1, 3, messages.shape[-1])
    voted = VOTES[name].prepare(holders, DEVICES, LIARS)(copies, copies.roll(1, dims=-2))
    known = torch.zeros_like(messages[:, 0, 0], dtype=torch.bool) if voted.known is None else voted.known
    return torch.cat([voted.vectors.flatten(1), known.to(messages.dtype).unsqueeze(-1)], dim=-1)


def draws(like):
    return Draws([Stream(seed, "test") for seed in range(RUNS)], 0, like=like)


TABLES = {
    run_rule: RULES,
    run_pre_aggregator: PRE_AGGREGATORS,
    run_attack: ATTACKS,
    run_compressor: COMPRESSORS,
    run_decoder: DECODERS,
    run_vote: VOTES,
}
ALL = [
    pytest.param(run, name, options, id=" ".join([run.__name__, name, *map(str, options.values())]))
    for run, table in TABLES.items()
    for name in table
    for options in [{}, *OPTIONS.get(name, [])]
]


def messages_of(kind):
    """Of which the first devices' are lies, if they are; in the last run none is."""
    messages = torch.from_numpy(np.random.default_rng(0).normal(size=(RUNS, DEVICES, DIMENSION)))
    if kind == "equal":  # as the repetition code has them
        messages = messages[:, :1].expand(-1, DEVICES, -1).clone()
        messages[:-1, :2] *= -5
    elif kind == "far":  # beyond the squares' range: all distances are infinite
        messages *= 1e200
    elif kind == "extreme":
        extremes = torch.tensor([torch.inf, torch.nan, -torch.inf, 1e200, -1e300, 0, 1e-200], dtype=torch.float64)
        messages[0, :LIARS], messages[1, 0], messages[1, 1:LIARS] = extremes, 1e-250, 1e250
    return messages


QUESTIONS = [
    lambda x: bool(x.all()),
    lambda x: x.sum().item(),
    lambda x: x.nonzero(),
    lambda x: x[x > 0],
    lambda x: x.cpu(),
    lambda x: x.numpy(),
    lambda x: x.tolist(),
    lambda x: torch.tensor([x[0, 0, 0], x[0, 0, 1]]),
]


@pytest.mark.parametrize("ask", QUESTIONS)
def test_questions_are_seen(ask):
    with pytest.raises((RuntimeError, TypeError)):
        ask(messages_of("normal").to("meta"))


@pytest.mark.parametrize(("run", "name", "options"), ALL)
def test_nothing_waits(run, name, options):
    messages = messages_of("normal")
    got = run(messages.to("meta"), name, options)
    assert got.device.type == "meta"
    assert got.dtype is torch.float64
    assert got.shape == run(messages, name, options).shape


class CalledGPU(TorchFunctionMode):
    """Each tensor says that it is on a GPU; what is asked for there is made on the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func == torch.Tensor.device.__get__:
            return GPU
        here = [torch.device("cpu") if value == GPU else value for value in args]
        return func(*here, **{k: torch.device("cpu") if k == "device" else v for k, v in (kwargs or {}).items()})


@pytest.mark.parametrize("kind", ["normal", "equal", "far", "extreme"])
@pytest.mark.parametrize(("run", "name", "options"), ALL)
def test_a_gpu_computes_what_a_cpu_does(run, name, options, kind):
    messages = messages_of(kind)
    want = run(messages, name, options)
    with CalledGPU():
        assert messages.device == GPU
        got = run(messages, name, options)
    scale = 1e200 if kind == "far" else 1.0
    np.testing.assert_allclose(got.numpy() / scale, want.numpy() / scale, rtol=1e-12, atol=1e-13)
