"""Arguments that decide a network."""

import json
from typing import Any

import pytest
import torch

from raydnn.feature_column import numeric_column
from raydnn.feature_column.encoder import Encoder
from raydnn.model.network import DNN
from raydnn.model.settings import NetworkSettings

ENCODER = Encoder((numeric_column("x", 4),))


def build(settings: NetworkSettings) -> DNN:
    return settings.build(ENCODER, logits_dimension=2, seed=1)


def kernel_shapes(network: DNN) -> list[tuple[int, ...]]:
    return [tuple(variable.tensor.shape) for variable in network.variables() if variable.name.endswith("kernel")]


@pytest.mark.parametrize(
    ("hidden_units", "shapes"),
    [
        ([], [(4, 2)]),
        ([3], [(4, 3), (3, 2)]),
        ((5, 3), [(4, 5), (5, 3), (3, 2)]),
        ([2.5], [(4, 2), (2, 2)]),
        (["3"], [(4, 3), (3, 2)]),
    ],
)
def test_hidden_units_are_the_sizes_of_the_layers(hidden_units: Any, shapes: list[tuple[int, ...]]) -> None:
    assert kernel_shapes(build(NetworkSettings(hidden_units))) == shapes


@pytest.mark.parametrize("hidden_units", [None, 10, 2.5])
def test_hidden_units_that_are_no_list_are_a_type_error(hidden_units: Any) -> None:
    with pytest.raises(TypeError, match="hidden_units must be a list of layer sizes"):
        build(NetworkSettings(hidden_units))


@pytest.mark.parametrize(("hidden_units", "error"), [(["a"], ValueError), ([None], TypeError)])
def test_a_size_that_is_no_number_is_refused(hidden_units: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        build(NetworkSettings(hidden_units))


@pytest.mark.parametrize("hidden_units", [[0], [3, -1], [0.5]])
def test_a_size_below_1_is_refused(hidden_units: Any) -> None:
    with pytest.raises(ValueError, match="hidden_units must hold sizes of 1 or more"):
        build(NetworkSettings(hidden_units))


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.0, 1.5, float("nan")])
def test_a_dropout_that_is_no_probability_below_1_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=rf"dropout is the probability of dropping, in \[0, 1\); got {dropout}"):
        build(NetworkSettings([3], dropout=dropout))


@pytest.mark.parametrize("settings", [NetworkSettings([3], dropout="0.5"), NetworkSettings([3], dropout=[0.5])])
def test_a_dropout_that_is_no_number_is_refused(settings: NetworkSettings) -> None:
    with pytest.raises(ValueError, match=r"dropout is the probability of dropping, in \[0, 1\); got ('0.5'|\[0.5\])"):
        build(settings)


def test_a_partitioner_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="input_layer_partitioner must be a function of shape and dtype.*; got 5"):
        build(NetworkSettings([3], input_layer_partitioner=5))


@pytest.mark.parametrize("dropout", [None, 0, 0.0, 0.5, 0.999])
def test_a_probability_below_1_is_accepted(dropout: float | None) -> None:
    build(NetworkSettings([3], dropout=dropout))


def test_a_bad_activation_is_refused_when_the_network_is_built() -> None:
    with pytest.raises(ValueError, match="unknown activation_fn 'Relu'"):
        build(NetworkSettings([3], "Relu"))
    with pytest.raises(TypeError, match="activation_fn must be callable"):
        build(NetworkSettings([3], 5))


def test_batch_norm_adds_its_variables_to_every_hidden_layer() -> None:
    plain = {variable.name for variable in build(NetworkSettings([3, 2])).variables()}
    with_norm = {variable.name for variable in build(NetworkSettings([3, 2], batch_norm=True)).variables()}
    assert len(with_norm - plain) == 8
    assert plain < with_norm


@pytest.mark.parametrize(
    ("activation_fn", "name"), [("tanh", "tanh"), (None, "linear"), (torch.nn.functional.relu, "relu")]
)
def test_settings_survive_json(activation_fn: Any, name: str) -> None:
    settings = NetworkSettings((3.0, 2), activation_fn, 0.5, True)
    written = json.loads(json.dumps(settings.to_json()))
    assert written == {"hidden_units": [3, 2], "activation_fn": name, "dropout": 0.5, "batch_norm": True}
    assert NetworkSettings(**written).to_json() == written


def test_an_activation_of_the_users_own_cannot_be_written() -> None:
    with pytest.raises(ValueError, match=r"has no name and cannot be written; .*'relu'"):
        NetworkSettings([3], lambda x: x).to_json()
