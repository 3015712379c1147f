"""A small run like that of the flights, its data, and sweeps over it that take seconds."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROWS = 400
RUN = """\
data: {train: train.parquet, eval: eval.parquet, label: late, batch_size: 20, epochs: 5, shuffle: true}
features:
  distance: {normalize: {mean: 1000, std: 500}}
  carrier: {hash: 32, embed: 4}
model: {hidden_units: [4], optimizer: Adagrad}
run: {model_dir: model, tf_random_seed: 7, save_summary_steps: 0}
exporters: [{kind: latest, name: newest}]
"""
SWEEP: dict[str, Any] = {
    "run": "run.yaml",
    "space": {"model.dropout": {"uniform": [0.0, 0.4]}},
    "metric": "auc",
    "mode": "max",
    "budget": {"trials": 2, "steps": 40},
    "trials": {"evaluate_every": 20},
    "seed": 3,
    "name": "small",
    "storage": "sweeps",
}


def write_run(folder: Path) -> None:
    """Write run.yaml and the rows that it reads."""
    for name, size in (("train", ROWS), ("eval", 100)):
        random = np.random.default_rng(size)
        distance = random.uniform(100, 2000, size).astype(np.float32)
        columns = {
            "distance": distance,
            "carrier": random.choice(["AA", "B6", "UA"], size),
            "late": (distance > 1000).astype(np.int64),
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "run.yaml").write_text(RUN)


def sweep_text(**changes: Any) -> str:
    """SWEEP with some of its keys changed."""
    return str(yaml.safe_dump({**SWEEP, **changes}, sort_keys=False))
