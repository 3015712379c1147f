"""Times TensorFlow's DNNClassifier on a workload, in an environment with TensorFlow 2.15; see `benchmarks/speed.py`.

    pip install tensorflow==2.15.1 pyarrow==17.0.0

The rows lie in memory as NumPy arrays, so that reading files costs it nothing. Evaluation and prediction cache the
tensors of the first pass, which does not count, so that making those costs nothing either.
"""

import argparse
import json
import os
import tempfile
import time
from itertools import islice

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

tf.compat.v1.logging.set_verbosity("ERROR")


def feature_columns(workload):
    """The columns of a workload."""
    columns = []
    for name, (mean, std) in workload["floats"].items():
        columns.append(
            tf.feature_column.numeric_column(name, normalizer_fn=lambda x, mean=mean, std=std: (x - mean) / std)
        )
    for name, words in workload["words"].items():
        if words["vocabulary"]:
            ids = tf.feature_column.categorical_column_with_vocabulary_list(name, words["vocabulary"])
        else:
            ids = tf.feature_column.categorical_column_with_hash_bucket(
                name, words["buckets"], dtype=tf.dtypes.as_dtype(words["dtype"])
            )
        columns.append(tf.feature_column.embedding_column(ids, words["dimension"]))
    return columns


def read(workload):
    """All rows as arrays; [rows, 5] where a row has five words."""
    table = pq.read_table(workload["path"], columns=[*workload["floats"], *workload["words"], workload["label"]])
    features = {}
    for name in [*workload["floats"], *workload["words"]]:
        column = table.column(name).combine_chunks()
        if name in workload["words"] and workload["words"][name]["is_multivalent"]:
            values = column.flatten().to_numpy(zero_copy_only=False).astype("S")
            features[name] = values.reshape(len(column), -1)
        else:
            values = column.to_numpy(zero_copy_only=False)
            features[name] = values.astype("S") if values.dtype == object else values
    return features, table.column(workload["label"]).to_numpy().astype(np.int64)


class Clock(tf.compat.v1.train.SessionRunHook):
    """Notes when steps end."""

    def __init__(self):
        self.times = []

    def after_run(self, run_context, run_values):
        self.times.append(time.perf_counter())


def peak_megabytes():
    """The most memory that this process has held, in MB."""
    # getrusage would begin with what the process that started this one held.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


def main():
    """Train, or evaluate and predict, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="batches in all")
    parser.add_argument("--warm-up", type=int, default=10, help="batches that do not count")
    parser.add_argument("--infer", action="store_true", help="evaluate and predict, after one step of training")
    arguments = parser.parse_args()
    with open(arguments.workload) as file:
        workload = json.load(file)
    features, labels = read(workload)

    def batches():
        for start in range(0, len(labels) - arguments.batch + 1, arguments.batch):
            place = slice(start, start + arguments.batch)
            yield {name: column[place] for name, column in features.items()}, labels[place]

    def rows():
        signature = tf.nest.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), tf.dtypes.as_dtype(array.dtype.type)),
            (features, labels),
        )
        data = tf.data.Dataset.from_generator(batches, output_signature=signature)
        if arguments.infer:
            data = data.cache()
        return data.repeat().prefetch(4)

    def rate(times):
        return (arguments.steps - arguments.warm_up) * arguments.batch / (times[-1] - times[arguments.warm_up - 1])

    with tempfile.TemporaryDirectory() as folder:
        config = tf.estimator.RunConfig(
            folder,
            tf_random_seed=1,
            save_checkpoints_steps=10**9,
            save_summary_steps=10**9,
            log_step_count_steps=None,
            session_config=tf.compat.v1.ConfigProto(intra_op_parallelism_threads=2, inter_op_parallelism_threads=2),
        )
        classifier = tf.compat.v1.estimator.DNNClassifier(workload["hidden"], feature_columns(workload), config=config)
        clock, start = Clock(), time.perf_counter()
        classifier.train(rows, steps=1 if arguments.infer else arguments.steps, hooks=[clock])
        figures = {"first_step_s": clock.times[0] - start}
        if arguments.infer:
            clock = Clock()
            classifier.evaluate(rows, steps=arguments.steps, hooks=[clock])
            predicted = classifier.predict(rows, yield_single_examples=False)
            figures["evaluate"] = rate(clock.times)
            figures["predict"] = rate([time.perf_counter() for _ in islice(predicted, arguments.steps)])
        else:
            figures["train"] = rate(clock.times)
    figures["peak_mb"] = peak_megabytes()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
