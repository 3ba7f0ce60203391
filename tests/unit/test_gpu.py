"""A GPU against the CPU: the same numbers to a stated tolerance, the same bits twice, and no wait in the loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.compression import COMPRESSORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.specs.methods import METHODS
from byzcode.specs.quantities import QUANTITIES
from byzcode.storage import allocations
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop
from byzcode.training.records import Measurements
from byzcode.training.workers import train, train_together

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

#: Distances between gradients, which may be nothing but rounding: measured in those of the subsets.
DISTANCES = ("aggregation_error", "honest_dispersion", "coding_bias")
LAD = {"method": "lad", "redundancy": 12, "problem": {"subsets": 20}}

#: What has a row here is tested on the GPU; what is added to a table tomorrow is in it.
EVERY_PART = {
    **{rule: {"aggregation": rule, "byzantine": {"alpha": 0.1}} for rule in RULES},
    **{f"{name}, median": {"pre_aggregation": name} for name in PRE_AGGREGATORS},
    **{f"{name}, trimmed_mean": {"attack": name, "aggregation": "trimmed_mean"} for name in ATTACKS},
    **{f"{name}, compressed": LAD | {"method": "com_lad", "compression": name} for name in COMPRESSORS},
    **{
        method: {"method": method, "aggregation": None, "byzantine": {"alpha": 0.05}, "redundancy": 15}
        for method, about in METHODS.items()
        if about.server == "decoder"
    },
    "redrawn": {**LAD, "assignment": "redrawn"},
    "all rows": {"redundancy": 60, "allocation": "cyclic"},
    "samples": {"problem": {"samples_per_subset": 3}},
    "clairvoyant": {"method": "clairvoyant", "aggregation": None},
}

#: Over 50 iterations, in parts of the largest value. Sums run in another order on a GPU, so results
#: differ by rounding; what selects (values, messages, entries) may select another where two are equal to rounding.
CLOSE = {"float64": 1e-9, "float32": 2e-5}
CLOSE_IF_SELECTED = {"float64": 1e-9, "float32": 2e-4}
SELECTING = ("phocas", "meamed", "krum", "multi_krum", "bulyan", "norm_trimming", "nnm", "top_k", "qsgd", "natural")


def tolerance(name: str, dtype: str) -> float:
    selects = name.partition(",")[0] in SELECTING or "search" in name or "tailored" in name
    return (CLOSE_IF_SELECTED if selects else CLOSE)[dtype]


def assert_close(first: Measurements, second: Measurements, within: float) -> None:
    np.testing.assert_array_equal(first.status, second.status)
    np.testing.assert_array_equal(first.status_at, second.status_at)
    for name in (*QUANTITIES, "bits_sent"):
        left, right = getattr(first, name), getattr(second, name)
        if np.isnan(right).all():
            assert np.isnan(left).all(), name
            continue
        scale = np.nanmax(np.abs(second.heterogeneity if name in DISTANCES else right))
        np.testing.assert_allclose(left, right, rtol=0, atol=within * scale, err_msg=name)


def assert_same_bits(first: Measurements, second: Measurements) -> None:
    left, right = first.arrays(), second.arrays()
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.tobytes() == right[name].tobytes(), name


def spec_of(name, make_spec, **changes):
    return make_spec(**{"attack": "sign_flip", "seeds": [3, 0]} | EVERY_PART[name] | changes)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", EVERY_PART)
def test_a_gpu_computes_what_the_cpu_does(name, dtype, make_spec):
    spec = spec_of(name, make_spec, dtype=dtype)
    assigned = allocations.draw(spec.allocation_spec)
    assert_close(train(spec, assigned, device="cuda"), train(spec, assigned), tolerance(name, dtype))


@pytest.mark.parametrize("name", EVERY_PART)
def test_nothing_in_the_loop_waits(name, make_spec):
    """From the second iteration on: what is made once, at the first, may be waited for. Blocks of orders come anew."""
    spec = spec_of(name, make_spec, iterations=70)
    parts = [Part(spec, spec.seeds, allocations.draw(spec.allocation_spec))]
    with torch.inference_mode():
        try:
            loop(assemble(parts, "cuda"), lambda _: torch.cuda.set_sync_debug_mode("error"))
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_a_wait_would_be_seen(make_spec):
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroniz"):
            torch.ones(3, device="cuda").sum().item()
        with pytest.raises(RuntimeError, match="synchroniz"):
            torch.ones(3).to("cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", EVERY_PART)
def test_the_same_bits_twice(name, make_spec):
    spec = spec_of(name, make_spec)
    assigned = allocations.draw(spec.allocation_spec)
    assert_same_bits(train(spec, assigned, device="cuda"), train(spec, assigned, device="cuda"))


@pytest.mark.parametrize("name", EVERY_PART)
def test_specs_beside_each_other_have_the_numbers_that_they_have_alone(name, make_spec):
    specs = [spec_of(name, make_spec), spec_of(name, make_spec, step_size=0.3, seeds=[5, 1, 3])]
    assigned = [allocations.draw(spec.allocation_spec) for spec in specs]
    for spec, lists, beside in zip(specs, assigned, train_together(specs, assigned, device="cuda"), strict=True):
        assert_close(beside, train(spec, lists, device="cuda"), tolerance(name, "float64"))
