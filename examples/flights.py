"""Will a flight from New York arrive late? The main job from raw data to a tracked, exported model.

    python examples/flights.py --out runs/flights --workers 2

Real flights are written as Parquet once, read and encoded by Ray Data, and trained on by Ray Train workers. Then the
model is evaluated on later months, predicts, and is exported; TensorBoard and MLflow have followed it all.
"""

import argparse
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import ray
import ray.data
from flights_data import LABEL, FlightsData, prepare
from rich.console import Console
from rich.table import Table

import raydnn
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    make_parse_example_spec,
    numeric_column,
)
from raydnn.feature_column.normalizers import Standardize

# Mean and standard deviation over the training months.
NUMERIC = {
    "distance": (1045.64, 736.95),
    "dep_sin": (-0.1638, 0.7565),
    "dep_cos": (-0.3630, 0.5188),
    "arr_sin": (-0.3340, 0.5925),
    "arr_cos": (-0.1955, 0.7065),
    "flights_in_hour": (20.517, 5.990),
    "temp": (59.570, 18.451),
    "humid": (59.047, 19.669),
    "wind_speed": (11.117, 5.541),
    "wind_gust": (13.1619, 8.3043),
    "precip": (0.0046, 0.0323),
    "pressure": (1016.835, 7.0726),
    "visib": (9.3133, 1.9492),
    "precip_6h": (0.0045, 0.0199),
    "visib_6h": (9.3052, 1.7590),
    "humid_6h": (60.674, 18.862),
    "plane_age": (11.562, 5.900),
    "seats": (137.11, 66.22),
}


def feature_columns() -> list[Any]:
    """What the model reads: numbers as they are known before departure, and learned vectors of five identifiers."""
    numbers = [numeric_column(name, normalizer_fn=Standardize(mean, std)) for name, (mean, std) in NUMERIC.items()]
    identifiers = [
        embedding_column(categorical_column_with_hash_bucket("carrier", 32), 4),
        embedding_column(categorical_column_with_hash_bucket("dest", 256), 4),
        embedding_column(categorical_column_with_hash_bucket("tailnum", 4096), 2),
        embedding_column(categorical_column_with_hash_bucket("flight", 4096, dtype="int64"), 2),
        embedding_column(categorical_column_with_vocabulary_list("origin", ["EWR", "JFK", "LGA"]), 2),
    ]
    return [*numbers, *identifiers]


def make_classifier(model_dir: Path, workers: int | None, seed: int) -> raydnn.DNNClassifier:
    """The classifier and its settings."""
    return raydnn.DNNClassifier(
        hidden_units=[64, 32],
        feature_columns=feature_columns(),
        optimizer="Adagrad",
        config=raydnn.RunConfig(
            model_dir=str(model_dir),
            tf_random_seed=seed,
            num_workers=workers,
            save_checkpoints_steps=500,
            tracking="mlflow",
            progress=True,
        ),
    )


def training_input(data: FlightsData, seed: int, epochs: int) -> Any:
    """The training months, read and encoded by Ray Data."""
    flights = ray.data.read_parquet(str(data.train))
    return raydnn.inputs.from_ray(flights, label=LABEL, batch_size=512, num_epochs=epochs, shuffle=True, seed=seed)


def main() -> None:
    """Run the whole job."""
    arguments = parse_arguments()
    console = Console()
    if not os.environ.get("RAY_ADDRESS"):
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    out = arguments.out.resolve()
    start = time.monotonic()
    data = prepare(out / "data")
    console.print(f"[bold]{data.num_train:,}[/] flights to learn from, [bold]{data.num_test:,}[/] to be tested on")

    classifier = make_classifier(out / "model", arguments.workers or None, arguments.seed)
    classifier.train(lambda: training_input(data, arguments.seed, arguments.epochs))
    metrics = classifier.evaluate(
        lambda: raydnn.inputs.from_parquet(str(data.test), label=LABEL, batch_size=4096), name="test"
    )
    some = pq.ParquetFile(data.test).read_row_group(0).slice(0, 5)
    predictions = list(classifier.predict(lambda: raydnn.inputs.from_arrow(some)))
    receiver = build_raw_serving_input_receiver_fn(make_parse_example_spec(feature_columns()))
    export = Path(classifier.export_saved_model(out / "export", receiver).decode())
    check_export(export, some, predictions)

    console.print(metrics_table(metrics))
    console.print(predictions_table(some, predictions))
    console.print(paths(out, export), soft_wrap=True, highlight=False)
    console.print(f"Done in {time.monotonic() - start:.0f} s.")


def check_export(export: Path, rows: Any, predictions: list[dict[str, Any]]) -> None:
    """The exported model must say what the estimator says."""
    exported = raydnn.export.load(export).predict(rows)["logits"]
    np.testing.assert_allclose(exported, np.stack([row["logits"] for row in predictions]), rtol=1e-5, atol=1e-6)


def metrics_table(metrics: dict[str, Any]) -> Table:
    """The metrics of the test months."""
    table = Table("metric", "October to December", title="Test")
    for name in sorted(metrics):
        table.add_row(name, f"{metrics[name]:.4f}" if name != "global_step" else str(metrics[name]))
    return table


def predictions_table(rows: Any, predictions: list[dict[str, Any]]) -> Table:
    """A few flights with what the model thinks of them."""
    shown = ["carrier", "flight", "origin", "dest", LABEL]
    table = Table(*shown, "probability", title="Some test flights")
    for row, prediction in islice(zip(rows.to_pylist(), predictions, strict=True), 5):
        table.add_row(*(str(row[name]) for name in shown), f"{prediction['logistic'][0]:.3f}")
    return table


def paths(out: Path, export: Path) -> str:
    """Where to look, one thing a line, to be copied."""
    model = out / "model"
    return "\n".join(
        [
            f"checkpoints  {model}",
            f"export       {export}",
            f"TensorBoard  tensorboard --logdir {model}",
            f"MLflow       mlflow ui --backend-store-uri sqlite:///{model}/mlflow.db",
        ]
    )


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/flights"), help="folder for data, model and export")
    parser.add_argument("--workers", type=int, default=2, help="training workers; 0 trains in this process")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the training months")
    parser.add_argument("--seed", type=int, default=7, help="of initial values and the order of the flights")
    return parser.parse_args()


if __name__ == "__main__":
    main()
