"""A whole life of a model, as MLflow shows it: one run, from the first step to a model that predicts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from fake_data import LABEL, fake_classifier, fake_columns, fake_input_fn, fake_table
from fake_training import RecordingHook
from mlflow import MlflowClient
from mlflow.entities import Run

from raydnn import DNNClassifier, MLflowSettings, RunConfig
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec
from raydnn.tracking.run_record import read_record

# MLflow's own, while it is imported, while it makes its database and while it loads a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType",
    "ignore:.*An input example was not provided",
    "ignore:The ``noload`` loader strategy is deprecated",
)


@dataclass(frozen=True)
class Tracked:
    """What a model with MLflow has left."""

    classifier: DNNClassifier
    losses: list[float]
    metrics: dict[str, Any]
    named_metrics: dict[str, Any]
    client: MlflowClient

    @property
    def run(self) -> Run:
        """The only run of the default experiment."""
        experiment = self.client.get_experiment_by_name("raydnn")
        assert experiment is not None
        (run,) = self.client.search_runs([experiment.experiment_id])
        return run


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """Trained in two calls, evaluated twice and exported, with the default store of its model_dir."""
    model_dir = tmp_path_factory.mktemp("tracked") / "model"
    classifier = fake_classifier(model_dir, RunConfig(tf_random_seed=1, tracking="mlflow"))
    hook = RecordingHook(fetches="loss")
    for _ in range(2):
        classifier.train(fake_input_fn(3), hooks=[hook])
    metrics = classifier.evaluate(fake_input_fn(2))
    named_metrics = classifier.evaluate(fake_input_fn(1), name="holdout")
    receiver_fn = build_raw_serving_input_receiver_fn(make_parse_example_spec(fake_columns()))
    classifier.export_saved_model(model_dir / "export", receiver_fn)
    client = MlflowClient(tracking_uri=f"sqlite:///{model_dir / 'mlflow.db'}")
    return Tracked(classifier, [float(loss) for loss in hook.results], metrics, named_metrics, client)


def test_all_of_it_is_one_finished_run_named_by_the_model_dir(tracked: Tracked) -> None:
    record = read_record(Path(tracked.classifier.model_dir))
    assert record is not None
    assert record.run_id == tracked.run.info.run_id
    assert (tracked.run.info.status, tracked.run.info.run_name) == ("FINISHED", "model")


def test_the_arguments_are_params(tracked: Tracked) -> None:
    params = tracked.run.data.params
    assert params["hidden_units"] == "[4]"
    assert params["optimizer"] == "Adagrad"
    assert params["seed"] == "1"
    assert params["feature_columns"] == "age, city_indicator, size, tags_embedding"


def test_the_loss_of_every_step_is_there(tracked: Tracked) -> None:
    history = tracked.client.get_metric_history(tracked.run.info.run_id, "loss")
    found = {point.step: point.value for point in history}
    assert len(history) == 6
    assert [found[step] for step in range(1, 7)] == tracked.losses


def test_evaluations_are_metrics_by_their_names_at_the_global_step(tracked: Tracked) -> None:
    for prefix, metrics in (("eval", tracked.metrics), ("eval_holdout", tracked.named_metrics)):
        for name, value in metrics.items():
            if name != "global_step":
                (point,) = tracked.client.get_metric_history(tracked.run.info.run_id, f"{prefix}/{name}")
                assert (point.value, point.step) == (float(value), 6)
    assert "eval/auc" in tracked.run.data.metrics


def test_the_logged_model_predicts_what_the_estimator_predicts(tracked: Tracked) -> None:
    (output,) = tracked.run.outputs.model_outputs
    table = fake_table(10).drop_columns([LABEL])
    frame = pd.DataFrame({name: table[name].to_pylist() for name in table.schema.names})
    frame["age"] = frame["age"].fillna(40.0)
    # The spec of a categorical column is of variable length, hence a list in each cell.
    frame["city"] = [[word] if word else [] for word in frame["city"]]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracked.client.tracking_uri)
    try:
        found = mlflow.pyfunc.load_model(f"models:/{output.model_id}").predict(frame)
    finally:
        mlflow.set_tracking_uri(before)
    features = {name: table[name].combine_chunks() for name in table.schema.names}
    (expected,) = tracked.classifier.predict(lambda: iter([features]), yield_single_examples=False)
    assert set(found.columns) == set(expected)
    for name in ("logits", "logistic"):
        np.testing.assert_allclose(found[name], expected[name][:, 0], rtol=1e-5)
    np.testing.assert_allclose(np.array(found["probabilities"].tolist()), expected["probabilities"], rtol=1e-5)
    assert found["classes"].tolist() == [name.decode() for name in expected["classes"][:, 0]]


def test_training_that_fails_ends_the_run_as_failed(tracked: Tracked, tmp_path: Path) -> None:
    settings = MLflowSettings(tracking_uri=tracked.client.tracking_uri, experiment="failing")
    classifier = fake_classifier(tmp_path / "model", RunConfig(tracking=settings))

    def failing() -> Any:
        yield from fake_input_fn(1)()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        classifier.train(failing)
    record = read_record(tmp_path / "model")
    assert record is not None
    run = tracked.client.get_run(record.run_id)
    assert run.info.status == "FAILED"
    assert "loss" in run.data.metrics
