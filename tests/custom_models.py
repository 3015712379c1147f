"""Model functions of a user's own, at the top level of a module so that workers can import them."""

from typing import Any

import torch
from fake_data import fake_columns

import raydnn
from raydnn import EstimatorSpec, ModeKeys
from raydnn.losses import Reduction


def twin_model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
    """`fake_classifier` with two hidden layers, batch normalisation apart, written by hand."""
    with raydnn.train.variable_scope("dnn"):
        with raydnn.train.variable_scope("input_from_feature_columns"):
            net = raydnn.feature_column.input_layer(features, fake_columns())
        for layer, units in enumerate(params["hidden_units"]):
            net = raydnn.layers.dense(net, units, torch.relu, name=f"hiddenlayer_{layer}")
        logits = raydnn.layers.dense(net, 1, name="logits")
    probabilities = torch.sigmoid(logits)
    predictions = {"logistic": probabilities}
    if mode == ModeKeys.PREDICT:
        return EstimatorSpec(mode, predictions=predictions)
    targets = labels.float().unsqueeze(1)
    loss = raydnn.losses.sigmoid_cross_entropy(targets, logits, reduction=params.get("reduction", Reduction.SUM))
    metrics = {
        "accuracy": raydnn.metrics.accuracy(labels, probabilities > 0.5),
        "auc": raydnn.metrics.auc(labels, probabilities),
        "auc_precision_recall": raydnn.metrics.auc(labels, probabilities, curve="PR"),
        "label/mean": raydnn.metrics.mean(labels),
        "precision": raydnn.metrics.precision(labels, probabilities > 0.5),
        "prediction/mean": raydnn.metrics.mean(probabilities),
        "recall": raydnn.metrics.recall(labels, probabilities > 0.5),
    }
    train_op = raydnn.train.AdagradOptimizer(0.05).minimize(loss, global_step=raydnn.train.get_global_step())
    return EstimatorSpec(mode, predictions, loss, train_op, metrics)


def normalized_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    """Batch normalisation, dropout, a variable of its own and a torch module, with a mean loss."""
    is_training = mode == ModeKeys.TRAIN
    net = raydnn.layers.input_layer(features, fake_columns())
    net = raydnn.layers.dense(net, 8, "relu")
    net = raydnn.layers.batch_normalization(net, momentum=0.9, training=is_training)
    net = raydnn.layers.dropout(net, 0.25, training=is_training)
    scale = raydnn.train.get_variable("scale", [8], initializer=raydnn.initializers.Ones())
    net = raydnn.get_module("tower", lambda: torch.nn.Linear(8, 4))(net * scale)
    logits = raydnn.layers.dense(net, 2)
    if mode == ModeKeys.PREDICT:
        return EstimatorSpec(mode, predictions=torch.softmax(logits, 1))
    loss = raydnn.losses.sparse_softmax_cross_entropy(labels, logits)
    raydnn.summary.scalar("own_scalar", loss)
    train_op = raydnn.train.GradientDescentOptimizer(0.1).minimize(loss)
    metrics = {"accuracy": raydnn.metrics.accuracy(labels, logits.argmax(1))}
    return EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops=metrics)
