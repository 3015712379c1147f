"""Rows per second of the encoder: 26 hashed string columns, against a Python loop over pyfarmhash, and tf.data.

    python benchmarks/encoder.py [--rows 65536] [--tensorflow PYTHON]

PYTHON is the interpreter of an environment of its own with TensorFlow (2.15.1 was the last with estimators). All do
the same work in the same run on the same machine, with one thread: read the ratios, not the seconds.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import farmhash
import numpy as np
import pyarrow as pa

from raydnn.feature_column import categorical_column_with_hash_bucket, embedding_column
from raydnn.feature_column.encoder import Encoder, input_layer_columns

COLUMNS = 26
BUCKETS = 100_000


def make_rows(rows: int) -> pa.RecordBatch:
    """Identifiers of up to ten bytes, Zipf distributed, as click logs have them; synthetic."""
    random = np.random.default_rng(0)
    arrays = {}
    for column in range(COLUMNS):
        ids = random.zipf(1.05 + column / COLUMNS, rows) % 200_000
        arrays[f"c{column:02d}"] = pa.array([f"{value:x}-{column}" for value in ids.tolist()])
    return pa.RecordBatch.from_pydict(arrays)


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median time of a call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tf_data_seconds(python: str, batch: pa.RecordBatch) -> float:
    """Median time of tf.data for the same strings, in another environment."""
    peer = Path(__file__).parent / "peers" / "tf_data_hashing.py"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "columns.npz"
        columns = zip(batch.schema.names, batch.columns, strict=True)
        np.savez(path, **{name: np.array(array.to_pylist(), dtype="S") for name, array in columns})
        command = [python, str(peer), str(path), str(BUCKETS), "4096"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--tensorflow", help="interpreter of an environment with TensorFlow")
    arguments = parser.parse_args()
    rows = arguments.rows
    batch = make_rows(rows)
    names = batch.schema.names
    dictionaries = pa.RecordBatch.from_arrays([array.dictionary_encode() for array in batch.columns], names=names)
    columns = [embedding_column(categorical_column_with_hash_bucket(name, BUCKETS), 4) for name in names]
    encoder = Encoder(input_layer_columns(columns))

    def python_loop() -> list[list[int]]:
        return [[farmhash.fingerprint64(text) % BUCKETS for text in array.to_pylist()] for array in batch.columns]

    expected = python_loop()
    encoded = encoder.encode(batch)
    assert [encoded.column(f"ids/{place}").to_pylist() for place in range(COLUMNS)] == expected
    loop = seconds(python_loop)
    peers = [("pyfarmhash in a Python loop", loop)]
    if arguments.tensorflow:
        peers.append(("tf.data, to_hash_bucket_fast", tf_data_seconds(arguments.tensorflow, batch)))
    print(f"{rows:,} rows x {COLUMNS} hashed string columns, one thread")
    print(f"{'what':<42}{'rows/s':>12}{'ns/string':>12}{'x loop':>9}")
    for what, taken in (
        *peers,
        ("raydnn, plain strings", seconds(lambda: encoder.encode(batch))),
        ("raydnn, dictionaries as Parquet gives them", seconds(lambda: encoder.encode(dictionaries))),
    ):
        print(f"{what:<42}{rows / taken:>12,.0f}{taken / rows / COLUMNS * 1e9:>12.1f}{loop / taken:>9.1f}")


if __name__ == "__main__":
    main()
