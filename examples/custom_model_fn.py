"""A model function of one's own: Deep & Cross Network v2 (Wang et al., 2021) on the flights of the main demo.

    python examples/custom_model_fn.py --out runs/dcn --workers 2

The cross layers multiply the input with itself, so that pairs of features need not be declared. Everything around the
model function stays what it is for a ready-made estimator: workers, checkpoints, evaluation, export.
"""

import argparse
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from flights import feature_columns
from flights_data import LABEL, prepare
from rich import print

import raydnn
from raydnn import EstimatorSpec, ModeKeys, layers, losses, metrics, train
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec


def cross_layer(first: torch.Tensor, net: torch.Tensor, rank: int, name: str) -> torch.Tensor:
    """first * (net @ U @ V + b) + net: one more degree of interaction, through a bottleneck of `rank` columns."""
    with train.variable_scope(name):
        narrow = layers.dense(net, rank, use_bias=False, name="u")
        return first * layers.dense(narrow, first.shape[1], name="v") + net


def dcn_model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
    """Cross layers beside hidden layers, and one logit from both."""
    is_training = mode == ModeKeys.TRAIN
    first = layers.input_layer(features, feature_columns())
    cross = first
    for layer in range(params["cross_layers"]):
        cross = cross_layer(first, cross, params["rank"], f"cross_{layer}")
    deep = first
    for layer, units in enumerate(params["hidden_units"]):
        deep = layers.dense(deep, units, torch.relu, name=f"hidden_{layer}")
        deep = layers.dropout(deep, params["dropout"], training=is_training)
    logits = layers.dense(torch.cat([cross, deep], dim=1), 1, name="logits")

    probabilities = torch.sigmoid(logits)
    if mode == ModeKeys.PREDICT:
        return EstimatorSpec(mode, predictions={"probability": probabilities})
    loss = losses.sigmoid_cross_entropy(labels.float().unsqueeze(1), logits, reduction=losses.Reduction.SUM)
    measured = {
        "auc": metrics.auc(labels, probabilities),
        "accuracy": metrics.accuracy(labels, probabilities > 0.5),
        "label/mean": metrics.mean(labels),
        "prediction/mean": metrics.mean(probabilities),
    }
    steps = train.cosine_decay(params["learning_rate"], train.get_global_step(), params["decay_steps"])
    train_op = train.AdagradOptimizer(steps).minimize(loss)
    return EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops=measured)


def main() -> None:
    """Train, evaluate on the later months, export, and predict with the export."""
    arguments = parse_arguments()
    out = arguments.out.resolve()
    data = prepare(out / "data")
    steps = arguments.epochs * data.num_train // 512
    params = {
        "cross_layers": 2,
        "rank": 16,
        "hidden_units": [64, 32],
        "dropout": 0.1,
        "learning_rate": 0.05,
        "decay_steps": steps,
    }
    config = raydnn.RunConfig(tf_random_seed=arguments.seed, num_workers=arguments.workers or None, progress=True)
    estimator = raydnn.Estimator(dcn_model_fn, out / "model", config, params)

    def train_input_fn() -> raydnn.inputs.Dataset:
        return raydnn.inputs.from_parquet(
            str(data.train), label=LABEL, batch_size=512, num_epochs=arguments.epochs, shuffle=True
        )

    def test_input_fn() -> raydnn.inputs.Dataset:
        return raydnn.inputs.from_parquet(str(data.test), label=LABEL, batch_size=4096)

    estimator.train(train_input_fn)
    print(
        "October to December:",
        {name: round(float(value), 4) for name, value in estimator.evaluate(test_input_fn).items()},
    )
    receiver_fn = build_raw_serving_input_receiver_fn(make_parse_example_spec(feature_columns()))
    path = estimator.export_saved_model(out / "export", receiver_fn).decode()
    model = raydnn.export.load(path, model_fn=dcn_model_fn)
    some = pq.ParquetFile(data.test).read_row_group(0).slice(0, 5)
    print(f"Exported to {path}, which predicts {model.predict(some)['probability'][:, 0]}")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/dcn"), help="folder for data, model and export")
    parser.add_argument("--workers", type=int, default=0, help="training workers; 0 trains in this process")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the training months")
    parser.add_argument("--seed", type=int, default=7, help="of initial values, dropout and the order of the flights")
    return parser.parse_args()


if __name__ == "__main__":
    main()
