"""Whole trainings in Flower with our strategies: a server and ten clients, of which two lie.

The clients are processes that talk to the server over gRPC, or nodes of Flower's simulation.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from patience import wait_for, wait_for_end

import byzcode as bz
from differential.flower_runs import CLIENTS, LIARS, ROUNDS, first, trained

pytestmark = pytest.mark.slow

#: A rule that sees updates, for which the strategy keeps the model that was sent, behind nearest neighbour mixing.
RULE, BEFORE = "centered_clipping", "nnm"


def flat(model):
    return np.concatenate([array.ravel() for array in model])


def layers(vector):
    return [vector[:6].reshape(2, 3), vector[6:]]


def looped(rule, before):
    """The models (T + 1, D) of the same training in a plain loop."""
    models = [flat(first())]
    for iteration in range(1, ROUNDS + 1):
        updates = np.stack([flat(trained(layers(models[-1]), number)) for number in range(CLIENTS)]) - models[-1]
        mixed = bz.pre_aggregate(before, updates, f=LIARS, iteration=iteration)
        models.append(bz.aggregate(rule, mixed, f=LIARS) + models[-1])
    return np.stack(models)


def check(path):
    """The stored models are those of the loop. They come near the minimum of the honest; by the mean they do not."""
    with np.load(path) as stored:
        got = np.concatenate([stored["matrices"].reshape(ROUNDS + 1, -1), stored["vectors"]], axis=1)
    np.testing.assert_allclose(got, looped(RULE, BEFORE), rtol=1e-12, atol=1e-12)
    minimum = np.mean([2 * flat(trained(first(), number)) for number in range(LIARS, CLIENTS)], axis=0)
    assert np.linalg.norm(got[-1] - minimum) < np.linalg.norm(got[0] - minimum) / 2
    assert np.linalg.norm(looped("mean", "none")[-1] - minimum) > 100 * np.linalg.norm(got[0] - minimum)


def start(*arguments):
    """A process of flower_runs, with the libraries of this one."""
    there = [str(Path(__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, there)), "FLWR_TELEMETRY_ENABLED": "0"}
    command = [sys.executable, "-m", "differential.flower_runs", *map(str, arguments)]
    return subprocess.Popen(command, env=environment)


def listens(place):
    """Whether a process listens at a place: a client that comes earlier gives up."""
    with socket.socket() as tried:
        return tried.connect_ex(place) == 0


def ended(processes):
    """Whether all processes have ended, or one with an error, for which the others would wait."""
    codes = [each.poll() for each in processes]
    return any(codes) or None not in codes


def lacking(*modules):
    """Skip where Flower lacks what it needs for this."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name}: {error}: make .venv/beside")


@pytest.mark.usefixtures("flwr")
def test_clients_in_processes_of_their_own_train_the_model_of_a_plain_loop(tmp_path):
    lacking("flwr.compat.server.app", "flwr.compat.client.app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = free.getsockname()
    address = "{}:{}".format(*place)
    with ExitStack() as stack:

        def run(*arguments):
            process = start(*arguments)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        server = run("server", tmp_path / "models.npz", RULE, BEFORE, address)
        wait_for(lambda: server.poll() is not None or listens(place), "the server does not listen", server.pid)
        started = [server, *(run("client", number, address) for number in range(CLIENTS))]
        wait_for(lambda: ended(started), "Flower does not end", *(each.pid for each in started))
        assert [each.returncode for each in started] == [0] * (1 + CLIENTS)
    check(tmp_path / "models.npz")


@pytest.mark.usefixtures("flwr")
def test_a_simulation_trains_the_model_of_a_plain_loop(tmp_path):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray, which Flower's simulation needs, is not installed: pip install 'flwr[simulation]'")
    lacking("flwr.simulation")
    assert wait_for_end(start("simulation", tmp_path / "models.npz", RULE, BEFORE)) == 0
    check(tmp_path / "models.npz")
