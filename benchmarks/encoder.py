"""Rows per second of the encoder: 26 hashed string columns, against a Python loop over pyfarmhash.

    python benchmarks/encoder.py [--rows 65536]

Both do the same work in the same run on the same machine: read the ratio, not the seconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=65_536)
    rows = parser.parse_args().rows
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
    print(f"{rows:,} rows x {COLUMNS} hashed string columns, one thread")
    print(f"{'what':<42}{'rows/s':>12}{'ns/string':>12}{'x loop':>9}")
    for what, taken in (
        ("pyfarmhash in a Python loop", loop),
        ("raydnn, plain strings", seconds(lambda: encoder.encode(batch))),
        ("raydnn, dictionaries as Parquet gives them", seconds(lambda: encoder.encode(dictionaries))),
    ):
        print(f"{what:<42}{rows / taken:>12,.0f}{taken / rows / COLUMNS * 1e9:>12.1f}{loop / taken:>9.1f}")


if __name__ == "__main__":
    main()
