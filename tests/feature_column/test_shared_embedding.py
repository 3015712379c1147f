"""Shared embeddings: one table for several columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from column_inputs import network_input, row_number_initializer

import raydnn
from raydnn.feature_column import (
    VarLenFeature,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    make_parse_example_spec,
    numeric_column,
    shared_embedding_columns,
    shared_embeddings,
    weighted_categorical_column,
)

Maker = Callable[..., list[Any]]
BOTH = pytest.mark.parametrize("make", [shared_embedding_columns, shared_embeddings])
INPUT = "dnn/input_from_feature_columns"


def identity(key: str, num_buckets: int = 4) -> Any:
    return categorical_column_with_identity(key, num_buckets)


def trained(columns: list[Any], features: dict[str, Any], model_dir: Path) -> raydnn.DNNClassifier:
    """One step of gradient descent, without hidden layers."""
    classifier = raydnn.DNNClassifier(
        [],
        columns,
        model_dir=model_dir,
        optimizer=raydnn.train.GradientDescentOptimizer(0.5),
        config=raydnn.RunConfig(tf_random_seed=3),
    )
    return classifier.train(lambda: (features, np.array([1, 0, 1])), steps=1)  # type: ignore[return-value]


@BOTH
def test_columns_come_in_the_order_given_with_names_of_their_own(make: Maker) -> None:
    columns = make([identity("j"), identity("i")], 3)
    assert [column.name for column in columns] == ["j_shared_embedding", "i_shared_embedding"]
    assert [column.variable_shape for column in columns] == [(3,), (3,)]
    assert [column.feature_keys for column in columns] == [("j",), ("i",)]
    assert make_parse_example_spec(columns) == {"j": VarLenFeature("int64"), "i": VarLenFeature("int64")}


@BOTH
def test_the_collection_is_named_after_the_sorted_columns(make: Maker) -> None:
    weighted = weighted_categorical_column(identity("a"), "w")
    for columns in (make([identity("j"), identity("i")], 3), make([identity("i"), identity("j")], 3)):
        assert {column.shared_embedding_collection_name for column in columns} == {"i_j_shared_embedding"}
    (_, column) = make([identity("b"), weighted], 3)
    assert column.shared_embedding_collection_name == "a_weighted_by_w_b_shared_embedding"
    (column,) = make([identity("i")], 3, shared_embedding_collection_name="places")
    assert column.shared_embedding_collection_name == "places"


@pytest.mark.parametrize(
    ("make", "name", "variable"),
    [
        (shared_embedding_columns, None, f"{INPUT}/input_layer/i_j_shared_embedding/embedding_weights"),
        (shared_embedding_columns, "a b", f"{INPUT}/input_layer/a_b/embedding_weights"),
        (shared_embeddings, None, f"{INPUT}/i_j_shared_embedding"),
        (shared_embeddings, "places", f"{INPUT}/places"),
        # TensorFlow 2.15.1 stores these two under these names.
        (shared_embedding_columns, "a/b", f"{INPUT}/input_layer/a/b/embedding_weights"),
        (shared_embeddings, "a/b", f"{INPUT}/a/b"),
    ],
)
def test_a_checkpoint_holds_one_table_under_tensorflows_name(
    make: Maker, name: str | None, variable: str, tmp_path: Path
) -> None:
    columns = make([identity("i"), identity("j")], 3, shared_embedding_collection_name=name)
    features = {"i": np.array([0, 1, 2]), "j": np.array([1, 2, 3])}
    classifier = trained(columns, features, tmp_path)
    tables = [each for each in classifier.get_variable_names() if each.startswith(INPUT)]
    assert tables == [variable]
    assert classifier.get_variable_value(variable).shape == (4, 3)


@BOTH
def test_all_columns_read_the_same_rows(make: Maker) -> None:
    columns = make([identity("i"), identity("j")], 1, initializer=row_number_initializer, combiner="sum")
    assert network_input(columns, {"i": [[0, 3], []], "j": [[1], [2]]}) == [[1 + 4, 2], [0, 3]]


@BOTH
def test_the_gradients_of_all_uses_accumulate(make: Maker, tmp_path: Path) -> None:
    features = {"i": np.array([0, 1, 1]), "j": np.array([0, 2, 1]), "k": [[3, 0], [3], []]}
    columns = make([identity(key) for key in "ijk"], 2, combiner="sum", shared_embedding_collection_name="t")
    variable = f"{INPUT}/t" if make is shared_embeddings else f"{INPUT}/input_layer/t/embedding_weights"
    random = np.random.default_rng(0)
    table, kernel = random.normal(size=(4, 2)), random.normal(size=(6, 1))
    before = {variable: table, "dnn/logits/kernel": kernel, "dnn/logits/bias": np.zeros(1)}
    raydnn.train.save_checkpoint(str(tmp_path), before, 0)
    found = trained(columns, features, tmp_path).get_variable_value(variable)

    rows = [[[id_] if np.isscalar(id_) else id_ for id_ in features[key]] for key in "ijk"]
    net = np.array([[table[ids[row]].sum(0) if ids[row] else np.zeros(2) for ids in rows] for row in range(3)]).reshape(
        3, 6
    )
    upstream = 1 / (1 + np.exp(-net @ kernel)) - np.array([[1], [0], [1]])
    gradient = np.zeros((4, 2))
    for place, ids in enumerate(rows):
        for row in range(3):
            for id_ in ids[row]:
                gradient[id_] += upstream[row] * kernel[2 * place : 2 * place + 2, 0]
    np.testing.assert_allclose(found, table - 0.5 * gradient, rtol=1e-5, atol=1e-6)


@BOTH
def test_weighted_and_plain_columns_may_share(make: Maker) -> None:
    weighted = weighted_categorical_column(identity("j"), "w")
    columns = make([identity("i"), weighted], 1, initializer=row_number_initializer, combiner="sum")
    features = {"i": np.array([1]), "j": np.array([[0, 2]]), "w": np.array([[0.5, 2.0]], np.float32)}
    # By name: i_shared_embedding stands before j_weighted_by_w_shared_embedding.
    assert network_input(columns, features) == [[2, 0.5 * 1 + 2 * 3]]


@BOTH
@pytest.mark.parametrize(
    "other",
    [
        categorical_column_with_hash_bucket("j", 4, dtype="int64"),
        categorical_column_with_vocabulary_list("j", [1, 2, 3, 4]),
        weighted_categorical_column(categorical_column_with_hash_bucket("j", 4), "w"),
    ],
)
def test_columns_of_different_kinds_are_refused(make: Maker, other: Any) -> None:
    with pytest.raises(ValueError, match="must be of one kind; 'i' is a IdentityCategoricalColumn, 'j"):
        make([identity("i"), other], 3)


@BOTH
def test_different_numbers_of_ids_are_refused(make: Maker) -> None:
    with pytest.raises(ValueError, match="must have the same number of ids; 'i' has 4, 'j' 5"):
        make([identity("i"), identity("j", 5)], 3)


@BOTH
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimension": None}, "dimension must be 1 or more"),
        ({"dimension": 0}, "dimension must be 1 or more"),
        ({"combiner": "max"}, "combiner must be one of mean, sqrtn, sum"),
        ({"initializer": 0.5}, "initializer must be callable"),
        ({"ckpt_to_load_from": "x"}, "together"),
        ({"tensor_name_in_ckpt": "x"}, "together"),
    ],
)
def test_what_an_embedding_refuses_is_refused(make: Maker, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([identity("i"), identity("j")], **{"dimension": 3, **arguments})


@BOTH
@pytest.mark.parametrize("columns", [[], [numeric_column("x")], ["i"]])
def test_something_else_than_categorical_columns_is_refused(make: Maker, columns: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"categorical"):
        make(columns, 3)


@BOTH
@pytest.mark.parametrize(("buckets", "dimension"), [(5, 3), (4, 2)])
def test_a_table_of_the_same_collection_but_another_shape_is_refused_at_build(
    make: Maker, buckets: int, dimension: int
) -> None:
    first = make([identity("i"), identity("j")], 3, shared_embedding_collection_name="t")
    second = make([identity("p", buckets), identity("q", buckets)], dimension, shared_embedding_collection_name="t")
    with pytest.raises(ValueError, match="of different shapes or settings"):
        network_input([*first, *second], {key: np.array([0]) for key in "ijpq"})


@BOTH
def test_two_calls_with_one_collection_name_share_one_table(make: Maker, tmp_path: Path) -> None:
    columns = [
        *make([identity("i")], 3, shared_embedding_collection_name="t"),
        *make([identity("j")], 3, shared_embedding_collection_name="t"),
    ]
    classifier = trained(columns, {"i": np.array([0, 1, 2]), "j": np.array([1, 2, 3])}, tmp_path)
    assert len([name for name in classifier.get_variable_names() if name.startswith(INPUT)]) == 1
