"""Coded robust training by real processes: a server and N devices, which talk through torch.distributed.

Every device holds a few subsets of the data and sends one combination of their gradients. Some devices lie: they hear
what the others send, and attack. The server combines the messages by a robust rule and moves the parameters. All
processes run on one machine here:

    python examples/distributed.py [iterations]

The loop is an ordinary one of PyTorch. Of byzcode it uses ``allocate`` (which subsets a device holds), ``encode`` (what
it sends), ``attack`` and ``aggregate``.
"""

import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from small_net import SmallNet
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import byzcode as bz

SERVER = 0  # the rank of the server; device n has the rank n + 1


@dataclass(frozen=True)
class Job:
    """What is trained, by whom and how."""

    module: nn.Module  # with the first parameters, and a method loss(scores, labels)
    subsets: list[tuple[Tensor, Tensor]]  # the examples of each of the M subsets, and their labels
    held: np.ndarray  # (N, S), the subsets of each device, as from bz.allocate
    liars: tuple[int, ...]  # the devices that lie
    attack: dict  # its name and options
    rule: dict
    step: float
    iterations: int
    seed: int = 0

    @property
    def devices(self) -> int:
        """N."""
        return len(self.held)


def train(job: Job) -> Tensor:
    """The final parameters (D,). If a process fails, all end, and one line says which failed and why."""
    with tempfile.TemporaryDirectory(prefix="distributed-") as folder:
        processes = mp.spawn(work, (job, folder), nprocs=job.devices + 1, join=False)
        try:
            while not processes.join():  # if a process fails, this ends the others
                pass
        except (mp.ProcessRaisedException, mp.ProcessExitedException) as error:
            raise SystemExit(f"distributed.py: {first_failure(processes.processes, folder) or error}") from None
        finally:  # after an interrupt, too
            for process in processes.processes:
                process.kill()
        return torch.load(Path(folder) / "theta.pt")


def work(rank: int, job: Job, folder: str) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=job.devices + 1)
        devices = dist.new_group(range(1, job.devices + 1))
        if rank == SERVER:
            torch.save(serve(job), Path(folder) / "theta.pt")
        else:
            compute(rank - 1, job, devices)
        dist.destroy_process_group()
    except Exception as error:
        # The first that fails: the others fail later, when this one has closed its connections.
        with suppress(FileExistsError), (Path(folder) / "failed").open("x", encoding="utf-8") as file:
            file.write(f"{name(rank)} failed: {type(error).__name__}: {' '.join(str(error).split())}")
        raise


def first_failure(processes: list, folder: str) -> str:
    """Which process failed, in words: one that was killed, or else the first that raised an error."""
    for rank, process in enumerate(processes):
        if process.exitcode < 0 and process.exitcode != -signal.SIGTERM:  # which is what ended the others
            return f"{name(rank)} was ended by signal {-process.exitcode}"
    failed = Path(folder) / "failed"
    return failed.read_text(encoding="utf-8") if failed.exists() else ""


def name(rank: int) -> str:
    """A process in words."""
    return "the server" if rank == SERVER else f"device {rank - 1}"


def serve(job: Job) -> Tensor:
    """The server: sends theta (D,), receives N messages (D,), combines them by the rule, and moves theta."""
    theta = parameters_to_vector(job.module.parameters()).detach()
    received = [torch.empty_like(theta) for _ in range(job.devices + 1)]  # its own place stays empty
    for iteration in range(job.iterations):
        dist.broadcast(theta, SERVER)
        dist.gather(torch.zeros_like(theta), received, SERVER)
        gradient = bz.aggregate(messages=torch.stack(received[1:]), f=len(job.liars), **job.rule)
        theta -= job.step * gradient
        print(f"iteration {iteration + 1}: the gradient has length {gradient.norm():.3g}", flush=True)
    return theta


def compute(me: int, job: Job, devices: dist.ProcessGroup) -> None:
    """A device: receives theta (D,), and sends the combination of the gradients of its subsets, or a lie."""
    theta = torch.empty_like(parameters_to_vector(job.module.parameters()))
    mine = [subset for subset in job.held[me] if subset >= 0]
    gradients = theta.new_zeros(len(job.subsets), len(theta))  # those of other devices stay zero
    share = len(job.subsets) / sum(len(labels) for _, labels in job.subsets)  # the mean of f_k is that of all examples
    for iteration in range(job.iterations):
        dist.broadcast(theta, SERVER)
        vector_to_parameters(theta, job.module.parameters())
        for subset in mine:
            examples, labels = job.subsets[subset]
            loss = share * job.module.loss(job.module(examples), labels).sum()
            gradients[subset] = parameters_to_vector(torch.autograd.grad(loss, list(job.module.parameters())))
        message = bz.encode("uniform", gradients, job.held)[me]
        heard = [torch.empty_like(message) for _ in range(job.devices)]
        dist.all_gather(heard, message, devices)
        if me in job.liars:
            lies = bz.attack(
                messages=torch.stack(heard), liars=job.liars, seed=job.seed, iteration=iteration, **job.attack
            )
            message = lies[me]
        dist.gather(message, dst=SERVER)


def main(iterations: int = 100) -> None:
    """Train a small network on digits: six subsets, each on three of six devices, one of which lies."""
    from sklearn.datasets import load_digits  # here, because other processes do not need it

    images, labels = load_digits(return_X_y=True)
    features, labels = torch.from_numpy(images / 16), torch.from_numpy(labels)
    torch.manual_seed(0)
    job = Job(
        module=SmallNet(64, 10).double(),
        subsets=list(zip(features[:1200].chunk(6), labels[:1200].chunk(6), strict=True)),
        held=bz.allocate("cyclic", devices=6, subsets=6, redundancy=3),
        liars=(4,),
        attack={"name": "alie", "factor": 1.5},
        rule={"rule": "trimmed_mean"},
        step=0.5,
        iterations=iterations,
    )
    vector_to_parameters(train(job), job.module.parameters())
    right = job.module(features[1200:]).argmax(dim=1) == labels[1200:]
    print(f"{right.double().mean():.1%} of the test examples are classified correctly")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
