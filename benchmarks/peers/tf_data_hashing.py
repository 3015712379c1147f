"""Hashes string columns with tf.data, for `benchmarks/encoder.py`; runs in an environment with TensorFlow.

    python tf_data_hashing.py FILE.npz BUCKETS BATCH

The file holds one array of byte strings per column. Prints the median seconds of a pass over all rows.
"""

import statistics
import sys
import time

import numpy as np
import tensorflow as tf


def main() -> None:
    """Measure."""
    path, buckets, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with np.load(path) as file:
        columns = {name: file[name].astype(object) for name in file.files}
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1

    def hash_all(features):
        return {name: tf.strings.to_hash_bucket_fast(value, buckets) for name, value in features.items()}

    rows = tf.data.Dataset.from_tensor_slices(columns).batch(batch)
    # Cached, so that making the batches of strings is not measured.
    hashed = rows.cache().map(hash_all).with_options(options)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        for _ in hashed:
            pass
        times.append(time.perf_counter() - start)
    print(statistics.median(times[1:]))


if __name__ == "__main__":
    main()
