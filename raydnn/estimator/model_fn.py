"""The model function of DNNClassifier, and how any model function is called."""

import copy
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from raydnn import summary
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.export.outputs import (
    DEFAULT_SIGNATURE,
    ClassificationOutput,
    ExportOutput,
    PredictOutput,
    RegressionOutput,
)
from raydnn.feature_column.columns import DenseColumn
from raydnn.feature_column.embedding import EmbeddingColumn
from raydnn.feature_column.encoder import Encoder, example_weight_column, input_layer_columns
from raydnn.feature_column.serialize import column_from_json, column_to_json
from raydnn.model.batch import EncodedBatch
from raydnn.model.heads import Head, Predictions, classification_head
from raydnn.model.losses import reduce_loss
from raydnn.model.network import DNN
from raydnn.model.partitioners import min_max_variable_partitioner
from raydnn.model.settings import NetworkSettings
from raydnn.train.checkpoint import load_checkpoint
from raydnn.train.optimizers import TrainOp, resolve_optimizer
from raydnn.train.run_context import current_call, current_context, get_module

logger = logging.getLogger(__name__)

ModelFn = Callable[..., EstimatorSpec]
ARGUMENTS = ("features", "labels", "mode", "params", "config")


@dataclass(frozen=True, eq=False)
class DNNModelFn:
    """Network, head and optimizer of a DNNClassifier as a model function.

    Attributes:
        columns, weight_column: as the user gave them; checked when the model is built.
        network: what the network is made of.
        head: turns logits into losses and predictions.
        optimizer: as the user gave it.
    """

    columns: Any
    network: NetworkSettings
    head: Head
    optimizer: Any
    weight_column: Any

    def describe(self) -> dict[str, Any]:
        """The arguments of the classifier, for people."""
        optimizer = self.optimizer
        return {
            "hidden_units": list(self.network.hidden_units),
            "activation_fn": getattr(self.network.activation_fn, "__name__", self.network.activation_fn),
            "dropout": self.network.dropout,
            "batch_norm": self.network.batch_norm,
            "n_classes": self.head.n_classes,
            "loss_reduction": self.head.loss_reduction,
            "optimizer": optimizer if isinstance(optimizer, str) else type(resolve_optimizer(optimizer)).__name__,
            "feature_columns": ", ".join(column.name for column in input_layer_columns(self.columns)),
        }

    def to_json(self) -> dict[str, Any]:
        """All that an export needs to make the model again, as plain values.

        Raises:
            ValueError: a column, normalizer or activation that cannot be written.
        """
        weight = example_weight_column(self.weight_column)
        return {
            "columns": [column_to_json(column) for column in input_layer_columns(self.columns)],
            "network": self.network.to_json(),
            "head": self.head.to_json(),
            "weight_column": None if weight is None else column_to_json(weight),
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "DNNModelFn":
        """The model function that `to_json` described, with the default optimizer."""
        weight = described["weight_column"]
        return cls(
            [column_from_json(column) for column in described["columns"]],
            NetworkSettings(**described["network"]),
            classification_head(**described["head"]),
            "Adagrad",
            None if weight is None else column_from_json(weight),
        )

    def encoder(self, mode: str) -> Encoder:
        """The encoder of the batches that this function takes as features.

        Raises:
            ValueError, TypeError: bad columns or weight column.
        """
        columns: tuple[DenseColumn, ...] = input_layer_columns(self.columns)
        if mode == ModeKeys.PREDICT:
            return Encoder(columns).load()
        return Encoder(columns, self.head.label_encoder, example_weight_column(self.weight_column)).load()

    def __call__(self, features: EncodedBatch, labels: None, mode: str, config: Any) -> EstimatorSpec:
        """The model for one batch.

        Args:
            features: batch of this function's encoder, labels and weights included.
            labels: not used.
            mode: a value of `ModeKeys`.
            config: its num_ps_replicas decides which tables are cut into slices, its compute_dtype how training
                multiplies matrices.
        """
        context = current_context()
        network = get_module("dnn", lambda: self._build(mode, config))
        activations: dict[str, Tensor] | None = None if current_call().histograms is None else {}
        compute_dtype = config.compute_dtype if context.is_training else "float32"
        logits = network(features, context.dropout(), activations, compute_dtype)
        _summarize(activations or {})
        predictions = _LazyPredictions(self.head, logits)
        # As in TensorFlow, where a bad optimizer is refused also by evaluate and predict.
        optimizer = context.store.remember("optimizer", lambda: resolve_optimizer(self.optimizer))
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions=predictions, export_outputs=self._export_outputs(predictions))
        assert features.labels is not None
        losses = self.head.losses(logits, features.labels)
        loss = reduce_loss(losses, features.weights, self.head.loss_reduction, context.all_sum)
        weight = torch.tensor(float(len(losses))) if features.weights is None else features.weights.sum()
        if mode == ModeKeys.EVAL:
            metrics = self.head.metrics()
            metrics.update(logits, features.labels, features.weights, losses, loss)
            return EstimatorSpec(mode, predictions, loss, eval_metric_ops=metrics)
        is_sum = self.head.loss_reduction == "weighted_sum"
        return EstimatorSpec(
            mode,
            predictions,
            loss,
            TrainOp(optimizer, loss, scope="dnn/head"),
            example_weight=weight if is_sum else None,
        )

    def _export_outputs(self, predictions: Mapping[str, Any]) -> dict[str, ExportOutput]:
        classes = ClassificationOutput(predictions["probabilities"], predictions["all_classes"])
        outputs: dict[str, ExportOutput] = {DEFAULT_SIGNATURE: classes, "classification": classes}
        if self.head.is_binary:
            outputs["regression"] = RegressionOutput(predictions["logistic"])
        return {**outputs, "predict": PredictOutput(predictions)}

    def _build(self, mode: str, config: Any) -> torch.nn.Module:
        context = current_context()
        encoder = self.encoder(mode)
        # TensorFlow's default: tables of 64 MiB and more are cut into slices, one a parameter server.
        partitioner = min_max_variable_partitioner(max(config.num_ps_replicas or 0, 1), min_slice_size=64 << 20)
        network = self.network.build(
            encoder,
            self.head.logits_dimension,
            context.seed,
            lambda tensor: context.all_sum(tensor),
            partitioner,
            context.exchange,
        )
        _load_tables(network, encoder)
        return network


def _summarize(activations: Mapping[str, Tensor]) -> None:
    """The summaries that TensorFlow's classifier writes of each layer."""
    for scope, values in activations.items():
        zeros = (values == 0).double().mean() if values.numel() else 0.0
        summary.scalar(f"dnn/{scope}/fraction_of_zero_values", zeros)
        summary.histogram(f"dnn/{scope}/activation", values)


def _load_tables(network: DNN, encoder: Encoder) -> None:
    """Take the initial values of embedding tables from the checkpoints that their columns name.

    Raises:
        ValueError: the checkpoint lacks the tensor, or it has another shape.
    """
    tables = {variable.name: variable for variable in network.input_layer.variables()}
    for column in encoder.columns:
        if not isinstance(column, EmbeddingColumn) or column.ckpt_to_load_from is None:
            continue
        assert column.tensor_name_in_ckpt is not None
        reader = load_checkpoint(column.ckpt_to_load_from)
        table = tables[network.input_layer.table_name(column)]
        if not reader.has_tensor(column.tensor_name_in_ckpt):
            raise ValueError(f"column '{column.name}': {reader.path} has no tensor '{column.tensor_name_in_ckpt}'")
        value = reader.get_tensor(column.tensor_name_in_ckpt)
        if value.shape != table.shape:
            raise ValueError(
                f"column '{column.name}': the tensor '{column.tensor_name_in_ckpt}' of {reader.path} has shape "
                f"{value.shape}; the table has {table.shape}"
            )
        table.assign(value, reader.path)


@dataclass(eq=False)
class _LazyPredictions(Mapping[str, Any]):
    """Predictions that are computed when they are first asked for: training asks seldom."""

    head: Head
    logits: Tensor
    _values: Predictions | None = field(default=None, init=False)

    def _all(self) -> Predictions:
        if self._values is None:
            self._values = self.head.predictions(self.logits.detach())
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def check_model_fn(model_fn: Any, params: Mapping[str, Any] | None) -> None:
    """Refuse what cannot be a model function.

    Raises:
        ValueError: None, no argument `features`, unknown arguments, or params without an argument for them.
    """
    if model_fn is None:
        raise ValueError("model_fn must be given")
    arguments = set(inspect.signature(model_fn).parameters)
    if "features" not in arguments:
        raise ValueError(f"model_fn must have an argument 'features'; it has {sorted(arguments)}")
    unknown = sorted(arguments - {*ARGUMENTS, "self"})
    if unknown:
        raise ValueError(f"model_fn has the arguments {unknown}; known are {', '.join(ARGUMENTS)}")
    if params is not None and "params" not in arguments:
        raise ValueError("params are given, but model_fn has no argument 'params'")
    if params is None and "params" in arguments:
        logger.warning("model_fn has an argument 'params', but no params are given: it gets an empty dict")


def declared_arguments(model_fn: ModelFn) -> frozenset[str]:
    """The names of a model function's arguments."""
    return frozenset(inspect.signature(model_fn).parameters)


def call_model_fn(
    model_fn: ModelFn,
    declared: frozenset[str],
    features: Any,
    labels: Any,
    mode: str,
    params: Mapping[str, Any],
    config: Any,
) -> EstimatorSpec:
    """Call a model function with those of labels, mode, params and config that it declares.

    Raises:
        ValueError: labels that it does not declare, or a result that is no EstimatorSpec.
    """
    available = {"mode": mode, "params": copy.deepcopy(dict(params)), "config": config}
    arguments = {name: value for name, value in available.items() if name in declared}
    if "labels" in declared:
        arguments["labels"] = labels if mode != ModeKeys.PREDICT else None
    elif labels is not None and mode != ModeKeys.PREDICT:
        raise ValueError("model_fn has no argument 'labels', but the input gives labels")
    spec = model_fn(features=features, **arguments)
    if not isinstance(spec, EstimatorSpec):
        raise ValueError(f"model_fn must return an EstimatorSpec; got {spec!r}")
    return spec
