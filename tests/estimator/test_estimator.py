"""The Estimator: construction, training, evaluation, prediction and variables."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import LABEL, fake_batches, fake_classifier, fake_features, fake_input_fn, fake_table
from fake_training import RecordingHook, RecordingListener
from torch import nn

import raydnn
from raydnn import EstimatorSpec, ModeKeys, RunConfig, errors
from raydnn.train import (
    CheckpointSaverHook,
    GradientDescentOptimizer,
    SessionRunHook,
    latest_checkpoint,
    save_checkpoint,
)
from raydnn.train.checkpoint.state import read_state

XS = np.array([-1.0, 0.0, 1.0, 2.0], np.float32)


def line_fn(features: Any, labels: Any, mode: str, params: Mapping[str, Any]) -> EstimatorSpec:
    """A straight line through (x, y)."""
    line = raydnn.get_module("line", lambda: nn.Linear(1, 1))
    y = line(features["x"].reshape(-1, 1))[:, 0]
    if mode == ModeKeys.PREDICT:
        return EstimatorSpec(mode, predictions={"y": y, "twice": 2 * y})
    loss = ((y - labels) ** 2).sum()
    train_op = GradientDescentOptimizer(params["learning_rate"]).minimize(loss) if mode == ModeKeys.TRAIN else None
    return EstimatorSpec(mode, loss=loss, train_op=train_op)


def line_input_fn() -> Any:
    return {"x": XS}, 3 * XS + 1


def line_estimator(model_dir: Path, **arguments: Any) -> raydnn.Estimator:
    return raydnn.Estimator(line_fn, model_dir, params={"learning_rate": 0.1}, **arguments)


def global_step(estimator: raydnn.Estimator) -> int:
    return int(estimator.get_variable_value("global_step"))


class FirstValues(SessionRunHook):
    """Keeps what a fetch gives before the first step."""

    def __init__(self, fetches: Any) -> None:
        self.fetches = fetches

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.values = session.run(self.fetches)


class TestConstruction:
    @pytest.mark.parametrize("as_argument", [True, False])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_model_dir_is_the_arguments_or_the_configs(
        self, tmp_path: Path, as_argument: bool, kind: Callable[[Path], Any]
    ) -> None:
        model_dir = kind(tmp_path / "model")
        arguments = {"model_dir": model_dir} if as_argument else {"config": RunConfig(model_dir=model_dir)}
        estimator = raydnn.Estimator(line_fn, params={}, **arguments)
        assert estimator.model_dir == estimator.config.model_dir == str(tmp_path / "model")
        assert not (tmp_path / "model").exists()

    def test_model_dir_may_be_given_twice_only_if_equal(self, tmp_path: Path) -> None:
        config = RunConfig(model_dir=str(tmp_path))
        assert raydnn.Estimator(line_fn, tmp_path, config, {}).model_dir == str(tmp_path)
        for other in ("elsewhere", ""):
            with pytest.raises(ValueError, match=f"model_dir is {other!r} as argument"):
                raydnn.Estimator(line_fn, other, config, {})

    @pytest.mark.parametrize("model_dir", [None, ""])
    def test_without_model_dir_a_temporary_folder_is_made_and_told(
        self, model_dir: str | None, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        made = {raydnn.Estimator(line_fn, model_dir, params={}).model_dir for _ in range(2)}
        assert len(made) == 2
        assert all(Path(folder).parent == tmp_path for folder in made)
        assert "temporary folder" in caplog.text

    @pytest.mark.parametrize("config", [{}, "config", object()])
    def test_only_a_run_config_is_a_config(self, config: Any) -> None:
        with pytest.raises(ValueError, match="config must be a RunConfig"):
            raydnn.Estimator(line_fn, "model", config, {})

    @pytest.mark.parametrize(
        ("model_fn", "message"),
        [
            (None, "model_fn must be given"),
            (lambda labels, mode: None, "must have an argument 'features'"),
            (lambda features, labels, mode, learning_rate: None, r"\['learning_rate'\]"),
            (lambda features, labels, mode, config: None, "no argument 'params'"),
        ],
    )
    def test_a_bad_model_fn_is_refused(self, model_fn: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            raydnn.Estimator(model_fn, "model", params={"learning_rate": 0.1})

    def test_params_that_are_expected_but_not_given_are_only_told(self, caplog: pytest.LogCaptureFixture) -> None:
        assert raydnn.Estimator(line_fn, "model").params == {}
        assert "'params'" in caplog.text

    def test_config_and_params_are_copies(self) -> None:
        params = {"learning_rate": 0.1, "deep": {"list": [1]}}
        estimator = raydnn.Estimator(line_fn, "model", RunConfig(resources_per_worker={"CPU": 1}), params)
        params["deep"]["list"].append(2)
        estimator.params["deep"]["list"].append(3)
        estimator.config.resources_per_worker["CPU"] = 9
        assert estimator.params == {"learning_rate": 0.1, "deep": {"list": [1]}}
        assert estimator.config.resources_per_worker == {"CPU": 1}

    def test_the_model_fn_property_is_bound_to_the_params(self) -> None:
        def model_fn(features: Any, labels: Any, mode: str, params: Any, config: Any) -> EstimatorSpec:
            return EstimatorSpec(mode, predictions={"p": torch.tensor([params["a"]]), "c": torch.tensor([config])})

        spec = raydnn.Estimator(model_fn, "model", params={"a": 5}).model_fn({}, None, ModeKeys.PREDICT, 7)
        assert spec.predictions == {"p": torch.tensor([5]), "c": torch.tensor([7])}

    def test_a_subclass_may_add_members(self) -> None:
        class Extended(raydnn.Estimator):
            def __init__(self) -> None:
                super().__init__(line_fn, "model", params={})

            def more(self) -> int:
                return 1

            def latest_checkpoint(self) -> str:
                return "elsewhere"

        assert Extended().more() == 1
        assert Extended().latest_checkpoint() == "elsewhere"

    @pytest.mark.parametrize("name", ["train", "evaluate", "predict", "export_saved_model", "_checkpoint"])
    def test_a_subclass_that_redefines_a_member_is_refused_by_both_names(self, name: str) -> None:
        overriding = type("Overriding", (raydnn.Estimator,), {name: lambda self: None})
        with pytest.raises(ValueError, match=f"Overriding redefines {name}"):
            overriding(line_fn, "model", params={})


class TestTrain:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"steps": 1, "max_steps": 1}, "not both"),
            ({"steps": 0}, "steps must be positive"),
            ({"steps": -1}, "steps must be positive"),
            ({"max_steps": 0}, "max_steps must be positive"),
            ({"max_steps": -1}, "max_steps must be positive"),
        ],
    )
    def test_bad_steps_are_refused(self, tmp_path: Path, arguments: dict[str, int], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            fake_classifier(tmp_path).train(fake_input_fn(), **arguments)

    def test_only_hooks_are_hooks_and_only_listeners_are_listeners(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path)
        with pytest.raises(TypeError, match="hooks must hold SessionRunHook"):
            estimator.train(fake_input_fn(), hooks=[RecordingListener()])
        with pytest.raises(TypeError, match="saving_listeners must hold CheckpointSaverListener"):
            estimator.train(fake_input_fn(), saving_listeners=[SessionRunHook()])

    def test_steps_count_from_where_the_model_stands_and_max_steps_does_not(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path)
        reached = []
        for arguments in ({"steps": 3}, {"steps": 3}, {"max_steps": 8}, {}, {"max_steps": 30}):
            assert estimator.train(fake_input_fn(4), **arguments) is estimator
            reached.append(global_step(estimator))
        assert reached == [3, 6, 8, 12, 16]

    @pytest.mark.parametrize("max_steps", [3, 2])
    def test_max_steps_that_are_reached_do_nothing_at_all(self, tmp_path: Path, max_steps: int) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(3))
        hook = RecordingHook()
        before = sorted(path.name for path in tmp_path.iterdir())

        def never() -> Any:
            raise AssertionError("the input_fn was called")

        assert estimator.train(never, hooks=[hook], max_steps=max_steps) is estimator
        assert hook.log == []
        assert sorted(path.name for path in tmp_path.iterdir()) == before

    def test_training_in_parts_equals_training_at_once(self, tmp_path: Path) -> None:
        batches = fake_batches(6)
        whole = fake_classifier(tmp_path / "whole").train(lambda: iter(batches))
        for start, stop in ((0, 2), (2, 6)):
            parts = fake_classifier(tmp_path / "parts").train(lambda part=batches[start:stop]: iter(part))
        assert whole.get_variable_names() == parts.get_variable_names()
        for name in whole.get_variable_names():
            np.testing.assert_array_equal(whole.get_variable_value(name), parts.get_variable_value(name), name)

    def test_each_call_reads_its_input_from_the_beginning(self, tmp_path: Path) -> None:
        dataset = raydnn.inputs.from_arrow(fake_table(32), label=LABEL, batch_size=8, num_epochs=None)
        hook = RecordingHook(fetches="loss")
        frozen = fake_classifier(tmp_path, optimizer=GradientDescentOptimizer(0.0))
        for _ in range(2):
            frozen.train(lambda: dataset, hooks=[hook], steps=3)
        assert hook.results[:3] == hook.results[3:]
        assert len(set(hook.results)) == 3

    def test_equal_seeds_give_equal_weights_and_others_do_not(self, tmp_path: Path) -> None:
        kernels = []
        for place, seed in enumerate((1, 1, 2)):
            estimator = fake_classifier(tmp_path / str(place), RunConfig(tf_random_seed=seed), dropout=0.5)
            kernels.append(estimator.train(fake_input_fn(3)).get_variable_value("dnn/hiddenlayer_0/kernel"))
        np.testing.assert_array_equal(kernels[0], kernels[1])
        assert not np.array_equal(kernels[0], kernels[2])

    def test_estimators_that_share_a_model_dir_share_the_model(self, tmp_path: Path) -> None:
        first, second = fake_classifier(tmp_path), fake_classifier(tmp_path)
        first.train(fake_input_fn(2))
        second.train(fake_input_fn(3))
        assert global_step(first) == global_step(second) == 5
        assert first.latest_checkpoint() == second.latest_checkpoint() == f"{tmp_path}/model.ckpt-5"

    def test_a_variable_that_the_checkpoint_lacks_is_not_found(self, tmp_path: Path) -> None:
        fake_classifier(tmp_path).train(fake_input_fn(1))
        with pytest.raises(errors.NotFoundError, match="dnn/hiddenlayer_1/kernel"):
            fake_classifier(tmp_path, hidden_units=[4, 4]).train(fake_input_fn(1))

    def test_a_variable_of_another_shape_is_refused_with_both_shapes(self, tmp_path: Path) -> None:
        fake_classifier(tmp_path).train(fake_input_fn(1))
        with pytest.raises(errors.InvalidArgumentError, match=r"dnn/hiddenlayer_0.*\(9, 4\).*\(9, 5\)|\(4,\).*\(5,\)"):
            fake_classifier(tmp_path, hidden_units=[5]).train(fake_input_fn(1))

    def test_slots_that_the_checkpoint_lacks_start_fresh(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path / "a").train(fake_input_fn(1))
        names = [name for name in estimator.get_variable_names() if "/t_0/" not in name]
        save_checkpoint(str(tmp_path / "b"), {name: estimator.get_variable_value(name) for name in names}, 1)
        hook = FirstValues("dnn/logits/bias/t_0/Adagrad")
        continued = fake_classifier(tmp_path / "b").train(fake_input_fn(1), hooks=[hook])
        assert hook.values == np.float32(0.1)
        assert global_step(continued) == 2


class TestCheckpoints:
    def test_the_start_every_nth_step_and_the_end_are_saved_in_every_call(self, tmp_path: Path) -> None:
        listener = RecordingListener()
        estimator = fake_classifier(tmp_path, RunConfig(save_checkpoints_steps=3, keep_checkpoint_max=2))
        for max_steps in (10, 11):
            estimator.train(fake_input_fn(20), max_steps=max_steps, saving_listeners=[listener])
        saved = [int(entry.split()[1]) for entry in listener.log if ".after_save" in entry]
        assert saved == [0, 3, 6, 9, 10, 10, 11]
        assert read_state(str(tmp_path)) == ["model.ckpt-10", "model.ckpt-11"]
        assert sorted(path.name for path in tmp_path.glob("model.ckpt-*")) == ["model.ckpt-10", "model.ckpt-11"]

    @pytest.mark.parametrize("setting", ["save_checkpoints_steps", "save_checkpoints_secs"])
    @pytest.mark.parametrize("value", [0, None])
    def test_checkpoints_can_be_turned_off(self, tmp_path: Path, setting: str, value: int | None) -> None:
        estimator = fake_classifier(tmp_path, RunConfig(**{setting: value})).train(fake_input_fn(2))
        assert estimator.latest_checkpoint() is None
        assert not list(tmp_path.glob("*ckpt*"))

    def test_listeners_without_checkpoints_are_refused(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path, RunConfig(save_checkpoints_steps=None))
        with pytest.raises(ValueError, match="saving_listeners need checkpoints"):
            estimator.train(fake_input_fn(1), saving_listeners=[RecordingListener()])

    def test_a_saver_hook_of_the_users_takes_the_place_of_the_default_one(self, tmp_path: Path) -> None:
        own, listener = RecordingListener(name="own"), RecordingListener()
        hook = CheckpointSaverHook(str(tmp_path), save_steps=2, listeners=[own])
        fake_classifier(tmp_path).train(fake_input_fn(3), hooks=[hook], saving_listeners=[listener])
        expected = [
            "begin",
            *(f"{call} {step}" for step in (0, 2, 3) for call in ("before_save", "after_save")),
            "end 3",
        ]
        assert own.log == [f"own.{entry}" for entry in expected]
        assert listener.log == [f"listener.{entry}" for entry in expected]

    def test_the_end_of_training_is_saved_even_when_a_hook_stops_it(self, tmp_path: Path) -> None:
        class Stopping(SessionRunHook):
            def after_run(self, run_context: Any, run_values: Any) -> None:
                run_context.request_stop()

        assert global_step(fake_classifier(tmp_path).train(fake_input_fn(5), hooks=[Stopping()])) == 1

    def test_an_exception_leaves_the_checkpoint_from_before_it(self, tmp_path: Path) -> None:
        class Failing(SessionRunHook):
            def after_run(self, run_context: Any, run_values: Any) -> None:
                if run_context.session.global_step == 4:
                    raise ZeroDivisionError

        estimator = fake_classifier(tmp_path, RunConfig(save_checkpoints_steps=3))
        with pytest.raises(ZeroDivisionError):
            estimator.train(fake_input_fn(5), hooks=[Failing()])
        assert estimator.latest_checkpoint() == f"{tmp_path}/model.ckpt-3"

    def test_a_nan_loss_is_raised_after_the_save_of_its_step(self, tmp_path: Path) -> None:
        def nan_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
            weight = raydnn.get_module("weight", lambda: nn.Linear(1, 1, bias=False)).weight
            loss = (weight * math.nan).sum()
            return EstimatorSpec(mode, loss=loss, train_op=GradientDescentOptimizer(0.1).minimize(loss))

        estimator = raydnn.Estimator(nan_fn, tmp_path, RunConfig(save_checkpoints_steps=1))
        with pytest.raises(errors.NanLossDuringTrainingError):
            estimator.train(line_input_fn, steps=2)
        assert np.isnan(estimator.get_variable_value("weight/weight")).all()
        assert global_step(estimator) == 1


def test_every_phase_goes_through_the_hooks_in_tensorflows_order(tmp_path: Path) -> None:
    log: list[str] = []

    def hooked_fn(features: Any, labels: Any, mode: str, params: Any) -> EstimatorSpec:
        spec = line_fn(features, labels, mode, params)
        chief, last = RecordingHook(log, "chief"), RecordingHook(log, "last")
        return spec._replace(training_chief_hooks=[chief], training_hooks=[last])

    estimator = raydnn.Estimator(hooked_fn, tmp_path, params={"learning_rate": 0.1})
    estimator.train(
        line_input_fn,
        hooks=[RecordingHook(log, "user 1"), RecordingHook(log, "user 2")],
        steps=1,
        saving_listeners=[RecordingListener(log, "saver")],
    )
    users = ["user 1", "user 2"]
    assert log == [
        *(f"{name}.begin" for name in ["saver", "chief", *users, "last"]),
        "saver.before_save 0", "saver.after_save 0",
        *(f"{name}.after_create_session" for name in ["chief", *users, "last"]),
        *(f"{name}.before_run" for name in ["chief", *users, "last"]),
        *(f"{name}.after_run" for name in ["chief", *users, "last"]),
        "saver.before_save 1", "saver.after_save 1", "saver.end 1",
        *(f"{name}.end" for name in ["chief", *users, "last"]),
    ]  # fmt: skip


class TestEvaluate:
    def test_metrics_are_those_of_the_checkpoint_and_change_nothing(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(4))
        metrics = [estimator.evaluate(fake_input_fn(4)) for _ in range(2)]
        assert metrics[0] == metrics[1]
        assert metrics[0]["global_step"] == 4
        assert metrics[0]["global_step"].dtype == np.int64
        assert {value.dtype for name, value in metrics[0].items() if name != "global_step"} == {np.dtype(np.float32)}
        assert global_step(estimator) == 4

    def test_loss_is_the_mean_over_batches_however_short(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(2))
        batches = [*fake_batches(1, num_rows=8), *fake_batches(1, num_rows=2)]
        alone = [estimator.evaluate(lambda batch=batch: iter([batch]))["loss"] for batch in batches]
        assert estimator.evaluate(lambda: iter(batches))["loss"] == pytest.approx(np.mean(alone), rel=1e-6)

    @pytest.mark.parametrize(("steps", "expected"), [(2, 2), (2.0, 2), (None, 4), (9, 4)])
    def test_it_stops_after_steps_or_at_the_end_of_the_input(
        self, tmp_path: Path, steps: int | None, expected: int
    ) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        assert estimator.evaluate(fake_input_fn(4), steps=steps) == estimator.evaluate(fake_input_fn(expected))

    @pytest.mark.parametrize("steps", [0, -1, 1.5])
    def test_bad_steps_are_refused(self, tmp_path: Path, steps: Any) -> None:
        with pytest.raises(ValueError, match="steps must be positive"):
            fake_classifier(tmp_path).evaluate(fake_input_fn(), steps=steps)

    def test_without_a_checkpoint_the_initial_model_is_evaluated(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            metrics = fake_classifier(tmp_path).evaluate(fake_input_fn())
        assert metrics["global_step"] == 0
        assert metrics == fake_classifier(tmp_path).train(lambda: iter([])).evaluate(fake_input_fn())
        assert f"no checkpoint in {tmp_path}" in caplog.text

    def test_a_checkpoint_can_be_chosen(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path, RunConfig(save_checkpoints_steps=2)).train(fake_input_fn(4))
        metrics = estimator.evaluate(fake_input_fn(), checkpoint_path=f"{tmp_path}/model.ckpt-2")
        assert metrics["global_step"] == 2
        assert metrics["loss"] != estimator.evaluate(fake_input_fn())["loss"]

    def test_an_unknown_checkpoint_is_refused_by_its_path(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"checkpoint_path: .*model\.ckpt-9 is not a checkpoint"):
            fake_classifier(tmp_path).evaluate(fake_input_fn(), checkpoint_path=f"{tmp_path}/model.ckpt-9")

    @pytest.mark.parametrize(
        ("name", "folder"), [(None, "eval"), ("", "eval"), ("holdout", "eval_holdout"), ("a/b", "eval_a/b")]
    )
    def test_each_name_has_its_folder(self, tmp_path: Path, name: str | None, folder: str) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        assert estimator.eval_dir(name) == f"{tmp_path}/{folder}"
        estimator.evaluate(fake_input_fn(1), name=name)
        assert list((tmp_path / folder).glob("events.out.tfevents.*"))

    def test_hooks_begin_and_end(self, tmp_path: Path) -> None:
        hook = RecordingHook()
        fake_classifier(tmp_path).evaluate(fake_input_fn(1), hooks=[hook])
        assert (hook.log[0], hook.log[-1]) == ("hook.begin", "hook.end")
        with pytest.raises(TypeError, match="hooks must hold SessionRunHook"):
            fake_classifier(tmp_path).evaluate(fake_input_fn(1), hooks=[object()])

    def test_dropout_is_off_and_batch_statistics_are_not_learned(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path, dropout=0.9, batch_norm=True).train(fake_input_fn(3))
        assert estimator.evaluate(fake_input_fn(2)) == estimator.evaluate(fake_input_fn(2))


class TestPredict:
    def test_nothing_happens_before_the_first_next(self, tmp_path: Path) -> None:
        def never() -> Any:
            raise ZeroDivisionError

        estimator = fake_classifier(tmp_path)
        predictions = estimator.predict(never, hooks=["no hook"], checkpoint_path="missing")
        with pytest.raises(TypeError, match="hooks"):
            next(predictions)
        with pytest.raises(ZeroDivisionError):
            next(estimator.predict(never))

    def test_the_checkpoint_is_chosen_at_the_first_next(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path)
        predictions = estimator.predict(fake_input_fn(1))
        estimator.train(fake_input_fn(4))
        expected = next(estimator.predict(fake_input_fn(1)))
        np.testing.assert_array_equal(next(predictions)["logits"], expected["logits"])

    @pytest.mark.parametrize("has_labels", [True, False])
    def test_labels_make_no_difference(self, tmp_path: Path, has_labels: bool) -> None:
        features = fake_features(5)
        dataset = raydnn.inputs.from_numpy(features, ["anything"] * 5 if has_labels else None, batch_size=2)
        item = (features, np.full(5, 99)) if has_labels else features
        estimator = fake_classifier(tmp_path)
        rows = [list(estimator.predict(input_fn)) for input_fn in (lambda: iter([item]), lambda: dataset)]
        assert [len(each) for each in rows] == [5, 5]
        np.testing.assert_allclose([row["logits"] for row in rows[0]], [row["logits"] for row in rows[1]], rtol=1e-6)

    def test_one_item_for_each_row_or_for_each_batch(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        rows = list(estimator.predict(fake_input_fn(2, num_rows=3)))
        batches = list(estimator.predict(fake_input_fn(2, num_rows=3), yield_single_examples=False))
        assert (len(rows), len(batches)) == (6, 2)
        for key, values in batches[1].items():
            assert [row[key].tolist() for row in rows[3:]] == values.tolist()

    @pytest.mark.parametrize(
        ("predict_keys", "expected"),
        [
            (None, 7),
            ([], 7),
            (["logits"], 1),
            (("logits", "probabilities", "unknown"), 2),
            # Membership is tested with `in`, so a plain string selects by substring.
            ("all_class_ids", 2),
        ],
    )
    def test_keys_can_be_selected(self, tmp_path: Path, predict_keys: Any, expected: int) -> None:
        row = next(fake_classifier(tmp_path).predict(fake_input_fn(1), predict_keys=predict_keys))
        assert len(row) == expected

    def test_no_remaining_key_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"'unknown'.*there are logits, logistic"):
            next(fake_classifier(tmp_path).predict(fake_input_fn(1), predict_keys=["unknown"]))

    def test_an_endless_input_predicts_without_end(self, tmp_path: Path) -> None:
        predictions = fake_classifier(tmp_path).predict(lambda: fake_features(2))
        rows = [next(predictions)["logits"] for _ in range(6)]
        np.testing.assert_array_equal(rows[:2], rows[4:])
        predictions.close()

    def test_out_of_range_ends_the_predictions(self, tmp_path: Path) -> None:
        def ending() -> Iterator[Any]:
            yield fake_features(3)
            raise errors.OutOfRangeError("end")

        assert len(list(fake_classifier(tmp_path).predict(ending))) == 3

    def test_hooks_end_only_when_the_input_is_read_to_its_end(self, tmp_path: Path) -> None:
        whole, abandoned = RecordingHook(), RecordingHook()
        list(fake_classifier(tmp_path).predict(fake_input_fn(1), hooks=[whole]))
        predictions = fake_classifier(tmp_path).predict(fake_input_fn(1), hooks=[abandoned])
        next(predictions)
        predictions.close()
        assert (whole.log[0], whole.log[-1]) == ("hook.begin", "hook.end")
        assert abandoned.log[0] == "hook.begin"
        assert "hook.end" not in abandoned.log

    def test_two_predictions_can_be_interleaved(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        expected = [row["logits"] for row in estimator.predict(fake_input_fn(2))]
        pairs = zip(estimator.predict(fake_input_fn(2)), estimator.predict(fake_input_fn(2)), strict=True)
        for (first, second), logits in zip(pairs, expected, strict=True):
            assert first["logits"] == second["logits"] == logits

    def test_a_checkpoint_can_be_chosen(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path, RunConfig(save_checkpoints_steps=2))
        estimator.train(fake_input_fn(2))
        expected = next(estimator.predict(fake_input_fn(1)))
        estimator.train(fake_input_fn(2))
        found = next(estimator.predict(fake_input_fn(1), checkpoint_path=f"{tmp_path}/model.ckpt-2"))
        np.testing.assert_array_equal(found["logits"], expected["logits"])
        with pytest.raises(ValueError, match="checkpoint_path"):
            next(estimator.predict(fake_input_fn(1), checkpoint_path="missing"))


class TestVariables:
    def test_names_are_sorted_and_values_are_those_of_the_latest_checkpoint(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        names = estimator.get_variable_names()
        assert names == sorted(names)
        assert "global_step" in names
        bias = estimator.get_variable_value("dnn/logits/bias")
        assert isinstance(bias, np.ndarray)
        np.testing.assert_array_equal(estimator.get_variable_value("dnn/logits/bias:0"), bias)
        estimator.train(fake_input_fn(1))
        assert not np.array_equal(estimator.get_variable_value("dnn/logits/bias"), bias)

    def test_a_list_of_names_gives_a_list_of_values(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
        step, bias = estimator.get_variable_value(["global_step", "dnn/logits/bias:0"])
        assert (step, bias.shape) == (1, (1,))

    def test_an_unknown_name_is_not_found(self, tmp_path: Path) -> None:
        with pytest.raises(errors.NotFoundError, match="'dnn/logits/gamma'"):
            fake_classifier(tmp_path).train(fake_input_fn(1)).get_variable_value("dnn/logits/gamma")

    def test_without_a_checkpoint_there_are_none(self, tmp_path: Path) -> None:
        estimator = fake_classifier(tmp_path)
        assert estimator.latest_checkpoint() is None
        with pytest.raises(ValueError, match=f"no checkpoint in {tmp_path}"):
            estimator.get_variable_names()
        with pytest.raises(ValueError, match=f"no checkpoint in {tmp_path}"):
            estimator.get_variable_value("global_step")


class TestOwnModelFn:
    def test_it_learns_and_goes_on_from_its_checkpoint(self, tmp_path: Path) -> None:
        line_estimator(tmp_path).train(line_input_fn, steps=50)
        estimator = line_estimator(tmp_path).train(line_input_fn, steps=50)
        assert estimator.get_variable_names() == ["global_step", "line/bias", "line/weight"]
        assert global_step(estimator) == 100
        assert estimator.get_variable_value("line/weight") == pytest.approx(3, abs=1e-3)
        assert estimator.get_variable_value("line/bias") == pytest.approx(1, abs=1e-3)

    def test_it_is_evaluated_and_predicts(self, tmp_path: Path) -> None:
        estimator = line_estimator(tmp_path).train(line_input_fn, steps=100)
        metrics = estimator.evaluate(line_input_fn, steps=3)
        assert set(metrics) == {"loss", "global_step"}
        assert metrics["loss"] == pytest.approx(0, abs=1e-4)
        rows = list(estimator.predict(lambda: iter([{"x": XS}])))
        np.testing.assert_allclose([row["y"] for row in rows], 3 * XS + 1, atol=1e-2)
        np.testing.assert_allclose([row["twice"] for row in rows], 2 * (3 * XS + 1), atol=2e-2)

    @pytest.mark.parametrize("batch_size", [3, 4])
    def test_a_data_set_gives_it_features_and_labels_apart(self, tmp_path: Path, batch_size: int) -> None:
        dataset = raydnn.inputs.from_numpy({"x": XS}, 3 * XS + 1, batch_size=batch_size, num_epochs=50)
        estimator = line_estimator(tmp_path).train(lambda: dataset)
        assert estimator.get_variable_value("line/weight") == pytest.approx(3, abs=0.1)

    def test_numbers_come_as_tensors_and_text_as_arrow_arrays(self, tmp_path: Path) -> None:
        seen: dict[str, Any] = {}

        def looking_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
            seen.update(features, labels=labels, mode=mode)
            line = raydnn.get_module("line", lambda: nn.Linear(1, 1))
            loss = line(features["image"].reshape(-1, 1)).sum()
            return EstimatorSpec(mode, loss=loss, train_op=GradientDescentOptimizer(0.1).minimize(loss))

        features = {"image": np.zeros((2, 3, 4), np.float32), "text": ["a", "b"], "tags": [["a"], []]}
        raydnn.Estimator(looking_fn, tmp_path).train(lambda: iter([(features, np.array([[1], [0]]))]))
        assert seen["image"].shape == (2, 3, 4)
        assert (seen["labels"].tolist(), seen["mode"]) == ([[1], [0]], "train")
        assert seen["text"].to_pylist() == ["a", "b"]
        assert seen["tags"].to_pylist() == [["a"], []]

    @pytest.mark.parametrize("mode", ["train", "evaluate"])
    def test_labels_that_it_does_not_declare_are_refused(self, tmp_path: Path, mode: str) -> None:
        estimator = raydnn.Estimator(lambda features, mode: None, tmp_path)
        with pytest.raises(ValueError, match="no argument 'labels'"):
            getattr(estimator, mode)(line_input_fn, steps=1)

    def test_what_is_no_spec_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="must return an EstimatorSpec; got 3"):
            raydnn.Estimator(lambda features, labels, mode: 3, tmp_path).train(line_input_fn, steps=1)

    @pytest.mark.parametrize(
        ("predictions", "options", "message"),
        [
            ({"a": torch.zeros(4), "b": torch.zeros(3)}, {}, "different numbers of rows: {'a': 4, 'b': 3}"),
            (torch.zeros(4), {"predict_keys": ["a"]}, "predictions are not a dict"),
        ],
    )
    def test_predictions_that_do_not_fit_are_refused(
        self, tmp_path: Path, predictions: Any, options: dict[str, Any], message: str
    ) -> None:
        estimator = raydnn.Estimator(lambda features, mode: EstimatorSpec(mode, predictions), tmp_path)
        with pytest.raises(ValueError, match=message):
            next(estimator.predict(lambda: iter([{"x": XS}]), **options))

    def test_predictions_that_are_no_dict_come_as_arrays(self, tmp_path: Path) -> None:
        estimator = raydnn.Estimator(lambda features, mode: EstimatorSpec(mode, 2 * features["x"]), tmp_path)
        assert list(estimator.predict(lambda: iter([{"x": XS}]))) == (2 * XS).tolist()

    def test_the_seed_and_the_name_decide_the_initial_values(self, tmp_path: Path) -> None:
        def weights_fn(features: Any, mode: str) -> EstimatorSpec:
            made = {name: raydnn.get_module(name, lambda: nn.Linear(4, 1)) for name in ("a", "b")}
            return EstimatorSpec(mode, {name: layer.weight.detach() for name, layer in made.items()})

        def weights(seed: int) -> dict[str, list[float]]:
            estimator = raydnn.Estimator(weights_fn, tmp_path, RunConfig(tf_random_seed=seed))
            return {name: value.tolist() for name, value in next(estimator.predict(lambda: iter([{"x": XS}]))).items()}

        before = torch.get_rng_state()
        first, again, other = weights(1), weights(1), weights(2)
        assert first == again
        assert first["a"] != other["a"]
        assert first["a"] != first["b"]
        assert torch.equal(torch.get_rng_state(), before)

    def test_modules_are_made_only_while_it_is_called(self) -> None:
        with pytest.raises(RuntimeError, match="only inside a model_fn"):
            raydnn.get_module("line", lambda: nn.Linear(1, 1))


def test_a_model_dir_on_an_object_store_keeps_checkpoints() -> None:
    model_dir = "memory://test_a_model_dir_on_an_object_store"
    config = RunConfig(tf_random_seed=1, save_summary_steps=0, log_step_count_steps=None)
    fake_classifier(model_dir, config).train(fake_input_fn(2))
    assert latest_checkpoint(model_dir) == f"{model_dir}/model.ckpt-2"
    assert global_step(fake_classifier(model_dir, config).train(fake_input_fn(1))) == 3


@pytest.mark.parametrize("seed", [None, 3])
def test_calls_of_train_shuffle_alike_only_where_a_seed_is_given(seed: int | None, tmp_path: Path) -> None:
    rows: list[list[int]] = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        rows.append(features["row"].tolist())
        loss = raydnn.layers.dense(features["row"].float().unsqueeze(1), 1).sum() * 0
        return EstimatorSpec(mode, loss=loss, train_op=raydnn.train.GradientDescentOptimizer(0.1).minimize(loss))

    estimator = raydnn.Estimator(model_fn, tmp_path, RunConfig(tf_random_seed=seed))
    for _ in range(2):
        estimator.train(
            lambda: raydnn.inputs.from_numpy({"row": np.arange(64)}, np.zeros(64), batch_size=64, shuffle=True)
        )
    first, second = (batch for batch in rows if batch)
    assert sorted(first) == sorted(second) == list(range(64))
    assert (first == second) == (seed is not None)
