"""Microseconds per run-iteration of CRA-DL at the paper's size, against a plain loop over devices, in one run.

    python benchmarks/engine.py [--iterations 500] [--rounds 3]

One core, float64, N = 100, M = 1000, D = 100, r = 40, sign flip at alpha = 0.2. The engine's time is that of the whole
training call of one seed: data, streams, attack, rule, records. CPU seconds, the least of the interleaved rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from byzcode.allocation import file
from byzcode.engine import train
from byzcode.problems import PROBLEMS
from byzcode.studies.spec import RunSpec

RULES = ("median", "trimmed_mean", "phocas")


def spec(rule: str, iterations: int) -> RunSpec:
    fields = {"method": "cra_dl", "redundancy": 40, "attack": "sign_flip", "aggregation": rule}
    return RunSpec.parse({**fields, "seeds": 1, "iterations": iterations}, "benchmark")


def naive(iterations: int) -> None:
    """What one writes first: a loop over devices, each with its own gradients, and torch's median."""
    asked = spec("median", iterations)
    held = torch.from_numpy(file.draw(asked.allocation_spec)[0]).long()
    problem = PROBLEMS["linear_regression"]((0,), "cpu", "float64", **asked.problem.options)
    features, labels = problem.features[0], problem.labels[0]  # type: ignore[attr-defined]
    theta = torch.zeros(asked.dimension, dtype=torch.float64)
    for _ in range(iterations):
        liars = set(torch.randperm(asked.devices)[: asked.f].tolist())
        messages = []
        for device in range(asked.devices):
            own = features[held[device]]
            gradients = (own @ theta - labels[held[device]]).unsqueeze(-1) * own
            message = gradients.mean(dim=0)
            messages.append(-5.0 * message if device in liars else message)
        theta = theta - 0.5 / problem.smoothness[0] * torch.quantile(torch.stack(messages), 0.5, dim=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    short = max(5, asked.iterations // 50)
    cases: dict[str, tuple[Callable[[], object], int]] = {"naive loop, median": (lambda: naive(short), short)}
    for rule in RULES:
        wanted = spec(rule, asked.iterations)
        held = file.draw(wanted.allocation_spec)
        cases[f"byzcode, {rule}"] = (lambda wanted=wanted, held=held: train(wanted, held), asked.iterations)
    best = dict.fromkeys(cases, np.inf)
    for _ in range(asked.rounds):
        for name, (run, iterations) in cases.items():
            begun = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - begun) / iterations * 1e6)
    slowest = best["naive loop, median"]
    print(f"{'':<24}{'us / run-iteration':>20}{'naive / this':>14}")
    for name, spent in best.items():
        print(f"{name:<24}{spent:>20.0f}{slowest / spent:>14.1f}")


if __name__ == "__main__":
    main()
