"""What becomes of the best trial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from small_sweep import sweep_text

from raydnn import config, export, tune
from raydnn.errors import ConfigError, FailedPreconditionError
from raydnn.tracking.run_record import read_record
from raydnn.train import load_checkpoint
from raydnn.train.checkpoint import training_lock
from raydnn.tune.record import SweepRecord
from raydnn.tune.result import Winner
from raydnn.tune.tracking import PARENT, TRIAL, tracked
from raydnn.tune.winner import crown

pytestmark = [
    pytest.mark.usefixtures("small_run"),
    # MLflow's own, while it is imported and while it makes its database.
    pytest.mark.filterwarnings(
        "ignore:.*Any type hint is inferred as AnyType", "ignore:The ``noload`` loader strategy is deprecated"
    ),
]


def ended(**changes: Any) -> SweepRecord:
    """A sweep whose base run and trial 1 were trained, without Ray Tune; trial 1 is better."""
    sweep = tune.loads(sweep_text(**changes))
    Path(sweep.folder).mkdir(parents=True, exist_ok=True)
    record = SweepRecord(sweep)
    record.begin(resume=True)
    for number, configuration in enumerate([{}, {"model.dropout": 0.25, "model.hidden_units": [6]}]):
        run = sweep.trial_template().run({**configuration, "run.model_dir": sweep.model_dir(number)})
        run.estimator().train(run.train_input(), steps=20)
        record.start(number, configuration, {}, is_default=number == 0)
        metrics = {"auc": 0.5 + number / 4, "loss": 2.0}
        record.report(number, {**metrics, "global_step": 20, "rows": 400, "seconds": 1.0, "is_last": True})
        record.end(number, "done")
    return record


def crowned(record: SweepRecord) -> Winner:
    with tracked(record.sweep) as tracker:
        winner = crown(record.sweep, record.result, tracker)
    assert winner is not None
    return winner


ROWS = {"distance": np.asarray([500.0, 1500.0], np.float32), "carrier": np.asarray(["AA", "UA"], object)}


def test_the_best_model_is_exported_by_the_exporters_of_the_base_run() -> None:
    record = ended()
    winner = crowned(record)
    assert (winner.number, winner.global_step) == (1, 20)
    assert winner.metrics == {"auc": 0.75, "loss": 2.0}
    assert winner.default_metrics == {"auc": 0.5, "loss": 2.0}
    assert winner.final_metrics is None
    (path,) = winner.exports
    assert path.startswith(f"{record.sweep.folder}/winner/newest/")
    model = export.load(path)
    assert len(model.predict(ROWS)["probabilities"]) == 2
    reader = load_checkpoint(record.sweep.model_dir(1))
    assert reader.get_variable_to_shape_map()["dnn/hiddenlayer_0/bias"] == [6]
    # Nothing is done twice for the same winner.
    assert crowned(record) == winner
    record.report(0, {"auc": 0.875, "global_step": 20, "rows": 400, "seconds": 1.0, "is_last": True})
    other = crowned(record)
    assert other.number == 0
    assert not Path(path).exists() or other.exports == winner.exports
    written = json.loads(Path(record.sweep.folder, "winner", "winner.json").read_text())
    assert (written["number"], written["metrics"]) == (0, {"auc": 0.875})


def test_without_exporters_the_export_takes_the_features_themselves() -> None:
    winner = crowned(ended(set={"exporters": []}))
    (path,) = winner.exports
    assert "/winner/model/" in path
    assert len(export.load(path).predict(ROWS)["probabilities"]) == 2


def test_a_sweep_without_an_evaluation_has_no_winner() -> None:
    sweep = tune.loads(sweep_text())
    Path(sweep.folder).mkdir(parents=True)
    record = SweepRecord(sweep)
    record.begin(resume=False)
    record.start(0, {}, {}, is_default=True)
    record.end(0, "failed", "ValueError: no")
    assert crown(sweep, record.result, None) is None
    assert not Path(sweep.folder, "winner").exists()


def test_the_winner_can_be_trained_as_the_base_run_says() -> None:
    changes = {"set": {"data.epochs": 1, "data.batch_size": 10}, "then_train": True}
    record = ended(**changes)
    winner = crowned(record)
    final = f"{record.sweep.folder}/final"
    assert winner.final_model_dir == final
    assert winner.final_metrics is not None
    assert 0 <= winner.final_metrics["auc"] <= 1
    # Five epochs of the base run, in batches as those of the trials.
    assert load_checkpoint(final).global_step == 200  # type: ignore[union-attr]
    assert Path(final, "export", "newest").is_dir()
    assert crowned(record) == winner
    run = config.load(f"{record.sweep.folder}/winner/run.yaml")
    assert (run.model.dropout, run.model.hidden_units, run.data.epochs, run.data.batch_size) == (0.25, [6], 5, 10)
    assert run.run_config().model_dir == final
    assert Path(final, "run.yaml").read_bytes() == Path(record.sweep.folder, "winner", "run.yaml").read_bytes()


def test_a_training_at_full_length_that_is_refused_leaves_the_kept_run_as_it_is() -> None:
    record = ended(set={"data.epochs": 1, "data.batch_size": 10}, then_train=True)
    final = Path(record.sweep.folder, "final")
    with training_lock(str(final)):
        (final / "run.yaml").write_text("of the one that trains")
        with pytest.raises(FailedPreconditionError, match=r"train.lock is held by process"):
            crowned(record)
        assert (final / "run.yaml").read_text() == "of the one that trains"


@pytest.mark.parametrize("is_in_sweep", [False, True])
def test_the_run_of_the_winner_does_not_tell_what_environment_variables_gave(
    is_in_sweep: bool, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(small_run))
    if is_in_sweep:
        record = ended(set={"data.train": "${PLACE}/train.parquet"})
    else:
        (small_run / "run.yaml").write_text(
            (small_run / "run.yaml").read_text().replace("train.parquet", "'${PLACE}/train.parquet'")
        )
        record = ended()
    crowned(record)
    written = yaml.safe_load(Path(record.sweep.folder, "winner", "run.yaml").read_text())
    assert written["data"]["train"] == "${PLACE}/train.parquet"


def test_a_base_run_without_an_end_cannot_be_trained_at_full_length(small_run: Path) -> None:
    (small_run / "run.yaml").write_text((small_run / "run.yaml").read_text().replace("epochs: 5", "epochs: null"))
    assert tune.loads(sweep_text())
    with pytest.raises(ConfigError, match="then_train: the run has no end of its own; give data.epochs or eval.max_st"):
        tune.loads(sweep_text(then_train=True))


def test_the_winner_is_the_champion_in_mlflow_and_its_training_is_tracked(make_store: Callable[[Path], str]) -> None:
    sweep = tune.loads(sweep_text(tracking="mlflow", registered_model="flights", then_train=True))
    uri = make_store(Path(sweep.folder))
    record = ended(tracking="mlflow", registered_model="flights", then_train=True)
    winner = crowned(record)
    assert (winner.registered_model, winner.registered_version) == ("flights", "1")
    client = MlflowClient(tracking_uri=uri)
    champion = client.get_model_version_by_alias("flights", "champion")
    parent, final = read_record(sweep.folder), read_record(f"{sweep.folder}/final")
    assert parent is not None
    assert final is not None
    assert champion.run_id == parent.run_id
    metrics = client.get_run(parent.run_id).data.metrics
    assert (metrics["eval/auc"], metrics["default/eval/auc"]) == (0.75, 0.5)
    run = client.get_run(final.run_id)
    assert (run.data.tags[PARENT], run.data.tags[TRIAL]) == (parent.run_id, "final")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["eval/auc"] == winner.final_metrics["auc"]  # type: ignore[index]
    versions = {int(version.version): version.run_id for version in client.search_model_versions("name = 'flights'")}
    assert versions == {1: parent.run_id, 2: final.run_id}
    # Nothing is logged twice.
    assert crowned(record) == winner
    assert len(client.search_model_versions("name = 'flights'")) == 2
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        served = mlflow.pyfunc.load_model("models:/flights@champion")
        predicted = served.predict(pd.DataFrame({"distance": [500.0, 1500.0], "carrier": [["AA"], ["UA"]]}))
    finally:
        mlflow.set_tracking_uri(before)
    assert len(predicted) == 2
