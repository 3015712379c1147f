"""Where an embedding's table comes from, whether it learns, and lookups that are not safe."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from column_inputs import network_input, row_number_initializer

import raydnn
from raydnn import errors
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    embedding_column,
    shared_embedding_columns,
    weighted_categorical_column,
)

TABLE = "dnn/input_from_feature_columns/input_layer/i_embedding/embedding_weights"
SHARED = "dnn/input_from_feature_columns/input_layer/i_j_shared_embedding/embedding_weights"
IDS = categorical_column_with_identity("i", 4)
VALUES = np.arange(8, dtype=np.float32).reshape(4, 2) / 10
FEATURES = {"i": np.array([0, 1, 2]), "j": np.array([1, 2, 3])}


def classifier(columns: Any, model_dir: Path, **arguments: Any) -> raydnn.DNNClassifier:
    arguments = {"optimizer": "SGD", **arguments}
    config = raydnn.RunConfig(tf_random_seed=3, save_summary_steps=0, log_step_count_steps=None)
    return raydnn.DNNClassifier([], columns, model_dir=model_dir, config=config, **arguments)


def train(estimator: raydnn.DNNClassifier, steps: int = 1) -> None:
    estimator.train(lambda: (FEATURES, np.array([1, 0, 1])), steps=steps)


def pretrained(folder: Path, name: str = "words/vectors", values: np.ndarray = VALUES) -> str:
    """A model_dir whose checkpoint holds one tensor."""
    raydnn.train.save_checkpoint(str(folder), {name: values}, 7)
    return str(folder)


def from_checkpoint(checkpoint: str, name: str = "words/vectors", **arguments: Any) -> Any:
    return embedding_column(IDS, 2, ckpt_to_load_from=checkpoint, tensor_name_in_ckpt=name, **arguments)


# --- Tables from a checkpoint


@pytest.mark.parametrize("names_one_checkpoint", [True, False])
def test_a_table_begins_with_the_tensor_of_a_checkpoint_or_model_dir(
    names_one_checkpoint: bool, tmp_path: Path
) -> None:
    path = pretrained(tmp_path / "before")
    column = from_checkpoint(str(raydnn.train.latest_checkpoint(path)) if names_one_checkpoint else path)
    estimator = classifier([column], tmp_path / "model", optimizer=raydnn.train.GradientDescentOptimizer(0.0))
    train(estimator)
    np.testing.assert_array_equal(estimator.get_variable_value(TABLE), VALUES)


def test_a_table_from_a_checkpoint_learns_on(tmp_path: Path) -> None:
    estimator = classifier([from_checkpoint(pretrained(tmp_path / "before"))], tmp_path / "model")
    train(estimator)
    moved = (estimator.get_variable_value(TABLE) != VALUES).any(axis=1)
    assert moved.tolist() == [True, True, True, False]


def test_the_table_of_a_trained_classifier_can_be_taken_over(tmp_path: Path) -> None:
    first = classifier([embedding_column(IDS, 2)], tmp_path / "first")
    train(first)
    column = from_checkpoint(first.model_dir, TABLE, trainable=False)
    second = classifier([column], tmp_path / "second")
    train(second)
    np.testing.assert_array_equal(second.get_variable_value(TABLE), first.get_variable_value(TABLE))


def test_a_shared_table_can_come_from_a_checkpoint(tmp_path: Path) -> None:
    columns = shared_embedding_columns(
        [IDS, categorical_column_with_identity("j", 4)],
        2,
        ckpt_to_load_from=pretrained(tmp_path / "before"),
        tensor_name_in_ckpt="words/vectors",
        trainable=False,
    )
    estimator = classifier(columns, tmp_path / "model")
    train(estimator)
    np.testing.assert_array_equal(estimator.get_variable_value(SHARED), VALUES)


def test_the_other_tables_of_the_same_layout_keep_their_initializer(tmp_path: Path) -> None:
    other = embedding_column(categorical_column_with_identity("j", 4), 2, initializer=row_number_initializer)
    column = from_checkpoint(pretrained(tmp_path / "before"))
    estimator = classifier([column, other], tmp_path / "model", optimizer=raydnn.train.GradientDescentOptimizer(0.0))
    train(estimator)
    np.testing.assert_array_equal(estimator.get_variable_value(TABLE), VALUES)
    found = estimator.get_variable_value(TABLE.replace("i_embedding", "j_embedding"))
    np.testing.assert_array_equal(found, row_number_initializer((4, 2)))


def test_the_models_own_checkpoint_wins(tmp_path: Path) -> None:
    column = from_checkpoint(pretrained(tmp_path / "before"))
    estimator = classifier([column], tmp_path / "model", optimizer=raydnn.train.GradientDescentOptimizer(0.0))
    own = {TABLE: VALUES + 5, "dnn/logits/kernel": np.ones((2, 1)), "dnn/logits/bias": np.zeros(1)}
    raydnn.train.save_checkpoint(estimator.model_dir, own, 3)
    train(estimator)
    np.testing.assert_array_equal(estimator.get_variable_value(TABLE), VALUES + 5)
    (row,) = estimator.predict(lambda: iter([{"i": np.array([3])}]))
    np.testing.assert_allclose(row["logits"], [(VALUES[3] + 5).sum()], rtol=1e-6)


def test_a_model_without_checkpoint_predicts_with_the_given_table(tmp_path: Path) -> None:
    estimator = classifier([from_checkpoint(pretrained(tmp_path / "before", values=VALUES * 0))], tmp_path / "model")
    (row,) = estimator.predict(lambda: iter([{"i": np.array([3])}]))
    assert row["logits"] == [0]


def test_a_tensor_that_the_checkpoint_lacks_is_refused_by_name(tmp_path: Path) -> None:
    column = from_checkpoint(pretrained(tmp_path / "before"), "words/others")
    with pytest.raises(ValueError, match="'i_embedding': .* has no tensor 'words/others'"):
        train(classifier([column], tmp_path / "model"))


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (8,)])
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    column = from_checkpoint(pretrained(tmp_path / "before", values=np.zeros(shape, np.float32)))
    with pytest.raises(ValueError, match=r"'i_embedding': .* has shape \(.*\); the table has \(4, 2\)"):
        train(classifier([column], tmp_path / "model"))


def test_a_checkpoint_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError, match="is not a checkpoint"):
        train(classifier([from_checkpoint(str(tmp_path / "gone"))], tmp_path / "model"))


@pytest.mark.parametrize("arguments", [{"ckpt_to_load_from": "x"}, {"tensor_name_in_ckpt": "x"}])
def test_checkpoint_and_tensor_are_given_together(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="ckpt_to_load_from .* and tensor_name_in_ckpt .* together"):
        embedding_column(IDS, 2, **arguments)  # type: ignore[arg-type]


# --- Tables that do not learn


@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "Adam", "Ftrl", "RMSProp"])
def test_a_table_that_is_not_trainable_stays_and_has_no_slots(optimizer: str, tmp_path: Path) -> None:
    fixed = embedding_column(IDS, 2, initializer=row_number_initializer, trainable=False)
    learning = embedding_column(categorical_column_with_identity("j", 4), 2, initializer=row_number_initializer)
    estimator = classifier([fixed, learning], tmp_path, optimizer=optimizer)
    train(estimator, steps=3)
    start = row_number_initializer((4, 2))
    np.testing.assert_array_equal(estimator.get_variable_value(TABLE), start)
    assert (estimator.get_variable_value(TABLE.replace("i_embedding", "j_embedding")) != start).any()
    assert [name for name in estimator.get_variable_names() if name.startswith(TABLE)] == [TABLE]


def test_a_table_that_is_not_trainable_is_restored(tmp_path: Path) -> None:
    train(classifier([embedding_column(IDS, 2, initializer=row_number_initializer, trainable=False)], tmp_path))
    again = classifier([embedding_column(IDS, 2, trainable=False)], tmp_path)
    train(again)
    np.testing.assert_array_equal(again.get_variable_value(TABLE), row_number_initializer((4, 2)))


def test_values_are_drawn_once_and_never_again_for_a_model_with_a_checkpoint(tmp_path: Path) -> None:
    drawn: list[tuple[int, ...]] = []

    def initializer(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        drawn.append(shape)
        return VALUES

    estimator = classifier([embedding_column(IDS, 2, initializer=initializer)], tmp_path)
    train(estimator)
    train(estimator)
    estimator.evaluate(lambda: (FEATURES, np.array([1, 0, 1])), steps=1)
    next(estimator.predict(lambda: FEATURES))
    assert drawn == [(4, 2)]


# --- Lookups that are not safe


def unsafe(categorical: Any = IDS, **arguments: Any) -> Any:
    return embedding_column(
        categorical, 1, initializer=row_number_initializer, use_safe_embedding_lookup=False, **arguments
    )


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_where_every_row_has_ids_both_lookups_agree(combiner: str) -> None:
    features = {"i": [[0, 3], [2], [1, 1, 1]]}
    safe = embedding_column(IDS, 1, combiner, initializer=row_number_initializer)
    assert network_input([unsafe(combiner=combiner)], features) == network_input([safe], features)


def test_an_empty_row_within_a_batch_gives_zeros() -> None:
    assert network_input([unsafe()], {"i": [[0], [], [1]]}) == [[1], [0], [2]]


def test_weights_that_are_not_positive_count_without_the_safe_lookup() -> None:
    column = weighted_categorical_column(IDS, "w")
    features = {"i": [[0, 1]], "w": np.array([[3, -1]], np.float32)}
    assert network_input([unsafe(column)], features) == [[(3 * 1 - 1 * 2) / 2]]
    safe = embedding_column(column, 1, initializer=row_number_initializer)
    assert network_input([safe], features) == [[1]]


@pytest.mark.parametrize(
    ("categorical", "value"),
    [(IDS, -2), (IDS, -1), (categorical_column_with_vocabulary_list("i", [5, 6]), 7)],
)
def test_a_negative_id_is_refused(categorical: Any, value: int) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"'i_embedding': id -. is negative.*=False refuses"):
        network_input([unsafe(categorical)], {"i": [[value]]})


def test_a_too_large_id_is_refused() -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"id 4 is not in \[0, 4\)"):
        network_input([unsafe()], {"i": [[4]]})


@pytest.mark.parametrize(
    ("categorical", "values"),
    [(IDS, [[0], []]), (IDS, np.array([0, -1])), (categorical_column_with_hash_bucket("i", 5), np.array(["a", ""]))],
)
def test_an_empty_row_is_zero_wherever_it_stands(categorical: Any, values: Any) -> None:
    assert network_input([unsafe(categorical)], {"i": values})[1] == [0]


def test_a_classifier_trains_alike_with_both_lookups(tmp_path: Path) -> None:
    tables = []
    for is_safe in (True, False):
        column = embedding_column(IDS, 2, use_safe_embedding_lookup=is_safe)
        estimator = classifier([column], tmp_path / str(is_safe))
        train(estimator, steps=2)
        tables.append(estimator.get_variable_value(TABLE))
    np.testing.assert_array_equal(*tables)
