"""Reads the golden cases and runs them through raydnn."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import raydnn
from raydnn.feature_column import column_from_json

GOLDENS = Path(__file__).parent / "goldens"


def golden_names() -> list[str]:
    return sorted(path.stem for path in (GOLDENS / "cases").glob("*.json"))


class LossRecorder(raydnn.train.SessionRunHook):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def before_run(self, run_context):
        return raydnn.train.SessionRunArgs("loss")

    def after_run(self, run_context, run_values):
        self.losses.append(float(run_values.results))


@dataclass
class GoldenCase:
    name: str
    case: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.case = json.loads((GOLDENS / "cases" / f"{self.name}.json").read_text())

    def columns(self, folder: Path) -> list[Any]:
        """The case's columns; its files are written into the folder."""
        for name, lines in self.case.get("files", {}).items():
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return [column for spec in self.case["feature_columns"] for column in make_columns(spec, folder)]

    def estimator(self, model_dir: Path, **config: Any) -> raydnn.DNNClassifier:
        arguments = dict(self.case["classifier"])
        if isinstance(arguments.get("optimizer"), dict):
            arguments["optimizer"] = _optimizer(arguments["optimizer"])
        if "input_layer_partitioner" in arguments:
            settings = dict(arguments["input_layer_partitioner"])
            arguments["input_layer_partitioner"] = getattr(raydnn, settings.pop("name"))(**settings)
        if "loss_reduction" in arguments:
            arguments["loss_reduction"] = getattr(raydnn.losses.Reduction, arguments["loss_reduction"])
        if isinstance(arguments.get("weight_column"), dict):
            arguments["weight_column"] = column_from_json(arguments["weight_column"])
        return raydnn.DNNClassifier(
            feature_columns=self.columns(model_dir),
            model_dir=model_dir,
            config=raydnn.RunConfig(tf_random_seed=0, **config),
            **arguments,
        )

    def initial_variables(self) -> dict[str, np.ndarray]:
        return as_arrays(self.case["initial_variables"])

    def final_variables(self) -> dict[str, np.ndarray]:
        return as_arrays(self.case["train"]["final_variables"])

    def training_batches(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        batches = [as_batch(batch) for batch in self.case["batches"]]
        return [batches[step % len(batches)] for step in range(self.case["train"]["steps"])]

    def evaluation_batches(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        return [as_batch(batch) for batch in self.case["evaluate"].get("batches", self.case["batches"])]


def make_columns(spec: dict[str, Any], folder: Path) -> list[Any]:
    """The columns of one spec: some functions make several."""
    if spec["type"] not in ("shared_embedding_columns", "shared_embeddings"):
        return [column_from_json(_with_paths(spec, folder))]
    settings = dict(spec)
    make = getattr(raydnn.feature_column, settings.pop("type"))
    return make([column_from_json(inner) for inner in settings.pop("categorical_columns")], **settings)


def _with_paths(spec: Any, folder: Path) -> Any:
    """A spec whose file names have become paths."""
    if isinstance(spec, dict):
        paths = {"vocabulary_file": str(folder / spec["vocabulary_file"])} if "vocabulary_file" in spec else {}
        return {name: _with_paths(value, folder) for name, value in spec.items()} | paths
    return spec


def as_arrays(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Variables as arrays; of a slot in slices, its own rows."""
    arrays = {}
    for name, value in variables.items():
        rows = value["values"] if isinstance(value, dict) else value
        arrays[name] = np.asarray(rows, np.int64 if name == "global_step" else np.float32)
    return arrays


def as_batch(batch: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    features = {name: _feature(value) for name, value in batch["features"].items()}
    return features, _labels(batch["labels"])


def _feature(value: dict[str, Any]) -> Any:
    dtype = object if value["dtype"] == "string" else value["dtype"]
    if "dense" in value:
        return np.asarray(value["dense"], dtype)
    values = np.asarray(value["values"], dtype)
    return raydnn.SparseTensor(value["indices"], values, value["dense_shape"])


def _labels(values: Any) -> np.ndarray:
    labels = np.asarray(values)
    return labels.astype(np.float32) if labels.dtype.kind == "f" else labels


def _optimizer(spec: dict[str, Any]) -> Any:
    arguments = dict(spec)
    kind = getattr(raydnn.train, arguments.pop("name"))
    schedule = arguments.get("learning_rate")
    if not isinstance(schedule, dict):
        return kind(**arguments)

    def make() -> Any:
        settings = dict(schedule)
        decay = getattr(raydnn.train, settings.pop("name"))
        rate = decay(global_step=raydnn.train.get_global_step(), **settings)
        return kind(**{**arguments, "learning_rate": rate})

    return make
