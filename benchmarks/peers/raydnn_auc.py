"""Trains raydnn on the training months of the flights and scores it on the test months; see `benchmarks/speed.py`."""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from raydnn_estimator import feature_columns
from sklearn.metrics import roc_auc_score

import raydnn


def main() -> None:
    """Train and predict, and print the exact test AUC as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", type=Path, help="of the flights; the test months lie beside its file")
    parser.add_argument("--seed", type=int, required=True, help="of initial values and the order of the flights")
    parser.add_argument("--compute-dtype", default="float32")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, help="of training at most; none leaves it at the epochs")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = json.loads(arguments.workload.read_text())
    test = Path(workload["path"]).with_name("test.parquet")
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(folder, tf_random_seed=arguments.seed, compute_dtype=arguments.compute_dtype)
        classifier = raydnn.DNNClassifier(workload["hidden"], feature_columns(workload), config=config)
        classifier.train(
            lambda: raydnn.inputs.from_parquet(
                workload["path"],
                label=workload["label"],
                batch_size=arguments.batch,
                num_epochs=arguments.epochs,
                shuffle=True,
                seed=arguments.seed,
            ),
            steps=arguments.steps,
        )
        predicted = classifier.predict(
            lambda: raydnn.inputs.from_parquet(str(test), batch_size=4096), "logits", yield_single_examples=False
        )
        logits = np.concatenate([batch["logits"][:, 0] for batch in predicted])
    labels = pq.read_table(test, columns=[workload["label"]])[workload["label"]].to_numpy()
    print(json.dumps({"auc": roc_auc_score(labels, logits)}))


if __name__ == "__main__":
    main()
