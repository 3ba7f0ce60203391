"""Strategies for Flower that aggregate by one of our rules. They need Flower: ``pip install flwr``.

``RobustFedAvg("trimmed_mean", f=2, pre_aggregation="nnm")`` is a strategy for ``flwr.serverapp.ServerApp``, and
``LegacyRobustFedAvg`` one for ``flwr.server``. Both are Flower's FedAvg, whose parameters they take, in all but the
aggregation of the model; metrics are weighted means as in FedAvg, which a liar can make anything. Tested with
Flower 1.42.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from byzcode.adapters.missing import needed
from byzcode.adapters.server import Server

with needed("Flower", "pip install flwr"):
    from flwr.app import Array, ArrayRecord
    from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
    from flwr.server import strategy as legacy
    from flwr.serverapp import strategy as current


class _Robust:
    """What both strategies are told besides FedAvg's own parameters."""

    def __init__(
        self,
        rule: str | Mapping[str, Any],
        f: int,
        *,
        pre_aggregation: str | Mapping[str, Any] = "none",
        seed: int = 0,
        **fedavg: Any,
    ) -> None:
        super().__init__(**fedavg)
        self._server = Server(rule, f, pre_aggregation, seed)
        self._sent: Any = None


class RobustFedAvg(_Robust, current.FedAvg):
    """FedAvg that combines the models of the clients by a rule; see :class:`byzcode.adapters.server.Server`.

    ``f`` is the number of clients that may lie, of those that reply in a round. Raises UserError if the rule does not
    tolerate so many among them.
    """

    def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Any:
        """As FedAvg; the arrays are kept."""
        self._sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Any]) -> tuple[Any, Any]:
        """The new arrays by the rule, and the metrics as FedAvg. Raises UserError."""
        valid, _ = self._check_and_log_replies(replies, is_train=True)
        if not valid:
            return None, None
        records = [next(iter(reply.content.array_records.values())) for reply in valid]
        names = list(records[0])
        models = [[record[name].numpy() for name in names] for record in records]
        sent = None if self._sent is None else [self._sent[name].numpy() for name in names]
        made = self._server.combined(models, sent, server_round)
        arrays = ArrayRecord({name: Array(array) for name, array in zip(names, made, strict=True)})
        return arrays, self.train_metrics_aggr_fn([reply.content for reply in valid], self.weighted_by_key)


class LegacyRobustFedAvg(_Robust, legacy.FedAvg):
    """The same for Flower's earlier interface, ``flwr.server``."""

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> Any:
        """As FedAvg; the parameters are kept."""
        self._sent = parameters
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> tuple[Any, Any]:
        """The new parameters by the rule, and the metrics as FedAvg. Raises UserError."""
        if not results or (failures and not self.accept_failures):
            return None, {}
        models = [parameters_to_ndarrays(result.parameters) for _, result in results]
        sent = None if self._sent is None else parameters_to_ndarrays(self._sent)
        made = self._server.combined(models, sent, server_round)
        metrics = self.fit_metrics_aggregation_fn
        stated = [(result.num_examples, result.metrics) for _, result in results]
        return ndarrays_to_parameters(made), metrics(stated) if metrics else {}
