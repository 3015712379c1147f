"""Evaluations between the steps of a training, and the exports after them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn.estimator import (
    BestExporter,
    EvalSpec,
    Exporter,
    FinalExporter,
    LatestExporter,
    TrainSpec,
    train_and_evaluate,
)
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import numeric_column
from raydnn.tracking.event_file import read_scalars

RECEIVER = build_raw_serving_input_receiver_fn({"x": "float32"})


def input_fn() -> Any:
    x = np.linspace(-1, 1, 40, dtype=np.float32)
    return raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(np.int64), batch_size=4)


def classifier(model_dir: Path, **config: Any) -> raydnn.DNNClassifier:
    settings = raydnn.RunConfig(tf_random_seed=1, **{"save_checkpoints_steps": 3, **config})
    return raydnn.DNNClassifier([2], [numeric_column("x")], model_dir=model_dir, config=settings)


class Recorder(Exporter):
    """Writes down each call."""

    def __init__(self, name: str = "recorder") -> None:
        self._name = name
        self.calls: list[tuple[int, bool]] = []

    @property
    def name(self) -> str:
        return self._name

    def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
        self.calls.append((int(eval_result["global_step"]), is_the_final_export))
        assert checkpoint_path.endswith(f"model.ckpt-{eval_result['global_step']}")
        assert export_path.endswith(f"export/{self._name}")
        return b"path"


@pytest.mark.parametrize(("throttle_secs", "steps"), [(0, [3, 6, 8]), (600, [3, 8])])
def test_evaluations_follow_the_checkpoints_as_often_as_allowed(tmp_path: Path, throttle_secs: int, steps: list[int]):
    recorder = Recorder()
    metrics, exports = train_and_evaluate(
        classifier(tmp_path),
        TrainSpec(input_fn, max_steps=8),
        EvalSpec(input_fn, steps=None, exporters=recorder, throttle_secs=throttle_secs, name="later"),
    )
    assert recorder.calls == [(step, step == 8) for step in steps]
    assert sorted(read_scalars(tmp_path / "eval_later")) == steps
    assert metrics["global_step"] == 8
    assert exports == [b"path"]


def test_a_model_that_has_reached_max_steps_is_not_evaluated(tmp_path: Path):
    estimator = classifier(tmp_path).train(input_fn, max_steps=2)
    recorder = Recorder()
    specs = TrainSpec(input_fn, max_steps=2), EvalSpec(input_fn, exporters=[recorder])
    assert train_and_evaluate(estimator, *specs) == (None, None)
    assert recorder.calls == []


def test_without_max_steps_training_goes_to_the_end_and_nothing_is_final(tmp_path: Path):
    recorder = Recorder()
    train_and_evaluate(classifier(tmp_path), TrainSpec(input_fn), EvalSpec(input_fn, exporters=recorder))
    assert recorder.calls == [(3, False), (10, False)]


def test_an_estimator_without_checkpoints_is_refused(tmp_path: Path):
    estimator = classifier(tmp_path, save_checkpoints_steps=None)
    with pytest.raises(ValueError, match="saving_listeners need checkpoints"):
        train_and_evaluate(estimator, TrainSpec(input_fn, max_steps=2), EvalSpec(input_fn))


def test_the_latest_exporter_keeps_the_newest_exports(tmp_path: Path):
    exporter = LatestExporter("latest", RECEIVER, exports_to_keep=2)
    _, exports = train_and_evaluate(
        classifier(tmp_path),
        TrainSpec(input_fn, max_steps=8),
        EvalSpec(input_fn, steps=None, exporters=[exporter], throttle_secs=0),
    )
    folders = sorted(path.name for path in (tmp_path / "export" / "latest").iterdir())
    assert len(folders) == 2
    assert exports[0].decode().endswith(folders[-1])
    assert raydnn.export.load(exports[0]).manifest.global_step == 8


def test_the_final_exporter_exports_once(tmp_path: Path):
    _, exports = train_and_evaluate(
        classifier(tmp_path),
        TrainSpec(input_fn, max_steps=8),
        EvalSpec(input_fn, steps=None, exporters=[FinalExporter("final", RECEIVER)], throttle_secs=0),
    )
    assert len(list((tmp_path / "export" / "final").iterdir())) == 1
    assert exports[0] is not None


def evaluated(exporter: BestExporter, estimator: raydnn.DNNClassifier, losses: list[float]) -> list[bool]:
    """Whether each of some losses is exported."""
    checkpoint = estimator.latest_checkpoint()
    path = str(Path(estimator.model_dir) / "export" / exporter.name)
    results = ({"loss": loss, "global_step": 1} for loss in losses)
    return [exporter.export(estimator, path, checkpoint, result, False) is not None for result in results]


def test_the_best_exporter_exports_its_first_and_every_better_evaluation(tmp_path: Path):
    estimator = classifier(tmp_path).train(input_fn, max_steps=1)
    exporter = BestExporter(serving_input_receiver_fn=RECEIVER, exports_to_keep=1)
    assert evaluated(exporter, estimator, [0.5, 0.6, 0.4, 0.4]) == [True, False, True, False]


def test_the_best_exporter_exports_once_after_a_restart_even_if_history_was_better(tmp_path: Path):
    estimator = classifier(tmp_path).train(input_fn, max_steps=1)
    estimator.evaluate(input_fn)
    exporter = BestExporter(serving_input_receiver_fn=RECEIVER)
    assert evaluated(exporter, estimator, [1e9, 1e8]) == [True, True]


def test_the_best_exporter_compares_as_it_is_told(tmp_path: Path):
    def is_larger(best_eval_result, current_eval_result):
        return current_eval_result["loss"] > best_eval_result["loss"]

    estimator = classifier(tmp_path).train(input_fn, max_steps=1)
    exporter = BestExporter("largest", RECEIVER, event_file_pattern=None, compare_fn=is_larger, exports_to_keep=None)
    assert evaluated(exporter, estimator, [0.5, 0.4, 0.6]) == [True, False, True]


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: TrainSpec(3), TypeError, "input_fn"),
        (lambda: TrainSpec(input_fn, max_steps=0), ValueError, "max_steps"),
        (lambda: TrainSpec(input_fn, hooks=[3]), TypeError, "hooks"),
        (lambda: TrainSpec(input_fn, saving_listeners=[3]), TypeError, "saving_listeners"),
        (lambda: EvalSpec(3), TypeError, "input_fn"),
        (lambda: EvalSpec(input_fn, steps=0), ValueError, "steps"),
        (lambda: EvalSpec(input_fn, name=3), TypeError, "name"),
        (lambda: EvalSpec(input_fn, hooks=[3]), TypeError, "hooks"),
        (lambda: EvalSpec(input_fn, exporters=3), TypeError, "exporters"),
        (lambda: EvalSpec(input_fn, exporters=[3]), TypeError, "exporters"),
        (lambda: EvalSpec(input_fn, exporters=[Recorder(""), Recorder("a")]), ValueError, "name"),
        (lambda: EvalSpec(input_fn, exporters=[Recorder("a"), Recorder("a")]), ValueError, "different names"),
        (lambda: EvalSpec(input_fn, start_delay_secs=-1), ValueError, "start_delay_secs"),
        (lambda: EvalSpec(input_fn, throttle_secs=-1), ValueError, "throttle_secs"),
        (lambda: LatestExporter("a", RECEIVER, exports_to_keep=0), ValueError, "exports_to_keep"),
        (lambda: BestExporter("a", RECEIVER, compare_fn=None), ValueError, "compare_fn"),
        (lambda: BestExporter("a", RECEIVER, compare_fn=lambda a, b: True), ValueError, "compare_fn"),
        (lambda: train_and_evaluate(3, TrainSpec(input_fn), EvalSpec(input_fn)), TypeError, "Estimator"),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception], word: str):
    with pytest.raises(error, match=word):
        make()
