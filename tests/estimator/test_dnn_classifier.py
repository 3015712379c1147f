"""DNNClassifier: its arguments, and the names and types of what it makes."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import fake_batches, fake_classifier, fake_columns, fake_features, fake_input_fn

import raydnn
from raydnn import DNNClassifier, errors
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.losses import Reduction
from raydnn.train import AdagradOptimizer, GradientDescentOptimizer

AGE = numeric_column("age", default_value=0.0)


def run(estimator: DNNClassifier, action: str) -> Any:
    if action == "predict":
        return next(estimator.predict(fake_input_fn(1)))
    return getattr(estimator, action)(fake_input_fn(1))


EVERY_ACTION = pytest.mark.parametrize("action", ["train", "evaluate", "predict"])


def test_the_positional_arguments_are_tensorflows_with_their_defaults() -> None:
    parameters = inspect.signature(DNNClassifier).parameters
    required = inspect.Parameter.empty
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "hidden_units": required,
        "feature_columns": required,
        "model_dir": None,
        "n_classes": 2,
        "weight_column": None,
        "label_vocabulary": None,
        "optimizer": "Adagrad",
        "activation_fn": "relu",
        "dropout": None,
        "input_layer_partitioner": None,
        "config": None,
        "warm_start_from": None,
        "loss_reduction": "weighted_sum",
        "batch_norm": False,
    }
    assert list(parameters)[:4] == ["hidden_units", "feature_columns", "model_dir", "n_classes"]
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_the_reductions_have_tensorflows_values() -> None:
    assert Reduction.all() == (
        "none",
        "weighted_sum",
        "weighted_mean",
        "weighted_sum_over_batch_size",
        "weighted_sum_by_nonzero_weights",
    )
    assert Reduction.SUM_OVER_NONZERO_WEIGHTS == Reduction.SUM_BY_NONZERO_WEIGHTS


@pytest.mark.parametrize(
    ("argument", "bad", "error"),
    [
        ("n_classes", None, ValueError),
        ("n_classes", 1, ValueError),
        ("n_classes", 0, ValueError),
        ("n_classes", -3, ValueError),
        ("label_vocabulary", "ab", TypeError),
        ("label_vocabulary", {"a": 0}, TypeError),
        ("loss_reduction", Reduction.NONE, ValueError),
        ("loss_reduction", "sum", ValueError),
        ("loss_reduction", None, ValueError),
        ("config", {}, ValueError),
        ("warm_start_from", "", ValueError),
        ("warm_start_from", 3, ValueError),
    ],
)
def test_what_the_constructor_refuses_by_name(argument: str, bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=argument):
        fake_classifier("model", **{argument: bad})


@pytest.mark.parametrize("bad", ["abc", {"a": 0}])
def test_a_bad_vocabulary_of_several_classes_is_a_value_error(bad: Any) -> None:
    with pytest.raises(ValueError, match="label_vocabulary"):
        fake_classifier("model", n_classes=3, label_vocabulary=bad)


@pytest.mark.parametrize(
    ("hidden_units", "expected"),
    [((), []), ([3], [3]), ((3, 2), [3, 2]), (iter([3, 2]), [3, 2]), (np.array([3, 2]), [3, 2])],
    ids=["empty", "list", "tuple", "iterator", "array"],
)
def test_any_iterable_of_sizes_will_do_and_the_model_is_built_again(
    tmp_path: Path, hidden_units: Any, expected: list[int]
) -> None:
    estimator = fake_classifier(tmp_path, hidden_units=hidden_units)
    for _ in range(2):
        estimator.train(fake_input_fn(1))
    names = [name for name in estimator.get_variable_names() if name.startswith("dnn/hiddenlayer_")]
    biases = [name for name in names if name.endswith("/bias")]
    assert [len(estimator.get_variable_value(name)) for name in biases] == expected


def test_a_fractional_size_is_cut(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, hidden_units=[2.5]).train(fake_input_fn(1))
    assert estimator.get_variable_value("dnn/hiddenlayer_0/bias").shape == (2,)


@EVERY_ACTION
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hidden_units": None}, TypeError, "hidden_units"),
        ({"hidden_units": 4}, TypeError, "hidden_units"),
        ({"hidden_units": [None]}, TypeError, "."),
        ({"hidden_units": ["a"]}, ValueError, "."),
        ({"hidden_units": [0]}, ValueError, "hidden_units"),
        ({"hidden_units": [-1]}, ValueError, "hidden_units"),
        ({"feature_columns": []}, ValueError, "must not be empty"),
        ({"feature_columns": None}, ValueError, "must not be empty"),
        ({"feature_columns": ["age"]}, ValueError, "'age'"),
        ({"feature_columns": {"age": AGE}}, ValueError, "must be a list"),
        ({"feature_columns": AGE}, ValueError, "must be a list"),
        (
            {"feature_columns": [categorical_column_with_hash_bucket("city", 5)]},
            ValueError,
            "'city' is categorical.*embedding_column or indicator_column",
        ),
        ({"feature_columns": [AGE, AGE]}, ValueError, "more than one column named .*age"),
        ({"optimizer": "adagrad"}, ValueError, r"'adagrad'.*\['Adagrad', 'Adam', 'Ftrl', 'RMSProp', 'SGD'\]"),
        ({"optimizer": 0.05}, ValueError, "0.05"),
        ({"optimizer": lambda: "Adagrad"}, ValueError, "'Adagrad'"),
        ({"optimizer": None}, ValueError, "None"),
        ({"activation_fn": "rectifier"}, ValueError, "'rectifier'.*relu"),
        ({"activation_fn": 3}, TypeError, "activation_fn"),
        ({"dropout": -0.1}, ValueError, "dropout"),
        ({"dropout": 1.1}, ValueError, "dropout"),
    ],
)
def test_what_is_refused_only_when_the_model_is_built(
    tmp_path: Path, action: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    estimator = fake_classifier(tmp_path, **arguments)
    with pytest.raises(error, match=message):
        run(estimator, action)


def test_dropping_everything_is_refused_in_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dropout"):
        run(fake_classifier(tmp_path, dropout=1), "train")


@pytest.mark.parametrize("weight_column", [3, indicator_column(categorical_column_with_hash_bucket("city", 5))])
def test_a_bad_weight_column_is_refused_where_there_is_a_loss(tmp_path: Path, weight_column: Any) -> None:
    estimator = fake_classifier(tmp_path, weight_column=weight_column)
    run(estimator, "predict")
    for action in ("train", "evaluate"):
        with pytest.raises(TypeError, match="weight_column"):
            run(estimator, action)


@pytest.mark.parametrize("n_classes", [2, 2.0])
def test_two_classes_have_one_logit(tmp_path: Path, n_classes: Any) -> None:
    assert run(fake_classifier(tmp_path, n_classes=n_classes), "predict")["logits"].shape == (1,)


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        ("Adagrad", {"Adagrad"}),
        ("SGD", set()),
        (AdagradOptimizer(0.1), {"Adagrad"}),
        (lambda: GradientDescentOptimizer(0.1), set()),
        (AdagradOptimizer(0.1, name="Mine"), {"Mine"}),
    ],
)
def test_an_optimizer_is_a_name_an_object_or_what_makes_one(tmp_path: Path, optimizer: Any, slots: set[str]) -> None:
    names = run(fake_classifier(tmp_path, optimizer=optimizer), "train").get_variable_names()
    assert {name.rpartition("/t_0/")[2] for name in names if "/t_0/" in name} == slots


@pytest.mark.parametrize("activation_fn", [torch.tanh, torch.nn.functional.elu, "tanh", None, lambda x: x * 2])
def test_an_activation_is_a_callable_a_name_or_none(tmp_path: Path, activation_fn: Any) -> None:
    run(fake_classifier(tmp_path, activation_fn=activation_fn), "train")


def test_variables_have_tensorflows_names_and_shapes(tmp_path: Path) -> None:
    word = embedding_column(categorical_column_with_hash_bucket("a word!", 5), 3)
    columns = [numeric_column("x", shape=2), word]
    estimator = DNNClassifier([4, 2], columns, tmp_path, n_classes=3, optimizer="SGD", batch_norm=True)
    features = {"x": np.zeros((2, 2)), "a word!": ["a", "b"]}
    estimator.train(lambda: iter([(features, np.array([0, 2]))]))
    batch_norm = ("beta", "gamma", "moving_mean", "moving_variance")
    assert {name: estimator.get_variable_value(name).shape for name in estimator.get_variable_names()} == {
        "dnn/hiddenlayer_0/kernel": (5, 4),
        "dnn/hiddenlayer_0/bias": (4,),
        **{f"dnn/hiddenlayer_0/batchnorm_0/{name}": (4,) for name in batch_norm},
        "dnn/hiddenlayer_1/kernel": (4, 2),
        "dnn/hiddenlayer_1/bias": (2,),
        **{f"dnn/hiddenlayer_1/batchnorm_1/{name}": (2,) for name in batch_norm},
        "dnn/input_from_feature_columns/input_layer/a_word__embedding/embedding_weights": (5, 3),
        "dnn/logits/kernel": (2, 3),
        "dnn/logits/bias": (3,),
        "global_step": (),
    }


@pytest.mark.parametrize("n_classes", [2, 3])
def test_predictions_have_tensorflows_keys_order_shapes_and_dtypes(tmp_path: Path, n_classes: int) -> None:
    estimator = fake_classifier(tmp_path, n_classes=n_classes)
    (batch,) = estimator.predict(lambda: iter([fake_features(5)]), yield_single_examples=False)
    logits = 1 if n_classes == 2 else n_classes
    expected = {
        "logits": ((5, logits), np.float32),
        "logistic": ((5, 1), np.float32),
        "probabilities": ((5, n_classes), np.float32),
        "class_ids": ((5, 1), np.int64),
        "classes": ((5, 1), np.dtype(object)),
        "all_class_ids": ((5, n_classes), np.int32),
        "all_classes": ((5, n_classes), np.dtype(object)),
    }
    if n_classes > 2:
        del expected["logistic"]
    assert list(batch) == list(expected)
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == expected
    np.testing.assert_allclose(batch["probabilities"].sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [(None, [b"0", b"1", b"2"]), (["no", "maybe", "ja"], [b"no", b"maybe", b"ja"]), (["no"], [b"no"])],
)
def test_classes_are_the_vocabularys_words_as_bytes(
    tmp_path: Path, vocabulary: list[str] | None, expected: list[bytes]
) -> None:
    estimator = fake_classifier(tmp_path, n_classes=3, label_vocabulary=vocabulary)
    rows = list(estimator.predict(fake_input_fn(4)))
    assert rows[0]["all_classes"].tolist() == expected
    known = dict(enumerate(expected))
    for row in rows:
        assert row["classes"].tolist() == [known.get(int(row["class_ids"][0]), b"UNK")]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_evaluation_has_tensorflows_metrics(tmp_path: Path, n_classes: int) -> None:
    metrics = fake_classifier(tmp_path, n_classes=n_classes).evaluate(
        lambda: iter(fake_batches(2, n_classes=n_classes))
    )
    common = {"accuracy", "average_loss", "global_step", "loss"}
    binary = {
        "accuracy_baseline", "auc", "auc_precision_recall", "label/mean", "precision", "prediction/mean", "recall"
    }  # fmt: skip
    assert set(metrics) == (common | binary if n_classes == 2 else common)


def test_string_labels_train_like_their_places_in_the_vocabulary(tmp_path: Path) -> None:
    words = np.array(["no", "yes"], object)
    batches = fake_batches(3)
    by_id = fake_classifier(tmp_path / "id").train(lambda: iter(batches))
    by_word = fake_classifier(tmp_path / "word", label_vocabulary=["no", "yes"])
    by_word.train(lambda: iter([(features, words[labels]) for features, labels in batches]))
    np.testing.assert_array_equal(
        by_id.get_variable_value("dnn/hiddenlayer_0/kernel"), by_word.get_variable_value("dnn/hiddenlayer_0/kernel")
    )


def test_features_beyond_the_columns_are_ignored(tmp_path: Path) -> None:
    plain = next(fake_classifier(tmp_path).predict(lambda: iter([fake_features(2)])))
    more = next(fake_classifier(tmp_path).predict(lambda: iter([{**fake_features(2), "more": np.zeros((2, 5))}])))
    assert plain["logits"] == more["logits"]


def test_params_are_empty(tmp_path: Path) -> None:
    assert fake_classifier(tmp_path).params == {}


def test_columns_may_be_given_by_an_iterator_and_the_model_built_again(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, feature_columns=iter(fake_columns()))
    run(estimator, "train")
    run(estimator, "evaluate")
    run(estimator, "predict")


def test_duplicates_in_the_vocabulary_are_found_when_labels_are_looked_up(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, label_vocabulary=["a", "a"])
    with pytest.raises(errors.FailedPreconditionError, match="duplicates"):
        estimator.train(lambda: iter([(fake_features(2), ["a", "a"])]))


def test_the_class_is_also_found_under_estimator() -> None:
    assert raydnn.estimator.DNNClassifier is raydnn.DNNClassifier


@pytest.mark.parametrize("batch_norm", [False, True])
def test_training_in_bfloat16_keeps_all_that_is_stored_in_float32_and_evaluates_in_it(
    tmp_path: Path, batch_norm: bool
) -> None:
    def trained(compute_dtype: str) -> DNNClassifier:
        config = raydnn.RunConfig(tf_random_seed=3, compute_dtype=compute_dtype)
        return fake_classifier(str(tmp_path / compute_dtype), config=config, batch_norm=batch_norm, dropout=0.2).train(
            fake_input_fn(20)
        )

    exact, rounded = trained("float32"), trained("bfloat16")
    differences = []
    for name in exact.get_variable_names():
        expected, found = exact.get_variable_value(name), rounded.get_variable_value(name)
        assert found.dtype == expected.dtype
        differences.append(float(np.abs(found - expected).max()))
        if "/Adagrad" not in name:
            np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.1)
    assert max(differences) > 1e-4

    copied = tmp_path / "copied"
    values = {name: rounded.get_variable_value(name) for name in rounded.get_variable_names()}
    raydnn.train.save_checkpoint(str(copied), values, global_step=20)
    same_weights = fake_classifier(str(copied), batch_norm=batch_norm, dropout=0.2)
    assert same_weights.evaluate(fake_input_fn(3)) == rounded.evaluate(fake_input_fn(3))
