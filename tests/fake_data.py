"""Small deterministic data, with missing values, empty and unknown words, and ragged rows in it."""

from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import numpy as np
import pyarrow as pa

import raydnn
from raydnn import feature_column

CITIES = ("amsterdam", "berlin", "cairo")
LABEL = "clicked"

Features = dict[str, Any]
GivenBatch = tuple[Features, np.ndarray]


def fake_features(num_rows: int = 8, seed: int = 0) -> Features:
    """age has None, city has '' and a word outside `CITIES`, tags has empty rows."""
    random = np.random.default_rng(seed)
    age = [None if draw < 0.1 else float(np.float32(80 * draw)) for draw in random.random(num_rows)]
    words = np.array([*CITIES, "atlantis", ""], object)
    tags = [[f"tag{tag}" for tag in random.integers(0, 20, size)] for size in random.integers(0, 4, num_rows)]
    if num_rows > 1:
        age[0], tags[1] = None, []
    return {
        "age": age,
        "city": words[random.integers(0, len(words), num_rows)],
        "size": random.normal(size=(num_rows, 2)).astype(np.float32),
        "tags": tags,
    }


def fake_labels(num_rows: int = 8, seed: int = 0, n_classes: int = 2) -> np.ndarray:
    return np.random.default_rng(seed + 1).integers(0, n_classes, num_rows)


def fake_batches(num_batches: int = 4, num_rows: int = 8, n_classes: int = 2) -> list[GivenBatch]:
    seeds = range(num_batches)
    return [(fake_features(num_rows, seed), fake_labels(num_rows, seed, n_classes)) for seed in seeds]


def fake_input_fn(num_batches: int = 4, num_rows: int = 8) -> Callable[[], Iterator[GivenBatch]]:
    return lambda: iter(fake_batches(num_batches, num_rows))


def fake_table(num_rows: int = 32, seed: int = 0) -> pa.Table:
    features = fake_features(num_rows, seed)
    return pa.table(
        {
            "age": pa.array(features["age"], pa.float32()),
            "city": pa.array(features["city"].tolist(), pa.string()),
            "size": pa.FixedSizeListArray.from_arrays(pa.array(features["size"].ravel()), 2),
            "tags": pa.array(features["tags"], pa.list_(pa.string())),
            LABEL: pa.array(fake_labels(num_rows, seed)),
        }
    )


def fake_columns() -> list[Any]:
    city = feature_column.categorical_column_with_vocabulary_list("city", CITIES, num_oov_buckets=1)
    tags = feature_column.categorical_column_with_hash_bucket("tags", 10)
    return [
        feature_column.numeric_column(
            "age", default_value=40.0, normalizer_fn=feature_column.normalizers.MinMax(0, 80)
        ),
        feature_column.numeric_column("size", shape=(2,)),
        feature_column.indicator_column(city),
        feature_column.embedding_column(tags, dimension=2),
    ]


def fake_classifier(
    model_dir: str | PathLike[str], config: raydnn.RunConfig | None = None, **arguments: Any
) -> raydnn.DNNClassifier:
    settings = {"hidden_units": [4], "feature_columns": fake_columns(), **arguments}
    config = raydnn.RunConfig(tf_random_seed=1) if config is None else config
    return raydnn.DNNClassifier(model_dir=model_dir, config=config, **settings)
