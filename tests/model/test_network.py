"""The network: variables, layers, and the order in which things happen."""

from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.initializers import Constant
from raydnn.model.batch import EncodedBatch, RowIds
from raydnn.model.dropout import Dropout
from raydnn.model.network import DNN, InputLayer, count_ids, scoped_name
from raydnn.model.settings import NetworkSettings

INPUT = "dnn/input_from_feature_columns/input_layer"
WORD = categorical_column_with_vocabulary_list("word", ["a", "b", "c"])


def encoder_of(*columns: Any) -> Encoder:
    return Encoder(input_layer_columns(columns))


def network_of(
    *columns: Any,
    hidden_units: tuple[int, ...] = (),
    logits: int = 1,
    activation: Any = torch.relu,
    dropout: float | None = None,
    batch_norm: bool = False,
    seed: int = 1,
) -> DNN:
    network_settings = NetworkSettings(hidden_units, activation, dropout, batch_norm)
    return network_settings.build(encoder_of(*columns), logits, seed)


def input_layer_of(encoder: Encoder) -> InputLayer:
    return NetworkSettings(()).build(encoder, logits_dimension=1, seed=1).input_layer


def batch_of(encoder: Encoder, **features: Any) -> EncodedBatch:
    return EncodedBatch.from_arrow(encoder.encode(pa.RecordBatch.from_pydict(features)))


def vectors(rows: Any) -> pa.Array:
    values = np.asarray(rows, np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def variables_of(network: DNN | InputLayer) -> dict[str, Tensor]:
    return {variable.name: variable.tensor for variable in network.variables()}


# --- Variables


def test_variables_have_tensorflows_names_and_shapes_in_the_order_of_the_layers() -> None:
    network = network_of(
        embedding_column(WORD, 5),
        indicator_column(WORD),
        numeric_column("x", 2),
        hidden_units=(4, 6),
        logits=3,
        batch_norm=True,
    )
    shapes = [(name, tuple(tensor.shape)) for name, tensor in variables_of(network).items()]
    assert shapes == [
        (f"{INPUT}/word_embedding/embedding_weights", (3, 5)),
        *[
            variable
            for layer, (inputs, units) in enumerate([(10, 4), (4, 6)])
            for variable in [
                (f"dnn/hiddenlayer_{layer}/kernel", (inputs, units)),
                (f"dnn/hiddenlayer_{layer}/bias", (units,)),
                (f"dnn/hiddenlayer_{layer}/batchnorm_{layer}/gamma", (units,)),
                (f"dnn/hiddenlayer_{layer}/batchnorm_{layer}/beta", (units,)),
                (f"dnn/hiddenlayer_{layer}/batchnorm_{layer}/moving_mean", (units,)),
                (f"dnn/hiddenlayer_{layer}/batchnorm_{layer}/moving_variance", (units,)),
            ]
        ],
        ("dnn/logits/kernel", (6, 3)),
        ("dnn/logits/bias", (3,)),
    ]


def test_without_hidden_layers_the_logits_stand_on_the_input_layer() -> None:
    network = network_of(numeric_column("x", 2))
    assert {name: tuple(tensor.shape) for name, tensor in variables_of(network).items()} == {
        "dnn/logits/kernel": (2, 1),
        "dnn/logits/bias": (1,),
    }


def test_moving_averages_and_frozen_tables_are_not_trainable() -> None:
    network = network_of(embedding_column(WORD, 5, trainable=False), hidden_units=(4,), batch_norm=True)
    fixed = [variable.name.split("/")[-1] for variable in network.variables() if not variable.trainable]
    assert fixed == ["embedding_weights", "moving_mean", "moving_variance"]


@pytest.mark.parametrize(
    ("key", "scoped"), [("word", "word"), ("a b", "a_b"), ("x/y:z", "x_y_z"), ("ok_.-9", "ok_.-9"), ("zwölf", "zw_lf")]
)
def test_a_column_name_is_made_fit_for_a_variable_name(key: str, scoped: str) -> None:
    assert scoped_name(key) == scoped
    network = network_of(embedding_column(categorical_column_with_hash_bucket(key, 3), 2))
    assert next(iter(variables_of(network))) == f"{INPUT}/{scoped}_embedding/embedding_weights"


def test_initial_values_are_glorot_kernels_zero_biases_and_neutral_normalization() -> None:
    network = network_of(numeric_column("x", 50), hidden_units=(70,), batch_norm=True)
    values = variables_of(network)
    limit = sqrt(6 / 120)
    assert values["dnn/hiddenlayer_0/kernel"].abs().max() <= limit
    assert values["dnn/hiddenlayer_0/kernel"].std().item() == pytest.approx(limit / sqrt(3), rel=0.05)
    for name, value in [("bias", 0), ("beta", 0), ("gamma", 1), ("moving_mean", 0), ("moving_variance", 1)]:
        (tensor,) = [tensor for key, tensor in values.items() if key.split("/")[-1] == name and "logits" not in key]
        assert (tensor == value).all()
    assert (values["dnn/logits/bias"] == 0).all()


def test_tables_begin_as_a_truncated_normal_of_their_dimension_or_as_told() -> None:
    many = categorical_column_with_hash_bucket("many", 3000)
    network = network_of(embedding_column(many, 16), embedding_column(WORD, 4, initializer=Constant(0.5)))
    values = variables_of(network)
    table = values[f"{INPUT}/many_embedding/embedding_weights"]
    assert table.abs().max() <= 2 / sqrt(16) + 1e-6
    assert table.std().item() == pytest.approx(0.8796 / sqrt(16), rel=0.02)
    assert (values[f"{INPUT}/word_embedding/embedding_weights"] == 0.5).all()


@pytest.mark.parametrize(("seed", "is_same"), [(1, True), (2, False)])
def test_initial_values_depend_on_the_seed(seed: int, is_same: bool) -> None:
    columns = (numeric_column("x", 3), embedding_column(WORD, 5))
    first = variables_of(network_of(*columns, hidden_units=(4,)))
    second = variables_of(network_of(*columns, hidden_units=(4,), seed=seed))
    for name in first:
        if not name.endswith("bias"):
            assert torch.equal(first[name], second[name]) == is_same


def test_initial_values_do_not_depend_on_the_other_columns() -> None:
    other = categorical_column_with_hash_bucket("a", 100)
    alone = variables_of(network_of(embedding_column(WORD, 5)))
    together = variables_of(network_of(embedding_column(WORD, 5), embedding_column(other, 5)))
    name = f"{INPUT}/word_embedding/embedding_weights"
    assert torch.equal(alone[name], together[name])


def test_layers_of_one_shape_begin_differently() -> None:
    values = variables_of(network_of(numeric_column("x", 4), hidden_units=(4, 4), logits=4))
    first, second, logits = (tensor for name, tensor in values.items() if name.endswith("kernel"))
    assert not torch.equal(first, second)
    assert not torch.equal(second, logits)


# --- Input layer


def test_columns_lie_side_by_side_in_the_order_of_their_names() -> None:
    encoder = encoder_of(
        numeric_column("z"),
        embedding_column(WORD, 2, combiner="sum"),
        indicator_column(WORD),
        numeric_column("a", 2),
    )
    layer = input_layer_of(encoder)
    (table,) = (variable.tensor for variable in layer.variables())
    batch = batch_of(encoder, z=[9.0, 8.0], a=vectors([[1, 2], [3, 4]]), word=[["a", "a"], ["?"]])
    assert layer.width == 8
    expected = torch.tensor([[1.0, 2, 0, 0, 2, 0, 0, 9], [3, 4, 0, 0, 0, 0, 0, 8]])
    expected[0, 2:4] = 2 * table[0]
    torch.testing.assert_close(layer(batch), expected)


def test_tables_of_one_layout_are_fused_and_keep_their_own_values() -> None:
    words = [categorical_column_with_vocabulary_list(f"w{place}", ["a", "b"]) for place in range(4)]
    encoder = encoder_of(
        embedding_column(words[0], 2, initializer=Constant(0.0)),
        embedding_column(words[1], 2, initializer=Constant(1.0), combiner="sum"),
        embedding_column(words[2], 2, initializer=Constant(2.0), max_norm=1.0),
        embedding_column(words[3], 3, initializer=Constant(3.0)),
    )
    layer = input_layer_of(encoder)
    assert sorted(tuple(group.weight.shape) for group in layer.groups) == [(2, 2), (2, 3), (4, 2)]
    batch = batch_of(encoder, w0=["a"], w1=["b"], w2=["a"], w3=["b"])
    clipped = 1 / sqrt(2)
    expected = [0.0, 0.0, 1.0, 1.0, clipped, clipped, 3.0, 3.0, 3.0]
    torch.testing.assert_close(layer(batch), torch.tensor([expected]))


def test_a_table_variable_is_the_memory_that_the_lookup_reads() -> None:
    encoder = encoder_of(embedding_column(WORD, 2))
    layer = input_layer_of(encoder)
    (table,) = (variable.tensor for variable in layer.variables())
    table.fill_(7)
    assert layer(batch_of(encoder, word=["a"])).tolist() == [[7.0, 7.0]]


def test_tables_follow_the_module_to_another_dtype() -> None:
    layer = input_layer_of(encoder_of(embedding_column(WORD, 2))).to(torch.float64)
    assert [variable.tensor.dtype for variable in layer.variables()] == [torch.float64]


# --- Counting ids


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(-2, 6), st.sampled_from([-1.0, 0.0, 0.5, 2.0])), max_size=5), max_size=6),
    st.booleans(),
)
def test_counts_equal_a_plain_loop(rows: list[list[tuple[int, float]]], is_weighted: bool) -> None:
    expected = np.zeros((len(rows), 5), np.float32)
    for row, pairs in enumerate(rows):
        for each, weight in pairs:
            if 0 <= each < 5:
                expected[row, each] += weight if is_weighted else 1
    flat = [pair for row in rows for pair in row]
    ids = RowIds(
        torch.tensor([each for each, _ in flat], dtype=torch.int32),
        torch.tensor(np.cumsum([0, *map(len, rows)])),
        torch.tensor([weight for _, weight in flat]) if is_weighted else None,
    )
    np.testing.assert_array_equal(count_ids(ids, len(rows), 5), expected)


def test_one_id_a_row_needs_no_offsets_to_be_counted() -> None:
    counts = count_ids(RowIds(torch.tensor([1, -1, 3])), 3, 3)
    assert counts.tolist() == [[0.0, 1.0, 0.0], [0.0] * 3, [0.0] * 3]


# --- Layers


def test_logits_are_the_chain_of_dense_layers_with_activation() -> None:
    network = network_of(numeric_column("x", 3), hidden_units=(4, 5), logits=2, activation=torch.tanh)
    values = {name: tensor.detach().double().numpy() for name, tensor in variables_of(network).items()}
    for tensor in variables_of(network).values():
        if tensor.ndim == 1:
            torch.nn.init.normal_(tensor, generator=torch.Generator().manual_seed(1))
    values = {name: tensor.detach().double().numpy() for name, tensor in variables_of(network).items()}
    x = np.random.default_rng(0).normal(size=(6, 3))
    net = x.astype(np.float32).astype(np.float64)
    for layer in range(2):
        scope = f"dnn/hiddenlayer_{layer}"
        net = np.tanh(net @ values[f"{scope}/kernel"] + values[f"{scope}/bias"])
    expected = net @ values["dnn/logits/kernel"] + values["dnn/logits/bias"]
    found = network(batch_of(encoder_of(numeric_column("x", 3)), x=vectors(x)))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_is_activated_then_dropped_then_normalized_and_the_logits_are_none_of_these() -> None:
    columns = (numeric_column("x", 3),)
    network = network_of(*columns, hidden_units=(4,), dropout=0.5, batch_norm=True).train()
    batch = batch_of(encoder_of(*columns), x=vectors(np.random.default_rng(0).normal(size=(8, 3))))
    activations: dict[str, Tensor] = {}
    logits = network(batch, Dropout(3), activations)

    values = variables_of(network)
    assert batch.dense is not None
    net = torch.relu(batch.dense @ values["dnn/hiddenlayer_0/kernel"] + values["dnn/hiddenlayer_0/bias"])
    net = Dropout(3)(net, 0.5)
    net = (net - net.mean(0)) / torch.sqrt(net.var(0, unbiased=False) + 0.001)
    torch.testing.assert_close(activations["dnn/hiddenlayer_0"], net.detach(), rtol=1e-4, atol=1e-5)
    expected = net @ values["dnn/logits/kernel"] + values["dnn/logits/bias"]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(activations["dnn/logits"], logits.detach())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_without_rows_there_are_no_logits(batch_norm: bool) -> None:
    columns = (numeric_column("x"), embedding_column(WORD, 2), indicator_column(WORD))
    network = network_of(*columns, hidden_units=(4,), logits=3, dropout=0.5, batch_norm=batch_norm).eval()
    batch = batch_of(encoder_of(*columns), x=pa.array([], pa.float32()), word=pa.array([], pa.string()))
    assert network(batch).shape == (0, 3)


# --- Dropout


def test_dropout_works_in_training_only_and_follows_its_seed() -> None:
    columns = (numeric_column("x", 3),)
    network = network_of(*columns, hidden_units=(50,), dropout=0.5)
    plain = network_of(*columns, hidden_units=(50,))
    batch = batch_of(encoder_of(*columns), x=vectors(np.ones((4, 3))))
    assert torch.equal(network.eval()(batch), plain(batch))
    network.train()
    first, again, other = (network(batch, Dropout(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
