"""Small trained runs to report on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn import config

MakeRun = Callable[..., config.Run]

RUN = """
data: {{train: '{folder}/train.parquet', eval: '{folder}/eval.parquet', label: clicked, batch_size: 50, epochs: 4}}
features:
  age: {{normalize: {{mean: 49, std: 18}}}}
  city: {{hash: 32, embed: 4}}
  noise: numeric
model: {{hidden_units: [4]}}
run: {{model_dir: '{folder}/model', tf_random_seed: 7, log_step_count_steps: 10, save_summary_steps: 10}}
"""


def make_rows(rows: int, seed: int) -> pa.Table:
    """Rows whose label depends on age and city, and on no noise."""
    random = np.random.default_rng(seed)
    age = random.uniform(18, 80, rows).astype(np.float32)
    city = random.choice(["amsterdam", "berlin", "cairo"], rows, p=[0.5, 0.3, 0.2])
    chance = 1 / (1 + np.exp(-((age - 50) / 6 + 2.0 * (city == "cairo"))))
    return pa.table(
        {
            "id": np.arange(rows),
            "age": age,
            "city": city,
            "noise": random.normal(size=rows).astype(np.float32),
            "clicked": (random.random(rows) < chance).astype(np.int64),
        }
    )


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Makes runs that were trained: from changes of the rows, and overrides of the run."""

    def make(change: Callable[[pa.Table], pa.Table] = lambda rows: rows, **overrides: object) -> config.Run:
        folder = tmp_path_factory.mktemp("run")
        for name, rows, seed in (("train", 1000, 1), ("eval", 600, 2)):
            pq.write_table(change(make_rows(rows, seed)), folder / f"{name}.parquet", row_group_size=300)
        given = {key.replace("__", "."): value for key, value in overrides.items()}
        run = config.loads(RUN.format(folder=folder), given)
        run.estimator().train(run.train_input())
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run: MakeRun) -> config.Run:
    """A run of two classes, trained and evaluated."""
    made = make_run()
    made.estimator().evaluate(made.eval_input())
    return made


@pytest.fixture
def folder(run: config.Run) -> Path:
    """Where its files are."""
    assert run.run_config().model_dir is not None
    return Path(str(run.run_config().model_dir)).parent
