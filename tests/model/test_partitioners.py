"""Partitioners: how many slices, which rows, and checkpoints that do not depend on either."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn import fixed_size_partitioner, min_max_variable_partitioner, variable_axis_size_partitioner
from raydnn.feature_column import categorical_column_with_identity, embedding_column
from raydnn.model.partitioners import Partitioner, slice_rows

TABLE = "dnn/input_from_feature_columns/input_layer/i_embedding/embedding_weights"
ROWS = 7


# --- How many slices


@pytest.mark.parametrize(
    ("num_shards", "axis", "shape", "expected"),
    [
        (3, 0, (7, 2), [3, 1]),
        (1, 0, (7, 2), [1, 1]),
        (9, 0, (7, 2), [7, 1]),
        (2, 1, (7, 3), [1, 2]),
        (5, 1, (7, 3), [1, 3]),
        (4, 0, (10,), [4]),
    ],
)
def test_a_fixed_number_of_slices_is_cut_to_the_size_of_the_axis(
    num_shards: int, axis: int, shape: tuple[int, ...], expected: list[int]
) -> None:
    assert fixed_size_partitioner(num_shards, axis)(shape, dtype="float32") == expected


@pytest.mark.parametrize(
    ("max_partitions", "min_slice_size", "shape", "expected"),
    [
        (4, 16, (4, 4), [4, 1]),
        (4, 17, (4, 4), [4, 1]),
        (4, 32, (4, 4), [2, 1]),
        (4, 33, (4, 4), [2, 1]),
        (4, 63, (4, 4), [2, 1]),
        (4, 64, (4, 4), [1, 1]),
        (3, 1, (4, 4), [3, 1]),
        (100, 1, (4, 4), [4, 1]),
        (0, 1, (4, 4), [1, 1]),
        (1, 1, (4, 4), [1, 1]),
    ],
)
def test_min_max_makes_slices_no_smaller_than_asked_for(
    max_partitions: int, min_slice_size: int, shape: tuple[int, ...], expected: list[int]
) -> None:
    assert min_max_variable_partitioner(max_partitions, 0, min_slice_size)(shape, dtype="float32") == expected


@pytest.mark.parametrize(("rows", "expected"), [(65_536, 1), (65_537, 2), (131_072, 2), (10**6, 10)])
def test_min_max_has_slices_of_256_kib_unless_told_otherwise(rows: int, expected: int) -> None:
    assert min_max_variable_partitioner(10)((rows, 1)) == [expected, 1]


def test_min_max_can_cut_along_another_axis() -> None:
    assert min_max_variable_partitioner(4, axis=1, min_slice_size=1)((5, 3)) == [1, 3]


@pytest.mark.parametrize(("axis", "shape"), [(1, (5,)), (2, (5, 3)), (0, ())])
def test_min_max_refuses_an_axis_that_the_shape_lacks(axis: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"axis {axis} is not one of the shape"):
        min_max_variable_partitioner(4, axis=axis)(shape)


@pytest.mark.parametrize(
    ("max_shard_bytes", "max_shards", "shape", "expected"),
    [
        (8, None, (7, 2), [7, 1]),
        (16, None, (7, 2), [4, 1]),
        (23, None, (7, 2), [4, 1]),
        (24, None, (7, 2), [3, 1]),
        (56, None, (7, 2), [1, 1]),
        (1, None, (7, 2), [7, 1]),
        (8, 3, (7, 2), [3, 1]),
        (56, 3, (7, 2), [1, 1]),
    ],
)
def test_variable_axis_size_makes_slices_no_larger_than_asked_for(
    max_shard_bytes: int, max_shards: int | None, shape: tuple[int, ...], expected: list[int]
) -> None:
    assert variable_axis_size_partitioner(max_shard_bytes, max_shards=max_shards)(shape) == expected


@pytest.mark.parametrize("arguments", [{"max_shard_bytes": 0}, {"max_shard_bytes": 8, "max_shards": 0}])
def test_variable_axis_size_refuses_sizes_below_one(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        variable_axis_size_partitioner(**arguments)  # type: ignore[arg-type]


# --- Which rows


@pytest.mark.parametrize(
    ("num_rows", "num_slices", "sizes"),
    [(7, 3, [3, 2, 2]), (7, 1, [7]), (7, 7, [1] * 7), (8, 3, [3, 3, 2]), (9, 3, [3, 3, 3]), (2, 3, [1, 1, 0])],
)
def test_the_first_slices_have_the_row_that_is_left_over(num_rows: int, num_slices: int, sizes: list[int]) -> None:
    slices = slice_rows(num_rows, num_slices)
    assert [stop - start for start, stop in slices] == sizes
    assert slices[0][0] == 0
    assert [start for start, _ in slices[1:]] == [stop for _, stop in slices[:-1]]
    assert slices[-1][1] == num_rows


# --- In a classifier


def classifier(model_dir: Path, partitioner: Partitioner | None, optimizer: Any = "Adam") -> raydnn.DNNClassifier:
    return raydnn.DNNClassifier(
        [2],
        [embedding_column(categorical_column_with_identity("i", ROWS), 2)],
        model_dir=model_dir,
        optimizer=optimizer,
        input_layer_partitioner=partitioner,
        config=raydnn.RunConfig(tf_random_seed=4, save_summary_steps=0),
    )


def train(estimator: raydnn.DNNClassifier, steps: int) -> None:
    features = {"i": np.arange(ROWS)}
    estimator.train(lambda: (features, np.arange(ROWS) % 2), steps=steps)


def values(estimator: raydnn.DNNClassifier, names: Sequence[str]) -> list[np.ndarray]:
    return [estimator.get_variable_value(name) for name in names]


@pytest.mark.parametrize(
    ("partitioner", "sizes"),
    [
        (None, [7]),
        (fixed_size_partitioner(2), [4, 3]),
        (fixed_size_partitioner(3), [3, 2, 2]),
        (fixed_size_partitioner(100), [1] * 7),
        (variable_axis_size_partitioner(16), [2, 2, 2, 1]),
        (min_max_variable_partitioner(3, min_slice_size=1), [3, 2, 2]),
        (min_max_variable_partitioner(3), [7]),
    ],
)
def test_slots_are_stored_in_slices_and_the_table_whole(
    partitioner: Partitioner | None, sizes: list[int], tmp_path: Path
) -> None:
    estimator = classifier(tmp_path, partitioner)
    train(estimator, 2)
    names = estimator.get_variable_names()
    assert estimator.get_variable_value(TABLE).shape == (ROWS, 2)
    for slot in ("Adam", "Adam_1"):
        slices = [f"{TABLE}/t_{place}/{slot}" for place in range(len(sizes))]
        assert [len(value) for value in values(estimator, slices)] == sizes
        assert f"{TABLE}/t_{len(sizes)}/{slot}" not in names
    assert estimator.get_variable_value("dnn/hiddenlayer_0/kernel/t_0/Adam").shape == (2, 2)
    assert "dnn/hiddenlayer_0/kernel/t_1/Adam" not in names


@pytest.mark.parametrize("optimizer", ["Adam", "Adagrad", "SGD"])
@pytest.mark.parametrize("after", [None, fixed_size_partitioner(2), fixed_size_partitioner(3)])
def test_a_checkpoint_in_two_slices_goes_on_in_any_number(
    optimizer: str, after: Partitioner | None, tmp_path: Path
) -> None:
    whole = classifier(tmp_path / "whole", None, optimizer)
    train(whole, 4)
    train(classifier(tmp_path / "parts", fixed_size_partitioner(2), optimizer), 2)
    parts = classifier(tmp_path / "parts", after, optimizer)
    train(parts, 2)

    plain = [name for name in whole.get_variable_names() if not name.startswith(f"{TABLE}/")]
    for name, found, expected in zip(plain, values(parts, plain), values(whole, plain), strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=name)
    for slot in {name.rsplit("/", 1)[1] for name in whole.get_variable_names() if name.startswith(f"{TABLE}/")}:
        slices = [name for name in parts.get_variable_names() if name.startswith(TABLE) and name.endswith(f"/{slot}")]
        expected = whole.get_variable_value(f"{TABLE}/t_0/{slot}")
        np.testing.assert_array_equal(np.concatenate(values(parts, slices)), expected, err_msg=slot)


def test_partitioning_does_not_change_what_is_learned(tmp_path: Path) -> None:
    found = []
    for place, partitioner in enumerate([None, fixed_size_partitioner(4)]):
        estimator = classifier(tmp_path / str(place), partitioner, "Ftrl")
        train(estimator, 3)
        found.append(estimator.get_variable_value(TABLE))
    np.testing.assert_array_equal(*found)


def test_slices_that_are_given_with_all_rows_are_cut(tmp_path: Path) -> None:
    column = embedding_column(categorical_column_with_identity("i", 7), 2)
    settings = {"hidden_units": [2], "feature_columns": [column], "config": raydnn.RunConfig(tf_random_seed=1)}
    partitioner = raydnn.fixed_size_partitioner(2)
    estimator = raydnn.DNNClassifier(model_dir=tmp_path / "a", input_layer_partitioner=partitioner, **settings)
    estimator.train(lambda: ({"i": np.array([0, 6])}, [0, 1]), steps=1)
    values = {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}
    table = "dnn/input_from_feature_columns/input_layer/i_embedding/embedding_weights"
    slots = [f"{table}/t_{place}/Adagrad" for place in range(2)]
    whole = np.concatenate([values[name] for name in slots])
    raydnn.train.save_checkpoint(str(tmp_path / "b"), values | dict.fromkeys(slots, whole), 1)
    again = raydnn.DNNClassifier(model_dir=tmp_path / "b", input_layer_partitioner=partitioner, **settings)
    again.train(lambda: ({"i": np.array([0])}, [0]), steps=1)
    np.testing.assert_array_equal(again.get_variable_value(slots[1]), values[slots[1]])
