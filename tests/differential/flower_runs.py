"""A whole training in Flower, of clients of which two lie: as processes over gRPC, or as a simulation.

Started as ``python -m differential.flower_runs server|client|simulation ...``; test_flower.py compares what comes out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

CLIENTS, LIARS, ROUNDS = 10, 2, 4


def first() -> list[np.ndarray]:
    """The model at the start: two layers."""
    return [np.zeros((2, 3)), np.zeros(4)]


def trained(model: list[np.ndarray], number: int) -> list[np.ndarray]:
    """What a client makes of a model: half a step to the minimum of its own quadratic, or a liar far beyond it."""
    draw = np.random.default_rng(number)
    share = 0.5 if number >= LIARS else -40.0
    return [array + share * (3.0 + draw.normal(size=array.shape) - array) for array in model]


def server(out: str, rule: str, before: str, address: str) -> None:
    """Aggregate ROUNDS times over gRPC, and store the models after each round."""
    from flwr.common import ndarrays_to_parameters
    from flwr.server import ServerConfig, start_server

    from byzcode.adapters.flower import LegacyRobustFedAvg

    models: list[list[np.ndarray]] = []
    strategy = LegacyRobustFedAvg(
        rule,
        LIARS,
        pre_aggregation=before,
        fraction_evaluate=0.0,
        min_fit_clients=CLIENTS,
        min_available_clients=CLIENTS,
        initial_parameters=ndarrays_to_parameters(first()),
        evaluate_fn=lambda number, model, config: models.append(model),
    )
    start_server(server_address=address, config=ServerConfig(num_rounds=ROUNDS), strategy=strategy)
    store(out, models)


def client(number: str, address: str) -> None:
    """Train for that server until it is done."""
    from flwr.client import NumPyClient, start_client

    class Own(NumPyClient):
        def fit(self, parameters: list[np.ndarray], config: dict[str, object]) -> object:
            return trained(parameters, int(number)), 10, {}

    start_client(server_address=address, client=Own().to_client())


def simulation(out: str, rule: str, before: str) -> None:
    """The same in Flower's simulation, with its present interface."""
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.simulation import run_simulation

    from byzcode.adapters.flower import RobustFedAvg

    models: list[list[np.ndarray]] = []
    clients, served = ClientApp(), ServerApp()

    @clients.train()
    def train(message: Message, context: Context) -> Message:
        model = trained(message.content["arrays"].to_numpy_ndarrays(), int(context.node_config["partition-id"]))
        content = {"arrays": ArrayRecord(model), "metrics": MetricRecord({"num-examples": 10})}
        return Message(content=RecordDict(content), reply_to=message)

    @served.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = RobustFedAvg(
            rule,
            LIARS,
            pre_aggregation=before,
            fraction_evaluate=0.0,
            min_train_nodes=CLIENTS,
            min_available_nodes=CLIENTS,
        )
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(first()),
            num_rounds=ROUNDS,
            evaluate_fn=lambda number, arrays: models.append(arrays.to_numpy_ndarrays()),
        )

    run_simulation(server_app=served, client_app=clients, num_supernodes=CLIENTS)
    store(out, models)


def store(out: str, models: list[list[np.ndarray]]) -> None:
    """Store the models at the start and after each round."""
    matrices, vectors = zip(*models, strict=True)
    with Path(out).open("wb") as file:
        np.savez(file, matrices=np.stack(matrices), vectors=np.stack(vectors))


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    {"server": server, "client": client, "simulation": simulation}[role](*arguments)
