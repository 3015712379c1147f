"""Parts of an evaluation, evaluated one after the other in this process, against the whole."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from custom_models import twin_model_fn
from fake_data import LABEL, fake_classifier, fake_table

import raydnn
from raydnn import EstimatorSpec, ModeKeys, RunConfig
from raydnn.estimator import evaluation_parts
from raydnn.estimator.evaluation import EvaluatedBatches
from raydnn.estimator.evaluation_parts import evaluate_part, num_batches, spans
from raydnn.estimator.inference import InferenceJob
from raydnn.tracking.event_file import read_scalars

ROWS = 63
BATCHES = 7
"""The last one is of 3 rows."""


def input_fn(num_epochs: int | None = 1, shuffle: bool = False) -> Any:
    table = fake_table(ROWS).append_column("weight", pa.array(np.random.default_rng(3).random(ROWS)))
    return raydnn.inputs.from_arrow(table, label=LABEL, batch_size=10, num_epochs=num_epochs, shuffle=shuffle)


@pytest.fixture(scope="module", params=["binary", "multiclass", "own"])
def estimator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> raydnn.Estimator:
    folder, config = tmp_path_factory.mktemp("model"), RunConfig(tf_random_seed=1)
    if request.param == "own":
        trained = raydnn.Estimator(twin_model_fn, folder, config, {"hidden_units": [4]})
    else:
        n_classes = 2 if request.param == "binary" else 3
        trained = fake_classifier(folder, config, n_classes=n_classes, weight_column="weight")
    return trained.train(input_fn, steps=5)


def job_of(estimator: raydnn.Estimator, **arguments: Any) -> InferenceJob:
    checkpoint = estimator._checkpoint(None)
    return estimator._job(ModeKeys.EVAL, lambda: input_fn(**arguments), checkpoint)


def rows_model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
    rows = features["row"]
    loss = raydnn.losses.mean_squared_error(labels, rows * raydnn.train.get_variable("weight", []))
    seen = raydnn.metrics.Metric({"seen": torch.bincount(rows, minlength=ROWS)}, lambda sums: sums["seen"])
    hooks = [params["hook"]] if "hook" in params else []
    return EstimatorSpec(mode, loss=loss, eval_metric_ops={"seen": seen}, evaluation_hooks=hooks)


def rows_input_fn(**arguments: Any) -> Any:
    settings = {"batch_size": 10, "num_epochs": 2, **arguments}
    return raydnn.inputs.from_numpy({"row": np.arange(ROWS)}, np.ones(ROWS, np.float32), **settings)


def rows_estimator(folder: Path, num_evaluators: int | None = 3, **params: Any) -> raydnn.Estimator:
    return raydnn.Estimator(rows_model_fn, folder, RunConfig(tf_random_seed=1, num_evaluators=num_evaluators), params)


class CountingHook(raydnn.train.SessionRunHook):
    """Counts for the class, as params are copied."""

    batches = 0

    def after_run(self, run_context: Any, run_values: Any) -> None:
        CountingHook.batches += 1


@pytest.fixture
def dealt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Parts are evaluated in this process; gives the numbers of batches that were dealt out."""
    found: list[int] = []

    def evaluate_parts(job: InferenceJob, batches: int, wanted: int) -> Sequence[EvaluatedBatches]:
        found.append(batches)
        return [evaluate_part(job, *span) for span in spans(batches, wanted)]

    replacement = SimpleNamespace(evaluate_parts=evaluate_parts)
    monkeypatch.setattr(evaluation_parts, "import_module", lambda name: replacement)
    return found


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize(
    ("data", "batches"), [({}, BATCHES), ({}, 5), ({"num_epochs": 2}, 2 * BATCHES), ({"shuffle": True}, BATCHES)]
)
def test_losses_of_parts_are_those_of_the_whole_and_sums_agree(
    estimator: raydnn.Estimator, parts: int, data: dict[str, Any], batches: int
) -> None:
    job = job_of(estimator, **data)
    whole = evaluate_part(job, 0, batches)
    found = [evaluate_part(job, *span) for span in spans(batches, parts)]
    assert [len(part.losses) for part in found] == [stop - first for first, stop in spans(batches, parts)]
    assert [loss for part in found for loss in part.losses] == whole.losses
    assert len(set(whole.losses[:BATCHES])) == min(batches, BATCHES)
    assert {part.global_step for part in found} == {5}
    assert all(part.sums.keys() == whole.sums.keys() for part in found)
    for name, value in whole.sums.items():
        total = sum(part.sums[name] for part in found)
        np.testing.assert_allclose(total, value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("steps", [None, 4])
def test_the_result_and_its_summary_are_those_of_one_process(
    estimator: raydnn.Estimator, steps: int | None, dealt: list[int]
) -> None:
    expected = estimator.evaluate(input_fn, steps, name="here")
    assert dealt == []
    several = copy.copy(estimator)
    several._config = estimator.config.replace(num_evaluators=3)
    found = several.evaluate(input_fn, steps, name="dealt")
    assert dealt == [steps or BATCHES]
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, err_msg=name)
        assert found[name].dtype == value.dtype
    assert found["loss"] == expected["loss"]
    folders = [estimator.eval_dir(name) for name in ("dealt", "here")]
    assert read_scalars(folders[0]).keys() == read_scalars(folders[1]).keys() == {5}


@pytest.mark.parametrize("num_evaluators", [2, 3, 64])
@pytest.mark.parametrize("arguments", [{}, {"shuffle": True}, {"drop_remainder": True, "num_epochs": 1}])
def test_every_row_counts_once_an_epoch(
    tmp_path: Path, num_evaluators: int, arguments: dict[str, Any], dealt: list[int]
) -> None:
    found = rows_estimator(tmp_path, num_evaluators).evaluate(lambda: rows_input_fn(**arguments))
    expected = np.full(ROWS, 2)
    if "drop_remainder" in arguments:
        expected = (np.arange(ROWS) < 60).astype(int)
    np.testing.assert_array_equal(found["seen"], expected)
    assert len(dealt) == 1


@pytest.mark.parametrize(
    ("source", "arguments", "reason"),
    [
        (rows_input_fn, {"hooks": [raydnn.train.SessionRunHook()]}, "hooks are called around each batch"),
        (lambda: rows_input_fn(batch_size=500, num_epochs=1), {}, "the number of batches is 1"),
        (lambda: rows_input_fn(num_epochs=None), {"steps": 1}, "the number of batches is 1"),
        (lambda: rows_input_fn(num_epochs=None), {"hooks": [raydnn.train.SessionRunHook()], "steps": 3}, "hooks are"),
        (lambda: iter([({"row": np.arange(5)}, np.ones(5))] * 3), {}, "the input_fn gave batches"),
        (lambda: ({"row": np.arange(5)}, np.ones(5)), {"steps": 3}, "the input_fn gave batches"),
    ],
)
def test_what_cannot_be_dealt_out_is_evaluated_here_and_the_log_says_why(
    source: Any,
    arguments: dict[str, Any],
    reason: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    dealt: list[int],
) -> None:
    with caplog.at_level(logging.INFO, "raydnn"):
        found = rows_estimator(tmp_path).evaluate(source, **arguments)
    assert found["seen"].sum() > 0
    assert dealt == []
    (line,) = [record.getMessage() for record in caplog.records if "Evaluating in this process" in record.getMessage()]
    assert line.startswith("Evaluating in this process instead of 3 others: ")
    assert reason in line


def test_hooks_of_the_model_function_see_every_batch_in_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dealt: list[int]
) -> None:
    before = CountingHook.batches
    with caplog.at_level(logging.INFO, "raydnn"):
        rows_estimator(tmp_path, hook=CountingHook()).evaluate(rows_input_fn)
    assert (CountingHook.batches - before, dealt) == (2 * BATCHES, [])
    assert "hooks of the model function" in caplog.text


def test_without_rows_the_result_is_that_of_one_process(tmp_path: Path, dealt: list[int]) -> None:
    def empty_input_fn() -> Any:
        return raydnn.inputs.from_arrow(fake_table(0), label=LABEL, num_epochs=None)

    found = fake_classifier(tmp_path, RunConfig(tf_random_seed=1, num_evaluators=2)).evaluate(empty_input_fn, 3)
    assert found == fake_classifier(tmp_path, RunConfig(tf_random_seed=1)).evaluate(empty_input_fn, 3)
    assert dealt == []


@pytest.mark.parametrize(
    ("num_epochs", "steps", "expected"),
    [(1, None, 7), (3, None, 21), (3, 8, 8), (1, 8, 7), (None, 8, 8), (None, None, None)],
)
def test_the_number_of_batches_respects_epochs_and_steps(
    num_epochs: int | None, steps: int | None, expected: int | None
) -> None:
    assert num_batches(input_fn(num_epochs), steps) == expected


@pytest.mark.parametrize(("batches", "parts"), [(1, 1), (2, 2), (7, 3), (42, 5), (64, 64)])
def test_parts_cover_all_batches_and_are_even(batches: int, parts: int) -> None:
    found = spans(batches, parts)
    assert [batch for first, stop in found for batch in range(first, stop)] == list(range(batches))
    assert {stop - first for first, stop in found} <= {batches // parts, -(-batches // parts)}


def test_an_estimator_with_one_evaluator_shares_all_else(tmp_path: Path, dealt: list[int]) -> None:
    several = rows_estimator(tmp_path)
    alone = several.with_one_evaluator()
    assert (several.config.num_evaluators, alone.config.num_evaluators) == (3, None)
    found, expected = alone.evaluate(rows_input_fn), several.evaluate(rows_input_fn)
    assert found["loss"] == expected["loss"]
    assert len(dealt) == 1
