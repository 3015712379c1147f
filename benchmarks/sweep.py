"""What a trial of a sweep takes until its first step, beside the bare training loop.

    python benchmarks/sweep.py [--tracking]

A small classifier over made-up rows, trained and evaluated again and again: by `train_and_evaluate` in this process,
and by the trials of a sweep, one after the other. Counted are the seconds until the checkpoint of the start is saved,
right before the first step: from the call in this process, from the end of the trial before in a sweep, and for the
first trial from the call of `tune.run`. With `--tracking` MLflow tracks the sweep.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from raydnn import config, tune
from raydnn.estimator import train_and_evaluate

ROWS, STEPS, TRIALS = 20_000, 100, 8
RUN = {
    "data": {"train": "rows.parquet", "eval": "rows.parquet", "label": "y", "batch_size": 200, "epochs": 1},
    "features": {"x": "numeric", "word": {"hash": 1000, "embed": 8}},
    "model": {"hidden_units": [64, 32]},
    "run": {"model_dir": "bare", "tf_random_seed": 1, "save_checkpoints_steps": STEPS},
}
SWEEP = {
    "run": "run.yaml",
    "space": {"model.dropout": {"uniform": [0.0, 0.4]}},
    "budget": {"trials": TRIALS, "steps": STEPS, "with_default": False},
    "trials": {"evaluate_every": STEPS, "max_concurrent": 1},
    "name": "measured",
    "storage": "sweeps",
}


def main() -> None:
    """Measure both, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracking", action="store_true", help="let MLflow track the sweep")
    tracking = {"tracking": "mlflow"} if parser.parse_args().tracking else {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        random = np.random.default_rng(1)
        columns = {
            "x": random.normal(size=ROWS).astype(np.float32),
            "word": random.choice([f"word {number}" for number in range(500)], ROWS),
            "y": random.integers(0, 2, ROWS),
        }
        pq.write_table(pa.table(columns), "rows.parquet")
        Path("run.yaml").write_text(yaml.safe_dump(RUN))
        bare, of_call = bare_calls()
        start = time.time()
        sweep = tune.loads(yaml.safe_dump(SWEEP | tracking))
        tune.run(sweep)
        whole = time.time() - start
        first, later = waits(sweep, start)
        median = statistics.median(later)
    print(f"bare loop     {bare:6.2f} s to the first step, {of_call:.2f} s a call: medians without the first call")
    print(f"first trial   {first:6.2f} s to the first step: Ray and a process with torch start")
    print(f"later trials  {median:6.2f} s to the first step, the median; {max(later):.2f} s at most")
    print(f"overhead      {median - bare:6.2f} s")
    print(f"sweep         {whole:6.2f} s, {TRIALS} trials")


def bare_calls() -> tuple[float, float]:
    """Seconds to the first step and of a whole call, medians of all calls but the first."""
    to_first, of_call = [], []
    for number in range(TRIALS):
        start = time.time()
        run = config.load("run.yaml", {"run.model_dir": f"bare/{number}"})
        train_and_evaluate(run.estimator(), run.train_spec(), run.eval_spec())
        to_first.append(first_step(f"bare/{number}") - start)
        of_call.append(time.time() - start)
    return statistics.median(to_first[1:]), statistics.median(of_call[1:])


def first_step(model_dir: str) -> float:
    """When the checkpoint of the start was saved, in unix seconds."""
    return Path(model_dir, "model.ckpt-0").stat().st_mtime


def waits(sweep: tune.Sweep, start: float) -> tuple[float, list[float]]:
    """Seconds to the first step of the first trial, and of each later one."""
    events = [json.loads(line) for line in Path(sweep.folder, "trials.jsonl").read_text().splitlines()]
    ends = [start, *(event["time"] for event in events if event["event"] == "end")]
    numbers = [event["number"] for event in events if event["event"] == "start"]
    found = [first_step(sweep.model_dir(number)) - end for number, end in zip(numbers, ends, strict=False)]
    return found[0], found[1:]


if __name__ == "__main__":
    main()
