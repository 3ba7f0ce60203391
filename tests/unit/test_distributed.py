"""The example with real processes: its parameters are those of the engine, and it ends with one line if it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest
import torch
from torch.nn.utils import vector_to_parameters

import byzcode as bz
from byzcode.problems import users_module
from byzcode.randomness import Orders
from byzcode.storage import allocations
from byzcode.training import loop
from byzcode.training.batch import Batch, Part, assemble

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED, DEVICES, REDUNDANCY, ITERATIONS, STEP = 3, 4, 2, 30, 0.5
ATTACK = {"name": "alie", "factor": 1.5}
MODULE = ("small_net:SmallNet", 64, 10)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import distributed

    return distributed


def spec(**fields) -> bz.RunSpec:
    problem = {"name": "module", "module": MODULE[0], "data": "digits", "subsets": DEVICES, "partition": "by_label"}
    code = {"method": "cra_dl", "redundancy": REDUNDANCY, "allocation": "cyclic", "devices": DEVICES}
    server = {"aggregation": "trimmed_mean", "step_size": STEP, "step_unit": "absolute", "iterations": ITERATIONS}
    liars = {"attack": ATTACK, "byzantine": {"alpha": 1 / DEVICES, "identities": "persistent"}}
    return bz.spec(**{**code, **server, **liars, "problem": problem, "record": {"step": 1}, "seeds": [SEED], **fields})


def followed(run: bz.RunSpec, monkeypatch: pytest.MonkeyPatch) -> tuple[Batch, np.ndarray]:
    """The problem of a run, and its iterates (T + 1, D) by the engine."""
    batch = assemble([Part(run, run.seeds, allocations.draw(run.allocation_spec))], "cpu")
    iterates = []

    class Followed(loop.Iterate):
        def __init__(self, problem, theta):
            iterates.append(theta[0].clone())
            super().__init__(problem, theta)

    monkeypatch.setattr(loop, "Iterate", Followed)
    loop.loop(batch, lambda done: None)
    return batch, torch.stack(iterates).numpy()


def job_of(example: ModuleType, run: bz.RunSpec, batch: Batch):
    """The same run as a job of the example: the same first parameters, subsets, allocation and liars."""
    problem = batch.problem
    sizes = problem.sizes[0].tolist()
    lying, _ = Orders(run.seeds, DEVICES, "byzantine", redrawn=False, first=run.f).parts(0)
    return example.Job(
        module=users_module.make(*MODULE, SEED).double(),
        subsets=list(
            zip(problem.features[0].split(sizes), problem.targets[0].argmax(dim=-1).split(sizes), strict=True)
        ),
        held=bz.allocate("cyclic", devices=DEVICES, subsets=DEVICES, redundancy=REDUNDANCY, seed=SEED),
        liars=tuple(lying[0].tolist()),
        attack=ATTACK,
        rule={"rule": "trimmed_mean"},
        step=STEP,
        iterations=ITERATIONS,
        seed=SEED,
    )


def test_its_parameters_are_those_of_the_simulation(example, monkeypatch):
    run = spec()
    batch, iterates = followed(run, monkeypatch)
    job = job_of(example, run, batch)
    theta = example.train(job)
    assert np.abs(iterates[-1] - iterates[0]).max() > 0.05  # the run has gone somewhere
    np.testing.assert_allclose(theta.numpy(), iterates[-1], rtol=0, atol=1e-12)

    vector_to_parameters(theta, job.module.parameters())
    with torch.no_grad():
        losses = torch.cat([job.module.loss(job.module(examples), labels) for examples, labels in job.subsets])
    assert losses.mean().item() == pytest.approx(bz.train(run)["loss"][0, -1].item(), rel=1e-12)


def test_the_lie_and_the_code_matter(example, monkeypatch):
    """The comparison above can fail: without the lie, or without the code, the engine ends elsewhere."""
    (_, lied), (_, honest) = followed(spec(), monkeypatch), followed(spec(attack="none"), monkeypatch)
    _, uncoded = followed(spec(method="rba_dl", redundancy=1, allocation="disjoint"), monkeypatch)
    assert np.abs(lied[-1] - honest[-1]).max() > 1e-4
    assert np.abs(lied[-1] - uncoded[-1]).max() > 1e-4


@pytest.mark.slow
def test_an_error_of_a_device_is_told_in_one_line(example, monkeypatch):
    batch, _ = followed(spec(iterations=1), monkeypatch)
    job = job_of(example, spec(), batch)
    examples, labels = job.subsets[2]
    job.subsets[2] = (examples, labels + 100)  # no such class; the first device that holds it is 0, then 1 and 2
    with pytest.raises(SystemExit) as ended:
        example.train(job)
    assert str(ended.value).startswith("distributed.py: device ")
    assert "out of bounds" in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest.mark.slow
def test_it_runs_as_printed_and_a_killed_device_ends_it():
    command = [sys.executable, "distributed.py"]
    whole = subprocess.run(command, cwd=EXAMPLES, check=True, capture_output=True, text=True)
    share = float(whole.stdout.splitlines()[-1].partition("%")[0])
    assert share > 70

    started = subprocess.Popen(
        [*command, "1000000"], cwd=EXAMPLES, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout.readline().startswith("iteration 1:")
    processes = [each for each in psutil.Process(started.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    processes.sort(key=lambda each: (each.create_time(), each.pid))
    assert len(processes) == 7
    processes[3].kill()
    _, errors = started.communicate()
    assert started.returncode == 1
    assert errors.splitlines()[-1] == "distributed.py: device 2 was ended by signal 9"
    assert not psutil.wait_procs(processes)[1]
