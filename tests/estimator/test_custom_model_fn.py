"""Model functions of a user's own: variables, layers, losses, metrics, hooks, and what goes wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from custom_models import normalized_model_fn, twin_model_fn
from fake_data import LABEL, fake_batches, fake_classifier, fake_features, fake_input_fn, fake_table

import raydnn
from raydnn import EstimatorSpec, ModeKeys
from raydnn.train import SessionRunArgs, SessionRunHook

ADAGRAD = raydnn.train.AdagradOptimizer(0.05)
CONFIG = raydnn.RunConfig(tf_random_seed=1)


class Losses(SessionRunHook):
    def __init__(self) -> None:
        self.values: list[float] = []

    def before_run(self, run_context: Any) -> SessionRunArgs:
        return SessionRunArgs("loss")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.values.append(float(run_values.results))


def build(body: Callable[..., torch.Tensor], model_dir: Path, **arguments: Any) -> raydnn.Estimator:
    """An estimator whose logit is what `body(features)` returns."""

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        logits = body(features)
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions={"logits": logits})
        loss = raydnn.losses.mean_squared_error(labels.float(), logits)
        return EstimatorSpec(mode, loss=loss, train_op=ADAGRAD.minimize(loss), **arguments)

    return raydnn.Estimator(model_fn, model_dir, CONFIG)


def numbers() -> Iterator[tuple[dict[str, Any], Any]]:
    random = np.random.default_rng(0)
    for _ in range(5):
        x = random.normal(size=(8, 3)).astype(np.float32)
        yield {"x": x}, x.sum(1)


def variables(estimator: raydnn.Estimator) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def test_a_classifier_written_by_hand_learns_the_same_as_the_ready_made_one(tmp_path: Path) -> None:
    ready = fake_classifier(tmp_path / "ready", hidden_units=[6, 4])
    own = raydnn.Estimator(twin_model_fn, tmp_path / "own", CONFIG, params={"hidden_units": [6, 4]})
    losses = Losses(), Losses()
    ready.train(fake_input_fn(12), hooks=[losses[0]])
    own.train(fake_input_fn(12), hooks=[losses[1]])
    np.testing.assert_allclose(losses[1].values, losses[0].values, rtol=1e-6)
    assert variables(own).keys() == variables(ready).keys()
    for name, value in variables(ready).items():
        np.testing.assert_allclose(variables(own)[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    expected, measured = ready.evaluate(fake_input_fn(3)), own.evaluate(fake_input_fn(3))
    for name, value in measured.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, err_msg=name)
    predictions = [row["logistic"] for row in own.predict(fake_input_fn(1))]
    np.testing.assert_allclose(predictions, [row["logistic"] for row in ready.predict(fake_input_fn(1))], rtol=1e-5)


def test_layers_are_named_and_numbered_as_in_tensorflow(tmp_path: Path) -> None:
    estimator = raydnn.Estimator(normalized_model_fn, tmp_path, CONFIG)
    estimator.train(fake_input_fn(2))
    assert estimator.get_variable_names() == [
        "batch_normalization/beta", "batch_normalization/gamma", "batch_normalization/moving_mean",
        "batch_normalization/moving_variance", "dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel",
        "global_step", "input_layer/tags_embedding/embedding_weights", "scale", "tower/bias", "tower/weight",
    ]  # fmt: skip
    assert estimator.evaluate(fake_input_fn(2)).keys() == {"accuracy", "loss", "global_step"}
    assert all(row.shape == (2,) for row in estimator.predict(fake_input_fn(1)))


def test_a_second_training_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    batches = fake_batches(6)
    whole = raydnn.Estimator(normalized_model_fn, tmp_path / "whole", CONFIG).train(lambda: iter(batches))
    halves = raydnn.Estimator(normalized_model_fn, tmp_path / "halves", CONFIG)
    halves.train(lambda: iter(batches[:3])).train(lambda: iter(batches[3:]))
    for name, value in variables(whole).items():
        np.testing.assert_array_equal(variables(halves)[name], value, err_msg=name)


def test_own_summaries_reach_the_event_file(tmp_path: Path) -> None:
    config = CONFIG.replace(save_summary_steps=1)
    raydnn.Estimator(normalized_model_fn, tmp_path, config).train(fake_input_fn(2))
    content = b"".join(path.read_bytes() for path in tmp_path.glob("events.*"))
    assert content.count(b"own_scalar") == 2


def test_scopes_nest_and_share_on_purpose(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        with raydnn.train.variable_scope("a") as outer, raydnn.train.variable_scope("b") as inner:
            assert (outer, inner) == ("a", "a/b")
            one = raydnn.layers.dense(features["x"], 3, name="shared")
        with raydnn.train.variable_scope("a"), raydnn.train.variable_scope("b", reuse=True):
            two = raydnn.layers.dense(one, 3, name="shared")
        return two.sum(1) + raydnn.train.get_variable("bias", ())

    estimator = build(body, tmp_path).train(numbers)
    model_variables = [name for name in estimator.get_variable_names() if "Adagrad" not in name]
    assert model_variables == ["a/b/shared/bias", "a/b/shared/kernel", "bias", "global_step"]


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        return sum(raydnn.layers.dense(features["x"], 1, name="twice") for _ in range(2))[:, 0]

    with pytest.raises(ValueError, match="'twice' is used twice in one call"):
        build(body, tmp_path).train(numbers)


def test_a_variable_that_comes_late_is_refused(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        return raydnn.layers.dense(features["x"], 1, name="empty" if len(features["x"]) == 0 else "full")[:, 0]

    with pytest.raises(ValueError, match="'full' was not there when the model was built"):
        build(body, tmp_path).train(numbers)


def test_a_variable_keeps_its_shape(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        return features["x"].sum(1) + raydnn.train.get_variable("w", [1 + (len(features["x"]) > 0)]).sum()

    with pytest.raises(ValueError, match=r"'w' has shape \(1,\).*now shape \(2,\)"):
        build(body, tmp_path).train(numbers)


def test_variables_that_are_not_trained(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        seen = raydnn.train.get_variable("rows_seen", (), "int64")
        with torch.no_grad():
            seen += len(features["x"])
        fixed = raydnn.train.get_variable("fixed", [3], initializer=raydnn.initializers.Constant(2.0), trainable=False)
        frozen = raydnn.layers.dense(features["x"], 3, trainable=False, name="frozen")
        return raydnn.layers.dense(frozen * fixed, 1)[:, 0]

    estimator = build(body, tmp_path).train(numbers)
    values = variables(estimator)
    assert values["rows_seen"] == 40
    assert values["rows_seen"].dtype == np.int64
    np.testing.assert_array_equal(values["fixed"], [2.0, 2.0, 2.0])
    assert not any("Adagrad" in name for name in values if name.startswith(("frozen", "fixed", "rows_seen")))


def test_integers_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'n': torch.int64 cannot be trained"):
        build(lambda features: raydnn.train.get_variable("n", (), "int64", trainable=True), tmp_path).train(numbers)


def test_features_may_be_changed_before_the_input_layer(tmp_path: Path) -> None:
    column = raydnn.feature_column.numeric_column("x", shape=(3,))
    seen: list[torch.Tensor] = []

    def body(features: Any) -> torch.Tensor:
        raw = raydnn.layers.input_layer(features, [column], name="raw")
        features["x"] = features["x"] * 2
        doubled = raydnn.layers.input_layer(features, [column], name="doubled")
        own = raydnn.layers.input_layer({"x": features["x"] / 2}, [column], name="own")
        seen.append(torch.stack([raw * 2 - doubled, raw - own]).abs().max() if len(raw) else torch.zeros(()))
        return raydnn.layers.dense(doubled, 1)[:, 0]

    build(body, tmp_path).train(numbers)
    assert len(seen) == 6
    assert float(torch.stack(seen).max()) == 0


def test_what_a_model_function_draws_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    drawn: list[float] = []

    def body(features: Any) -> torch.Tensor:
        drawn.append(float(torch.rand(())))
        return raydnn.layers.dense(features["x"], 1)[:, 0]

    build(body, tmp_path / "a").train(numbers)
    torch.rand(7)
    build(body, tmp_path / "b").train(numbers)
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn[1:6])) == 5


def test_placeholders_are_fed_by_hooks(tmp_path: Path) -> None:
    seen: list[float] = []

    def body(features: Any) -> torch.Tensor:
        seen.append(raydnn.train.placeholder_with_default(1.0, "rate"))
        return raydnn.layers.dense(features["x"], 1)[:, 0]

    values = iter([0.5, 0.25, 0.125])
    hook = raydnn.train.FeedFnHook(lambda: {"rate": next(values)})
    estimator = build(body, tmp_path).train(numbers, hooks=[hook], steps=3)
    assert seen == [1.0, 0.5, 0.25, 0.125]
    estimator.evaluate(numbers, steps=1, hooks=[raydnn.train.FeedFnHook(lambda: {"rate": 7.0})])
    assert seen[-1] == 7.0
    with pytest.raises(ValueError, match="nobody cannot be fed; the model's placeholders are rate"):
        estimator.train(numbers, hooks=[raydnn.train.FeedFnHook(lambda: {"nobody": 1})], steps=1)


def test_the_scaffold_sets_initial_values_but_not_those_of_a_checkpoint(tmp_path: Path) -> None:
    calls: list[int] = []

    def init_fn(scaffold: raydnn.train.Scaffold, session: Any) -> None:
        calls.append(session.global_step)
        session.load("dense/kernel", np.full((3, 1), 9.0, np.float32))

    class First(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            calls.append(float(session.run("dense/kernel")[0, 0]))

    estimator = build(
        lambda features: raydnn.layers.dense(features["x"], 1)[:, 0],
        tmp_path,
        scaffold=raydnn.train.Scaffold(init_fn=init_fn),
    )
    estimator.train(numbers, hooks=[First()], steps=1)
    assert calls == [0, 9.0]
    estimator.train(numbers, steps=1)
    assert len(calls) == 2


def test_metrics_of_ones_own_may_be_arrays(tmp_path: Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        logits = raydnn.layers.dense(features["x"], 1)[:, 0]
        loss = raydnn.losses.mean_squared_error(labels, logits)
        rows = raydnn.metrics.Metric(
            {"x": features["x"].sum(0), "n": torch.tensor(float(len(logits)))}, lambda sums: sums["x"] / sums["n"]
        )
        return EstimatorSpec(mode, loss=loss, train_op=ADAGRAD.minimize(loss), eval_metric_ops={"means": rows})

    estimator = raydnn.Estimator(model_fn, tmp_path, CONFIG)
    metrics = estimator.evaluate(numbers)
    everything = np.concatenate([features["x"] for features, _ in numbers()])
    np.testing.assert_allclose(metrics["means"], everything.mean(0), rtol=1e-5)
    assert metrics["means"].dtype == np.float32


@pytest.mark.parametrize("name", ["loss", "global_step"])
def test_reserved_metric_names_are_refused_at_evaluation(name: str, tmp_path: Path) -> None:
    metrics = {name: raydnn.metrics.mean([1.0])}
    estimator = build(lambda features: raydnn.layers.dense(features["x"], 1)[:, 0], tmp_path, eval_metric_ops=metrics)
    estimator.train(numbers, steps=1)
    with pytest.raises(ValueError, match=f"{name} is written by evaluation itself"):
        estimator.evaluate(numbers)


def test_text_and_ragged_features_come_as_arrow(tmp_path: Path) -> None:
    kinds: set[tuple[str, str]] = set()

    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        kinds.update((name, type(value).__name__) for name, value in features.items())
        return EstimatorSpec(mode, predictions={"size": features["size"]})

    list(raydnn.Estimator(model_fn, tmp_path, CONFIG).predict(lambda: iter([fake_features()])))
    assert {("city", "StringArray"), ("tags", "ListArray"), ("size", "Tensor")} <= kinds


@pytest.mark.parametrize(
    "call",
    [
        lambda: raydnn.layers.dense(torch.zeros(1, 1), 1),
        lambda: raydnn.layers.dropout(torch.zeros(1, 1)),
        lambda: raydnn.train.get_variable("x", ()),
        lambda: raydnn.train.placeholder_with_default(1, "x"),
        lambda: raydnn.losses.compute_weighted_loss(torch.zeros(1)),
        lambda: raydnn.summary.scalar("x", 1),
    ],
)
def test_outside_a_model_function_there_is_nothing_to_build(call: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="only inside a model_fn"):
        call()


def test_the_label_column_of_a_data_set_is_never_a_feature(tmp_path: Path) -> None:
    seen: set[str] = set()

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        seen.update(features)
        logits = raydnn.layers.dense(features["size"], 1)[:, 0]
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions=logits)
        loss = raydnn.losses.mean_squared_error(labels, logits)
        return EstimatorSpec(mode, loss=loss, train_op=ADAGRAD.minimize(loss))

    estimator = raydnn.Estimator(model_fn, tmp_path, CONFIG)
    estimator.train(lambda: raydnn.inputs.from_arrow(fake_table(), label=LABEL))
    assert len(list(estimator.predict(lambda: raydnn.inputs.from_arrow(fake_table(), label=LABEL)))) == 32
    assert seen == {"age", "city", "size", "tags"}


def test_one_batch_of_arrays_is_predicted_again_and_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def model_fn(features: Any) -> EstimatorSpec:
        return EstimatorSpec(ModeKeys.PREDICT, predictions={"x": features["x"][:2]})

    rows = raydnn.Estimator(model_fn, tmp_path, CONFIG).predict(lambda: {"x": np.arange(4)})
    assert [int(next(rows)["x"]) for _ in range(5)] == [0, 1, 0, 1, 0]
    assert "again and again" in caplog.text


@pytest.mark.parametrize("action", ["evaluate", "predict"])
def test_a_stop_before_the_first_batch_ends_without_one(action: str, tmp_path: Path) -> None:
    class Stop(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            coord.request_stop()

    estimator = build(lambda features: raydnn.layers.dense(features["x"], 1)[:, 0], tmp_path)
    result = getattr(estimator, action)(numbers, hooks=[Stop()])
    assert result["loss"] == 0 if action == "evaluate" else list(result) == []


def test_unnamed_layers_are_shared_when_their_scope_is_entered_again(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        with raydnn.train.variable_scope("tower"):
            one = raydnn.layers.dense(raydnn.layers.dense(features["x"], 3), 3)
        with raydnn.train.variable_scope("tower", reuse=True):
            two = raydnn.layers.dense(raydnn.layers.dense(one, 3), 3)
        return two.sum(1)

    names = build(body, tmp_path).train(numbers).get_variable_names()
    assert [name for name in names if "kernel" in name and "Adagrad" not in name] == [
        "tower/dense/kernel",
        "tower/dense_1/kernel",
    ]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda x: raydnn.layers.dense(x, 2, name="a"), r"'a' is shared with kernel \(3, 1\)"),
        (
            lambda x: raydnn.get_module("a", lambda: torch.nn.Linear(3, 1))(x),
            "'a' is the name of a dense layer already",
        ),
        (lambda x: raydnn.train.get_variable("a", ()), "'a' is the name of a dense layer already"),
        (lambda x: raydnn.train.get_variable("a/kernel", (3, 1)), "two variables called 'a/kernel'"),
    ],
)
def test_a_name_stands_for_one_thing(other: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        first = raydnn.layers.dense(features["x"], 1, name="a")
        with raydnn.train.variable_scope("unused"):
            pass
        raydnn.train.run_context.current_call().reuse = True
        return first.sum(1) + other(features["x"]).sum()

    with pytest.raises(ValueError, match=message):
        build(body, tmp_path).train(numbers)


@pytest.mark.parametrize("name", ["train", "type", "a.b", "training"])
def test_a_layer_may_have_any_name(name: str, tmp_path: Path) -> None:
    estimator = build(lambda features: raydnn.layers.dense(features["x"], 1, name=name)[:, 0], tmp_path).train(numbers)
    assert f"{name}/kernel" in estimator.get_variable_names()


def test_features_changed_in_place_are_seen_by_the_input_layer(tmp_path: Path) -> None:
    column = raydnn.feature_column.numeric_column("x", shape=(3,))

    def body(features: Any) -> torch.Tensor:
        features["x"] /= 2
        assert torch.equal(raydnn.layers.input_layer(features, [column]), features["x"])
        return raydnn.layers.dense(features["x"], 1)[:, 0]

    build(body, tmp_path).train(numbers)


def test_features_may_be_taken_out_of_the_dict(tmp_path: Path) -> None:
    estimator = build(lambda features: raydnn.layers.dense(features.pop("x"), 1)[:, 0], tmp_path)
    estimator.train(numbers)
    assert estimator.evaluate(numbers)["global_step"] == 5


def test_building_leaves_variables_that_are_not_trained_as_they_were(tmp_path: Path) -> None:
    def body(features: Any) -> torch.Tensor:
        calls = raydnn.train.get_variable("calls", (), "int64")
        mean = raydnn.train.get_variable("mean", (), initializer=raydnn.initializers.Zeros(), trainable=False)
        with torch.no_grad():
            calls += 1
            mean.lerp_(features["x"].mean(), 0.5)
        return raydnn.layers.dense(features["x"], 1)[:, 0]

    values = variables(build(body, tmp_path).train(numbers))
    assert values["calls"] == 5
    assert np.isfinite(values["mean"])


def test_the_optimizer_of_each_call_decides_on_the_learning_rate(tmp_path: Path) -> None:
    rates = iter([1.0, 0.0, 0.0, 0.5])

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        weight = raydnn.train.get_variable("w", (), initializer=raydnn.initializers.Zeros())
        loss = weight * 1.0
        return EstimatorSpec(
            mode, loss=loss, train_op=raydnn.train.GradientDescentOptimizer(next(rates)).minimize(loss)
        )

    estimator = raydnn.Estimator(model_fn, tmp_path, CONFIG).train(numbers, steps=3)
    assert estimator.get_variable_value("w") == -0.5


def test_params_cannot_be_changed_by_the_model_function(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str, params: Any) -> EstimatorSpec:
        params["list"].append(1)
        return EstimatorSpec(mode, predictions=features["x"] * len(params["list"]))

    estimator = raydnn.Estimator(model_fn, tmp_path, CONFIG, params={"list": []})
    rows = list(estimator.predict(lambda: iter([{"x": np.ones(2)}, {"x": np.ones(2)}])))
    assert [float(row) for row in rows] == [1, 1, 1, 1]
    assert estimator.params == {"list": []}


def test_labels_may_be_a_dict(tmp_path: Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        logits = raydnn.layers.dense(features["x"], 1)[:, 0]
        loss = raydnn.losses.mean_squared_error(labels["a"], logits) + labels["b"].sum() * 0
        return EstimatorSpec(mode, loss=loss, train_op=ADAGRAD.minimize(loss))

    def input_fn() -> Iterator[Any]:
        return ((features, {"a": labels, "b": labels.astype(np.int64)}) for features, labels in numbers())

    assert raydnn.Estimator(model_fn, tmp_path, CONFIG).train(input_fn).evaluate(input_fn)["global_step"] == 5
