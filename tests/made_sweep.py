"""Sweeps whose record is made up, so that what is made of them can be seen without training anything."""

import json
import math
from pathlib import Path
from typing import Any

from small_sweep import sweep_text, write_run

from raydnn import tune
from raydnn.tune.record import TRIALS_FILE, SweepRecord
from raydnn.tune.space import Configuration, random_configuration

SPACE: dict[str, Any] = {
    "model.hidden_units": {"layers": {"depth": {"randint": [1, 3]}, "width": {"choice": [4, 8, 16]}}},
    "model.dropout": {"uniform": [0.0, 0.4]},
    "model.batch_norm": {"choice": [False, True]},
    "model.optimizer": {
        "choice": [
            {"name": "Adagrad", "learning_rate": {"loguniform": [0.01, 0.3]}},
            {"name": "Adam", "learning_rate": {"loguniform": [0.0003, 0.01]}},
        ]
    },
    "data.batch_size": {"choice": [10, 20, 50]},
}
STEPS = (20, 40, 60)
BEGAN = 1.75e9
"""When the first trial began, in unix seconds; all that happens takes two seconds."""


def quality(configuration: Configuration) -> float:
    """A metric that the optimizer's learning rate decides, and dropout a little."""
    rate = configuration.get("model.optimizer", {}).get("learning_rate", 0.003)
    return 0.75 - 0.03 * abs(math.log10(rate) + 1.5) - 0.05 * float(configuration.get("model.dropout", 0.0))


def made_sweep(folder: Path, trials: int = 20, **changes: Any) -> SweepRecord:
    """Write the record of a sweep of so many trials besides the base run.

    Trial 2 was stopped early and trial 3 has failed; trial 4 runs where `is_running` is true.

    Args:
        folder: for the run and the sweep, which is sweeps/small in it.
        trials: how many.
        changes: keys of the sweep; and is_running.
    """
    is_running = changes.pop("is_running", False)
    write_run(folder)
    places = {"run": str(folder / "run.yaml"), "storage": str(folder / "sweeps")}
    budget = {"trials": trials, "steps": STEPS[-1]}
    sweep = tune.loads(sweep_text(**{"space": SPACE, "budget": budget, **places, **changes}))
    Path(sweep.folder).mkdir(parents=True)
    record = SweepRecord(sweep)
    record.begin(resume=False)
    for number in range(trials + 1):
        configuration = random_configuration(sweep.space, 3, number) if number else {}
        record.start(number, configuration, {}, number == 0)
        if number == 3:
            record.end(number, "failed", "ValueError: rows of 'carrier' are <no> text")
            continue
        for step in STEPS[: 1 if number in (2, 4 if is_running else 2) else None]:
            auc = quality(configuration) - 2 / (step + 10)
            metrics = {"auc": auc, "average_loss": 1 - auc + 0.01 * (number % 3), "accuracy": auc - 0.1}
            record.report(number, {**metrics, "global_step": step, "rows": step * 20, "seconds": step / 20})
        if number == 2:
            record.end(number, "stopped", reason="asha at step 20")
        elif number != 4 or not is_running:
            record.end(number, "done")
    path = Path(sweep.folder, TRIALS_FILE)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({**event, "time": BEGAN + 2.0 * place}) for place, event in enumerate(events)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return SweepRecord.read(sweep.folder)
