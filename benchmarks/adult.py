"""Quality on the census data Adult: `raydnn.DNNClassifier` against scikit-learn's `MLPClassifier`.

    OMP_NUM_THREADS=1 python benchmarks/adult.py DATA_DIR [--seeds 1 2 3]

DATA_DIR holds `adult.data` and `adult.test` as UCI ships them; scikit-learn comes with MLflow. Both libraries get the
same rows, input matrix, hidden layers and batch size; all else is at each library's defaults. After each epoch both
are scored on the same held-out tenth of `adult.data`. What counts is the test AUC at the epoch that was best there.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

import raydnn
from raydnn import feature_column as fc
from raydnn.feature_column.encoder import DENSE, Encoder, input_layer_columns

FIELDS = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week native_country income"
)
LABEL = "income"
AGE_BOUNDARIES = [18, 25, 30, 35, 40, 45, 50, 55, 60, 65]
HIDDEN_UNITS, BATCH_SIZE, EPOCHS = (128, 64), 128, 10
Floats = NDArray[np.floating]


def read(path: Path) -> pa.Table:
    """One of the two files, with 0 or 1 as label. '?' is missing; the test file has a comment line and final dots."""
    names = FIELDS.split()
    frame = pd.read_csv(path, names=names, skipinitialspace=True, comment="|", na_values="?", keep_default_na=False)
    frame[LABEL] = frame[LABEL].str.rstrip(".").map({"<=50K": 0, ">50K": 1}).astype("int64")
    return pa.Table.from_pandas(frame, preserve_index=False)


def feature_columns(train: pa.Table) -> list[Any]:
    """Numbers, and indicators of words, hashes and crosses; means and vocabularies are those of the training rows."""

    def standardized(key: str) -> Any:
        values = train[key].to_numpy()
        return fc.numeric_column(key, normalizer_fn=fc.normalizers.Standardize(values.mean(), values.std()))

    def words(key: str) -> Any:
        return fc.categorical_column_with_vocabulary_list(key, sorted(pc.unique(train[key].drop_null()).to_pylist()))

    age_buckets = fc.bucketized_column(fc.numeric_column("age"), AGE_BOUNDARIES)
    categorical = [
        *map(words, ["workclass", "education", "marital_status", "relationship", "race", "sex"]),
        fc.categorical_column_with_hash_bucket("occupation", 100),
        fc.categorical_column_with_hash_bucket("native_country", 100),
        fc.crossed_column(["education", "occupation"], 1000),
        fc.crossed_column([age_buckets, "education", "race"], 1000),
    ]
    return [
        *map(standardized, ["age", "education_num", "hours_per_week"]),
        *(fc.numeric_column(key, normalizer_fn=fc.normalizers.Log1p()) for key in ["capital_gain", "capital_loss"]),
        age_buckets,
        *map(fc.indicator_column, categorical),
    ]


def input_matrix(columns: list[Any], table: pa.Table) -> sparse.csr_array:
    """What enters raydnn's network (in another order of columns): the encoder's numbers, and its ids as counts."""
    encoder = Encoder(input_layer_columns(columns))
    encoded = encoder.encode(table.combine_chunks().to_batches()[0])
    parts = [sparse.csr_array(encoded[DENSE].flatten().to_numpy().reshape(len(table), -1))]
    for place, column in enumerate(encoder.categorical_columns):
        ids, rows = encoded[f"ids/{place}"], np.arange(len(table))
        if pa.types.is_large_list(ids.type):  # a row of a cross has no id where a value is missing
            ids, rows = ids.flatten(), pc.list_parent_indices(ids).to_numpy()
        found = ids.to_numpy() >= 0
        counts, places = np.ones(found.sum(), np.float32), (rows[found], ids.to_numpy()[found])
        parts.append(sparse.coo_array((counts, places), shape=(len(table), column.num_buckets)))
    return sparse.hstack(parts, format="csr")


def raydnn_epochs(columns: list[Any], tables: list[pa.Table], seed: int) -> Iterator[list[Floats]]:
    """After each epoch, what raydnn predicts for the validation and the test rows."""
    train, *scored = (partial(raydnn.inputs.from_arrow, table, batch_size=BATCH_SIZE) for table in tables)
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(tf_random_seed=seed)
        classifier = raydnn.DNNClassifier(HIDDEN_UNITS, columns, model_dir=folder, config=config)
        # Each call of train begins its input anew: a seed of its own gives each epoch another order.
        for order in np.random.default_rng(seed).integers(2**31, size=EPOCHS):
            classifier.train(partial(train, label=LABEL, shuffle=True, seed=order))
            predicted = (classifier.predict(rows, "logistic") for rows in scored)
            yield [np.concatenate([row["logistic"] for row in rows]) for rows in predicted]


def sklearn_epochs(matrices: list[sparse.csr_array], labels: list[Any], seed: int) -> Iterator[list[Floats]]:
    """After each epoch, what scikit-learn predicts for the validation and the test rows."""
    train, *scored = matrices
    # partial_fit would begin an int seed anew in each call and repeat the order; a RandomState goes on.
    classifier = MLPClassifier(HIDDEN_UNITS, batch_size=BATCH_SIZE, random_state=np.random.RandomState(seed))
    for _ in range(EPOCHS):
        classifier.partial_fit(train, labels[0], classes=[0, 1])
        yield [classifier.predict_proba(matrix)[:, 1] for matrix in scored]


def at_best_epoch(epochs: Iterator[list[Floats]], labels: list[Any]) -> tuple[float, float, int]:
    """AUC of the validation and of the test rows, and the number of the epoch, where the former is highest."""
    aucs = [list(map(roc_auc_score, labels[1:], predicted)) for predicted in epochs]
    best = max(range(EPOCHS), key=lambda epoch: aucs[epoch][0])
    return *aucs[best], best + 1


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of initial values and orders")
    arguments = parser.parse_args()
    rows, test = (read(arguments.data_dir / name) for name in ("adult.data", "adult.test"))
    order = np.random.default_rng(0).permutation(len(rows))
    tables = [rows.take(order[len(rows) // 10 :]), rows.take(order[: len(rows) // 10]), test]
    labels = [table[LABEL].to_numpy() for table in tables]
    columns = feature_columns(tables[0])
    matrices = [input_matrix(columns, table) for table in tables]
    print("{:,} rows to learn from, {:,} to choose the epoch, {:,} to test".format(*map(len, tables)))
    print(f"{'library':<14}{'seed':>5}{'epoch':>7}{'validation AUC':>16}{'test AUC':>10}")
    means = []
    for library, learn, data in (
        ("raydnn", raydnn_epochs, (columns, tables)),
        ("scikit-learn", sklearn_epochs, (matrices, labels)),
    ):
        aucs = []
        for seed in arguments.seeds:
            validation_auc, test_auc, epoch = at_best_epoch(learn(*data, seed), labels)
            print(f"{library:<14}{seed:>5}{epoch:>7}{validation_auc:>16.4f}{test_auc:>10.4f}", flush=True)
            aucs.append(test_auc)
        means.append(np.mean(aucs))
        print(f"{library}: mean test AUC {means[-1]:.4f}, from {min(aucs):.4f} to {max(aucs):.4f}")
    print(f"difference of the means: {means[0] - means[1]:+.4f}")


if __name__ == "__main__":
    main()
