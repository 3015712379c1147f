"""What becomes of the best trial: its model is exported, and its configuration may be trained at full length."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import yaml

from raydnn import storage
from raydnn.config import Run
from raydnn.config.run import RUN_FILE
from raydnn.estimator import Exporter, LatestExporter, train_and_evaluate
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.estimator.records import scalars_of
from raydnn.estimator.train_call import hand_over
from raydnn.export.reader import read_manifest
from raydnn.feature_column import make_parse_example_spec
from raydnn.train import latest_checkpoint
from raydnn.tune.result import SweepResult, TrialResult, Winner
from raydnn.tune.sweep import Sweep
from raydnn.tune.tracking import SweepTracker

FOLDER = "winner"
"""Below the sweep's: the exports, each in a folder of its exporter's name."""
WINNER_FILE = "winner.json"
FINAL = "final"
"""Below the sweep's: the model_dir of the training at full length, and its name."""
DEFAULT_EXPORTER = "model"
"""Name of the exporter where the base run has none."""

logger = logging.getLogger(__name__)


def crown(sweep: Sweep, result: SweepResult, tracker: SweepTracker | None) -> Winner | None:
    """Export the best trial's model, log it with MLflow, and train its configuration at full length if that is wanted.

    What was done before, for the same trial and step, is not done again.

    Args:
        sweep: that has ended.
        result: of the sweep.
        tracker: of the sweep, or None.

    Returns:
        The winner; None where no trial has an evaluation.

    Raises:
        TrainingStoppedError: a signal stopped the training at full length.
    """
    best = result.best
    if best is None:
        return None
    winner = _winner_before(sweep, best) or _exported(sweep, best)
    default = result.default
    winner = replace(winner, default_metrics=None if default is None else dict(default.metrics))
    if tracker is not None and winner.logged_model is None:
        winner = _logged(sweep, winner, tracker)
    _write(sweep, winner)
    if sweep.settings.then_train and winner.final_metrics is None:
        winner = _trained(sweep, winner, tracker)
        _write(sweep, winner)
    return winner


def read_winner(folder: str) -> Winner | None:
    """The winner of a sweep when it has ended last; None where it has not.

    Args:
        folder: of the sweep.
    """
    url = storage.join(folder, FOLDER, WINNER_FILE)
    if not storage.exists(url):
        return None
    values = json.loads(storage.read_bytes(url))
    return Winner(**{**values, "exports": tuple(values["exports"])})


def _winner_before(sweep: Sweep, best: TrialResult) -> Winner | None:
    """What an earlier driver has made of the same winner, or None."""
    winner = read_winner(sweep.folder)
    return winner if winner is not None and winner.is_of(best) else None


def _write(sweep: Sweep, winner: Winner) -> None:
    content = json.dumps(asdict(winner), indent=1).encode()
    storage.write_bytes(storage.join(sweep.folder, FOLDER, WINNER_FILE), content)


def _exported(sweep: Sweep, best: TrialResult) -> Winner:
    """Export the checkpoint of the best trial's last evaluation."""
    folder = storage.join(sweep.folder, FOLDER)
    if storage.exists(folder):
        # Of another winner, or of a driver that was killed.
        storage.remove_folder(folder)
    declared = sweep.template.document({}).values.get("exporters", [])
    changes = {**best.configuration, "run.model_dir": best.model_dir, "run.num_workers": None, "exporters": declared}
    run = sweep.trial_template().run(changes)
    estimator = run.estimator()
    checkpoint = storage.join(best.model_dir, f"model.ckpt-{best.global_step}")
    if not storage.exists(checkpoint):
        # Workers may have gone on for a moment.
        checkpoint = latest_checkpoint(best.model_dir) or checkpoint
    metrics = {**best.metrics, "global_step": best.global_step}
    exports = []
    for exporter in _exporters(run):
        path = exporter.export(estimator, storage.join(folder, exporter.name), checkpoint, metrics, True)
        assert path is not None
        exports.append(path.decode())
        logger.info("The model of trial %d is exported to %s", best.number, exports[-1])
    storage.write_bytes(storage.join(folder, RUN_FILE), _full_yaml(sweep, best.configuration))
    return Winner(best.number, best.configuration, checkpoint, best.global_step, tuple(exports), dict(best.metrics))


def _exporters(run: Run) -> list[Exporter]:
    """Those of the run, or one that takes the features themselves."""
    declared = run.eval_spec().exporters
    assert isinstance(declared, tuple)
    if declared:
        return list(declared)
    receiver = build_raw_serving_input_receiver_fn(make_parse_example_spec(run.feature_columns()))
    return [LatestExporter(DEFAULT_EXPORTER, receiver)]


def _logged(sweep: Sweep, winner: Winner, tracker: SweepTracker) -> Winner:
    name = sweep.base.eval.name
    metrics = scalars_of(winner.metrics, name)
    metrics |= {f"default/{key}": value for key, value in scalars_of(winner.default_metrics or {}, name).items()}
    logged = tracker.log_winner(winner.exports[0], read_manifest(winner.exports[0]), metrics)
    if logged is None:
        return winner
    uri, version = logged
    return replace(winner, logged_model=uri, registered_model=sweep.registered_model, registered_version=version)


def _full_yaml(sweep: Sweep, configuration: Mapping[str, Any]) -> bytes:
    """The run of a configuration at full length, without what environment variables gave."""
    changes = {**configuration, "run.model_dir": storage.join(sweep.folder, FINAL)}
    document = sweep.full_source().document(changes)
    return yaml.safe_dump(document.as_written(), sort_keys=False, allow_unicode=True, width=120, encoding="utf-8")


def _trained(sweep: Sweep, winner: Winner, tracker: SweepTracker | None) -> Winner:
    """Train a configuration at full length, as the section run of the base run says."""
    model_dir = storage.join(sweep.folder, FINAL)
    settings = None if tracker is None else tracker.settings_of_training(FINAL, model_dir)
    changes = {} if settings is None else {"run.tracking": asdict(settings)}
    run = sweep.full_template().run({**winner.configuration, "run.model_dir": model_dir, **changes})
    estimator = run.estimator()
    estimator.keep_with_model(RUN_FILE, _full_yaml(sweep, winner.configuration))
    # An earlier sweep of this process may have been stopped here.
    hand_over(model_dir)
    logger.info("The configuration of trial %d is trained at full length in %s", winner.number, model_dir)
    metrics, _ = train_and_evaluate(estimator, run.train_spec(), run.eval_spec())
    if metrics is None:
        # It had come to its last step before.
        metrics = estimator.evaluate(run.eval_input(), run.eval.steps, name=run.eval.name)
    numbers = {name: float(value) for name, value in metrics.items() if name != "global_step"}
    return replace(winner, final_metrics=numbers, final_model_dir=model_dir)
