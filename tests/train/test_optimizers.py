"""Every optimizer against its rule for one number, in float64, on whole variables and on touched rows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raydnn
from raydnn import train
from raydnn.feature_column import categorical_column_with_identity, embedding_column
from raydnn.model.batch import RowIds
from raydnn.model.tables import Table, TableGroup, TableUse
from raydnn.model.variable import Variable
from raydnn.train.optimizers.optimizer import Optimizer, Step
from raydnn.train.optimizers.resolve import resolve_optimizer
from raydnn.train.optimizers.slots import Slots
from raydnn.train.optimizers.torch_optimizer import TorchOptimizer
from raydnn.train.replicas import SingleReplica

CLOSE = {"rtol": 2e-5, "atol": 2e-6}
LR = 0.05
STEPS = 6

Rule = Callable[[float, float, list[float], int], float]
"""(v, g, slots, t) -> v after step t = 1, 2, ...; the slots are changed."""


# --- The rules


def gradient_descent(v: float, g: float, slots: list[float], t: int) -> float:
    return v - LR * g


def proximal(p: float, e: float, l1: float, l2: float) -> float:
    return math.copysign(max(abs(p) - e * l1, 0.0), p) / (1 + e * l2)


def proximal_gradient_descent(v: float, g: float, slots: list[float], t: int, l1: float, l2: float) -> float:
    return proximal(v - LR * g, LR, l1, l2)


def momentum(v: float, g: float, slots: list[float], t: int, mu: float, nesterov: bool) -> float:
    slots[0] = mu * slots[0] + g
    return v - LR * (g + mu * slots[0] if nesterov else slots[0])


def adagrad(v: float, g: float, slots: list[float], t: int) -> float:
    slots[0] += g * g
    return v - LR * g / math.sqrt(slots[0])


def proximal_adagrad(v: float, g: float, slots: list[float], t: int, l1: float, l2: float) -> float:
    slots[0] += g * g
    e = LR / math.sqrt(slots[0])
    return proximal(v - e * g, e, l1, l2)


def adadelta(v: float, g: float, slots: list[float], t: int, rho: float, eps: float) -> float:
    slots[0] = rho * slots[0] + (1 - rho) * g * g
    u = math.sqrt(slots[1] + eps) / math.sqrt(slots[0] + eps) * g
    slots[1] = rho * slots[1] + (1 - rho) * u * u
    return v - LR * u


def adam(v: float, g: float, slots: list[float], t: int, b1: float, b2: float, eps: float) -> float:
    slots[0] = b1 * slots[0] + (1 - b1) * g
    slots[1] = b2 * slots[1] + (1 - b2) * g * g
    return v - LR * math.sqrt(1 - b2**t) / (1 - b1**t) * slots[0] / (math.sqrt(slots[1]) + eps)


def rmsprop(v: float, g: float, slots: list[float], t: int, decay: float, mom: float, eps: float) -> float:
    slots[0] = decay * slots[0] + (1 - decay) * g * g
    slots[1] = mom * slots[1] + LR * g / math.sqrt(slots[0] + eps)
    return v - slots[1]


def centered_rmsprop(v: float, g: float, slots: list[float], t: int, decay: float, mom: float, eps: float) -> float:
    slots[0] = decay * slots[0] + (1 - decay) * g * g
    slots[1] = decay * slots[1] + (1 - decay) * g
    slots[2] = mom * slots[2] + LR * g / math.sqrt(slots[0] - slots[1] ** 2 + eps)
    return v - slots[2]


def ftrl(
    v: float,
    g: float,
    slots: list[float],
    t: int,
    power: float = -0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    shrinkage: float = 0.0,
    beta: float = 0.0,
) -> float:
    n = slots[0] + g * g
    slots[1] += g + 2 * shrinkage * v - (n**-power - slots[0] ** -power) / LR * v
    slots[0] = n
    if abs(slots[1]) <= l1:
        return 0.0
    return (math.copysign(l1, slots[1]) - slots[1]) / (n**-power / LR + 2 * (l2 + beta / (2 * LR)))


@dataclass(frozen=True)
class Case:
    """One optimizer with the rule that it must follow.

    Attributes:
        name: for the test's id.
        make: the optimizer.
        rule: see `Rule`.
        slots: the initial value of each slot.
        moves_all_rows: whether rows without a gradient move, too.
    """

    name: str
    make: Callable[[], Optimizer] = field(repr=False)
    rule: Rule = field(repr=False)
    slots: tuple[float, ...] = ()
    moves_all_rows: bool = False


CASES = [
    Case("sgd", lambda: train.GradientDescentOptimizer(LR), gradient_descent),
    Case(
        "proximal sgd",
        lambda: train.ProximalGradientDescentOptimizer(LR, 0.5, 0.3),
        partial(proximal_gradient_descent, l1=0.5, l2=0.3),
    ),
    Case(
        "proximal sgd without strengths",
        lambda: train.ProximalGradientDescentOptimizer(LR),
        partial(proximal_gradient_descent, l1=0.0, l2=0.0),
    ),
    Case("momentum", lambda: train.MomentumOptimizer(LR, 0.9), partial(momentum, mu=0.9, nesterov=False), (0.0,)),
    Case(
        "nesterov",
        lambda: train.MomentumOptimizer(LR, 0.7, use_nesterov=True),
        partial(momentum, mu=0.7, nesterov=True),
        (0.0,),
    ),
    Case("adagrad", lambda: train.AdagradOptimizer(LR), adagrad, (0.1,)),
    Case("adagrad from 2", lambda: train.AdagradOptimizer(LR, 2.0), adagrad, (2.0,)),
    Case(
        "proximal adagrad",
        lambda: train.ProximalAdagradOptimizer(LR),
        partial(proximal_adagrad, l1=0.0, l2=0.0),
        (0.1,),
    ),
    Case(
        "proximal adagrad l1",
        lambda: train.ProximalAdagradOptimizer(LR, 0.3, l1_regularization_strength=0.7),
        partial(proximal_adagrad, l1=0.7, l2=0.0),
        (0.3,),
    ),
    Case(
        "proximal adagrad l1 l2",
        lambda: train.ProximalAdagradOptimizer(LR, 0.3, 0.2, 0.6),
        partial(proximal_adagrad, l1=0.2, l2=0.6),
        (0.3,),
    ),
    Case("adadelta", lambda: train.AdadeltaOptimizer(LR), partial(adadelta, rho=0.95, eps=1e-8), (0.0, 0.0)),
    Case(
        "adadelta rho epsilon",
        lambda: train.AdadeltaOptimizer(LR, rho=0.8, epsilon=1e-2),
        partial(adadelta, rho=0.8, eps=1e-2),
        (0.0, 0.0),
    ),
    Case("adam", lambda: train.AdamOptimizer(LR), partial(adam, b1=0.9, b2=0.999, eps=1e-8), (0.0, 0.0), True),
    Case(
        "adam betas epsilon",
        lambda: train.AdamOptimizer(LR, beta1=0.5, beta2=0.9, epsilon=0.1),
        partial(adam, b1=0.5, b2=0.9, eps=0.1),
        (0.0, 0.0),
        True,
    ),
    Case("rmsprop", lambda: train.RMSPropOptimizer(LR), partial(rmsprop, decay=0.9, mom=0.0, eps=1e-10), (1.0, 0.0)),
    Case(
        "rmsprop momentum",
        lambda: train.RMSPropOptimizer(LR, decay=0.6, momentum=0.8, epsilon=0.1),
        partial(rmsprop, decay=0.6, mom=0.8, eps=0.1),
        (1.0, 0.0),
    ),
    Case(
        "centered rmsprop",
        lambda: train.RMSPropOptimizer(LR, momentum=0.5, epsilon=1e-3, centered=True),
        partial(centered_rmsprop, decay=0.9, mom=0.5, eps=1e-3),
        (1.0, 0.0, 0.0),
    ),
    Case("ftrl", lambda: train.FtrlOptimizer(LR), ftrl, (0.1, 0.0)),
    Case(
        "ftrl l1 l2",
        lambda: train.FtrlOptimizer(LR, l1_regularization_strength=0.8, l2_regularization_strength=0.4),
        partial(ftrl, l1=0.8, l2=0.4),
        (0.1, 0.0),
    ),
    Case(
        "ftrl all",
        lambda: train.FtrlOptimizer(
            LR,
            learning_rate_power=-0.7,
            initial_accumulator_value=0.6,
            l1_regularization_strength=0.1,
            l2_regularization_strength=0.2,
            l2_shrinkage_regularization_strength=0.3,
            beta=0.4,
        ),
        partial(ftrl, power=-0.7, l1=0.1, l2=0.2, shrinkage=0.3, beta=0.4),
        (0.6, 0.0),
    ),
    Case(
        "ftrl power 0",
        lambda: train.FtrlOptimizer(LR, learning_rate_power=0.0),
        partial(ftrl, power=0.0),
        (0.1, 0.0),
    ),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


# --- Variables to update


def dense_variables(values: Sequence[np.ndarray]) -> list[Variable]:
    return [
        Variable(f"v{place}", torch.nn.Parameter(torch.tensor(value, dtype=torch.float32)))
        for place, value in enumerate(values)
    ]


def table_variables(group: TableGroup) -> list[Variable]:
    return [
        Variable(table.name, group.weight.narrow(0, first, table.num_rows), True, group, first)
        for table, first in zip(group.tables, group.first_rows, strict=False)
    ]


def table_group(values: Sequence[np.ndarray]) -> TableGroup:
    tables = [Table(f"table{place}", len(value), None) for place, value in enumerate(values)]
    group = TableGroup(values[0].shape[1], tables, trainable=True, max_norm=None)
    group.weight.copy_(torch.tensor(np.concatenate(values), dtype=torch.float32))
    return group


def look_up(group: TableGroup, table: int, ids: Sequence[int], upstream: np.ndarray) -> None:
    """A backward pass that adds one row of `upstream` to the gradient of each id."""
    row_ids = RowIds(torch.tensor(ids), torch.arange(len(ids) + 1))
    (lookup,) = group.prepare([TableUse("c", table, 0, "sum")], [row_ids], [len(ids)])
    vectors = group.read(lookup)
    (vectors * torch.tensor(upstream, dtype=torch.float32)).sum().backward()


def stored(slots: Slots) -> dict[str, np.ndarray]:
    return {variable.name: variable.tensor.numpy().copy() for variable in slots.variables()}


def updated(
    case: Case, values: np.ndarray, gradients: np.ndarray, slots: list[np.ndarray], t: int, moves: np.ndarray
) -> np.ndarray:
    """One step of the rule for every number that moves; the slots are changed."""
    after = values.copy()
    for place in np.ndindex(values.shape):
        if moves[place[0]]:
            own = [float(slot[place]) for slot in slots]
            after[place] = case.rule(float(values[place]), float(gradients[place]), own, t)
            for slot, value in zip(slots, own, strict=True):
                slot[place] = value
    return after


def random_values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


# --- Values


@EVERY
def test_whole_variables_follow_the_rule(case: Case) -> None:
    values = [random_values(0, 4, 3), random_values(1, 5)]
    variables = dense_variables(values)
    optimizer = case.make()
    slots = Slots(optimizer, variables)
    expected_slots = [[np.full_like(value, first) for first in case.slots] for value in values]
    for t in range(1, STEPS + 1):
        for place, variable in enumerate(variables):
            gradient = random_values(10 * t + place, *values[place].shape)
            # Exact zeros, as behind a relu that is off.
            gradient[0] = 0.0
            variable.tensor.grad = torch.tensor(gradient, dtype=torch.float32)
            everywhere = np.ones(len(gradient), np.bool_)
            values[place] = updated(case, values[place], gradient, expected_slots[place], t, everywhere)
        slots.apply(optimizer, t - 1, SingleReplica())
        for variable, value in zip(variables, values, strict=True):
            np.testing.assert_allclose(variable.tensor.detach(), value, err_msg=f"step {t}", **CLOSE)
    found = stored(slots)
    for place in range(len(values)):
        for name, expected in zip(optimizer.slot_names, expected_slots[place], strict=True):
            np.testing.assert_allclose(found[f"v{place}/t_0/{name}"], expected, err_msg=name, **CLOSE)


@EVERY
def test_rows_of_a_table_follow_the_rule_and_only_adam_moves_the_others(case: Case) -> None:
    values = random_values(2, 6, 2)
    neighbour = random_values(3, 3, 2)
    group = table_group([neighbour, values])
    optimizer = case.make()
    slots = Slots(optimizer, table_variables(group))
    expected_slots = [np.full_like(values, first) for first in case.slots]
    for t, ids in enumerate([[0, 3, 3], [3], [5, 0, 5, 5], [1]], start=1):
        upstream = random_values(20 + t, len(ids), 2)
        look_up(group, 1, ids, upstream)
        gradients = np.zeros_like(values)
        np.add.at(gradients, ids, upstream)
        touched = np.isin(np.arange(6), ids)
        values = updated(case, values, gradients, expected_slots, t, touched | case.moves_all_rows)
        slots.apply(optimizer, t - 1, SingleReplica())
        np.testing.assert_allclose(group.weight[3:], values, err_msg=f"step {t}", **CLOSE)
    found = stored(slots)
    for name, first, expected in zip(optimizer.slot_names, case.slots, expected_slots, strict=True):
        np.testing.assert_allclose(found[f"table1/t_0/{name}"], expected, err_msg=name, **CLOSE)
        np.testing.assert_array_equal(found[f"table0/t_0/{name}"], np.full((3, 2), np.float32(first)))
    # Without any gradient there is no moment that could move a row.
    np.testing.assert_array_equal(group.weight[:3], neighbour.astype(np.float32))


@EVERY
def test_a_step_that_touches_no_row_moves_none_but_adams(case: Case) -> None:
    group = table_group([random_values(2, 4, 2)])
    optimizer = case.make()
    slots = Slots(optimizer, table_variables(group))
    look_up(group, 0, [1, 2], random_values(5, 2, 2))
    slots.apply(optimizer, 0, SingleReplica())
    before = group.weight.clone()
    slots.apply(optimizer, 1, SingleReplica())
    moved = (group.weight != before).any(dim=1).tolist()
    assert moved == ([False, True, True, False] if case.moves_all_rows else [False] * 4)


@EVERY
def test_a_variable_without_gradient_stays_with_its_slots(case: Case) -> None:
    variables = dense_variables([random_values(0, 3), random_values(1, 3)])
    optimizer = case.make()
    slots = Slots(optimizer, variables)
    before = variables[1].tensor.detach().clone()
    variables[0].tensor.grad = torch.ones(3)
    slots.apply(optimizer, 0, SingleReplica())
    np.testing.assert_array_equal(variables[1].tensor.detach(), before)
    found = stored(slots)
    for name, first in zip(optimizer.slot_names, case.slots, strict=True):
        np.testing.assert_array_equal(found[f"v1/t_0/{name}"], np.full(3, np.float32(first)))


def test_ftrl_forgets_the_initial_weights_and_zeroes_what_has_no_gradient() -> None:
    (variable,) = dense_variables([np.array([5.0, -5.0])])
    optimizer = train.FtrlOptimizer(LR)
    slots = Slots(optimizer, [variable])
    variable.tensor.grad = torch.tensor([1e-3, 0.0])
    slots.apply(optimizer, 0, SingleReplica())
    found = variable.tensor.detach().tolist()
    assert abs(found[0]) < 1e-2
    assert found[1] == 0.0


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_ftrl_may_begin_at_zero_even_where_there_is_no_gradient(l2: float) -> None:
    (variable,) = dense_variables([np.array([5.0, -5.0])])
    optimizer = train.FtrlOptimizer(LR, initial_accumulator_value=0.0, l2_regularization_strength=l2)
    slots = Slots(optimizer, [variable])
    for step in range(3):
        variable.tensor.grad = torch.tensor([1.0, 0.0])
        slots.apply(optimizer, step, SingleReplica())
    found = variable.tensor.detach().tolist()
    assert found[1] == 0.0
    assert math.isfinite(found[0])


def test_the_gradients_are_forgotten_after_a_step() -> None:
    (variable,) = dense_variables([np.zeros(2)])
    optimizer = train.GradientDescentOptimizer(1.0)
    slots = Slots(optimizer, [variable])
    variable.tensor.grad = torch.ones(2)
    slots.apply(optimizer, 0, SingleReplica())
    (variable.tensor * 2).sum().backward()
    slots.apply(optimizer, 1, SingleReplica())
    assert variable.tensor.tolist() == [-3.0, -3.0]


# --- Names in a checkpoint


TABLE = "dnn/input_from_feature_columns/input_layer/i_embedding/embedding_weights"
WEIGHTS = [TABLE, "dnn/logits/kernel", "dnn/logits/bias"]


def trained(optimizer: Any, model_dir: Path, steps: int = 3) -> raydnn.DNNClassifier:
    classifier = raydnn.DNNClassifier(
        [],
        [embedding_column(categorical_column_with_identity("i", 4), 2)],
        model_dir=model_dir,
        optimizer=optimizer,
        config=raydnn.RunConfig(tf_random_seed=2, save_summary_steps=0),
    )
    features = {"i": np.array([0, 1, 2])}
    return classifier.train(lambda: (features, np.array([1, 0, 1])), steps=steps)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        (train.GradientDescentOptimizer(LR), []),
        (train.ProximalGradientDescentOptimizer(LR), []),
        (train.MomentumOptimizer(LR, 0.9), ["Momentum"]),
        (train.AdagradOptimizer(LR), ["Adagrad"]),
        (train.ProximalAdagradOptimizer(LR), ["ProximalAdagrad"]),
        (train.AdadeltaOptimizer(LR), ["Adadelta", "Adadelta_1"]),
        (train.AdamOptimizer(LR), ["Adam", "Adam_1"]),
        (train.RMSPropOptimizer(LR), ["RMSProp", "RMSProp_1"]),
        (train.RMSPropOptimizer(LR, centered=True), ["RMSProp", "RMSProp_1", "RMSProp_2"]),
        (train.FtrlOptimizer(LR), ["Ftrl", "Ftrl_1"]),
        (train.FtrlOptimizer(LR, name="Mine"), ["Mine", "Mine_1"]),
        (train.AdagradOptimizer(LR, name="Mine"), ["Mine"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else type(value).__name__,
)
def test_a_checkpoint_holds_the_slots_under_tensorflows_names(optimizer: Any, slots: list[str], tmp_path: Path) -> None:
    classifier = trained(optimizer, tmp_path)
    expected = {"global_step", *WEIGHTS, *[f"{weight}/t_0/{slot}" for weight in WEIGHTS for slot in slots]}
    if isinstance(optimizer, train.AdamOptimizer):
        expected |= {"dnn/head/beta1_power", "dnn/head/beta2_power"}
    assert set(classifier.get_variable_names()) == expected
    for weight in WEIGHTS:
        for slot in slots:
            shape = classifier.get_variable_value(weight).shape
            assert classifier.get_variable_value(f"{weight}/t_0/{slot}").shape == shape


def test_adams_scalars_are_the_powers_of_the_next_step(tmp_path: Path) -> None:
    classifier = trained(train.AdamOptimizer(LR, beta1=0.8, beta2=0.95), tmp_path, steps=3)
    found = classifier.get_variable_value(["dnn/head/beta1_power", "dnn/head/beta2_power"])
    np.testing.assert_allclose(found, [0.8**4, 0.95**4], rtol=1e-6)
    assert all(value.shape == () and value.dtype == np.float32 for value in found)


@EVERY
def test_a_resumed_training_equals_one_in_one_go(case: Case, tmp_path: Path) -> None:
    whole = trained(case.make(), tmp_path / "whole", steps=4)
    trained(case.make(), tmp_path / "parts", steps=2)
    parts = trained(case.make(), tmp_path / "parts", steps=2)
    assert whole.get_variable_names() == parts.get_variable_names()
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(whole.get_variable_value(name), parts.get_variable_value(name), err_msg=name)


def test_a_model_without_trainable_variables_is_refused() -> None:
    with pytest.raises(ValueError, match="no variable is trainable"):
        Slots(train.GradientDescentOptimizer(LR), [Variable("v", torch.zeros(1), trainable=False)])


# --- Arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train.AdagradOptimizer(LR, 0.0), "initial_accumulator_value must be positive; got 0.0"),
        (lambda: train.AdagradOptimizer(LR, -1.0), "initial_accumulator_value must be positive"),
        (lambda: train.ProximalAdagradOptimizer(LR, 0.0), "initial_accumulator_value must be positive"),
        (
            lambda: train.ProximalAdagradOptimizer(LR, l1_regularization_strength=-0.1),
            "l1_regularization_strength must not be negative",
        ),
        (
            lambda: train.ProximalAdagradOptimizer(LR, l2_regularization_strength=-0.1),
            "l2_regularization_strength must not be negative",
        ),
        (
            lambda: train.ProximalGradientDescentOptimizer(LR, l1_regularization_strength=-0.1),
            "l1_regularization_strength must not be negative",
        ),
        (lambda: train.FtrlOptimizer(LR, learning_rate_power=0.1), "learning_rate_power must be 0 or less; got 0.1"),
        (lambda: train.FtrlOptimizer(LR, initial_accumulator_value=-0.1), "initial_accumulator_value must not be"),
        (lambda: train.FtrlOptimizer(LR, l1_regularization_strength=-0.1), "l1_regularization_strength must not be"),
        (lambda: train.FtrlOptimizer(LR, l2_regularization_strength=-0.1), "l2_regularization_strength must not be"),
        (
            lambda: train.FtrlOptimizer(LR, l2_shrinkage_regularization_strength=-0.1),
            "l2_shrinkage_regularization_strength must not be",
        ),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(make: Callable[[], Optimizer], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "kind",
    [
        train.GradientDescentOptimizer,
        train.ProximalGradientDescentOptimizer,
        train.MomentumOptimizer,
        train.AdagradOptimizer,
        train.ProximalAdagradOptimizer,
        train.RMSPropOptimizer,
        train.FtrlOptimizer,
    ],
)
def test_most_optimizers_need_a_learning_rate(kind: type[Optimizer]) -> None:
    with pytest.raises(TypeError, match="learning_rate"):
        kind()  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [train.AdamOptimizer, train.AdadeltaOptimizer])
def test_adam_and_adadelta_have_a_default_learning_rate(kind: type[Optimizer]) -> None:
    assert kind().learning_rate == 0.001  # type: ignore[call-arg]


# --- What the argument of an estimator may be


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Adagrad", train.AdagradOptimizer),
        ("Adam", train.AdamOptimizer),
        ("Ftrl", train.FtrlOptimizer),
        ("RMSProp", train.RMSPropOptimizer),
        ("SGD", train.GradientDescentOptimizer),
    ],
)
def test_five_names_stand_for_optimizers_with_the_rate_005(name: str, kind: type[Optimizer]) -> None:
    optimizer = resolve_optimizer(name)
    assert type(optimizer) is kind
    assert optimizer.learning_rate == 0.05
    assert optimizer.slot_values == kind(0.05).slot_values  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["adam", "Momentum", "GradientDescent", ""])
def test_another_name_is_refused_with_the_known_ones_sorted(name: str) -> None:
    with pytest.raises(ValueError, match=r"\['Adagrad', 'Adam', 'Ftrl', 'RMSProp', 'SGD'\]"):
        resolve_optimizer(name)


def test_an_optimizer_stands_for_itself() -> None:
    optimizer = train.MomentumOptimizer(LR, 0.9)
    assert resolve_optimizer(optimizer) is optimizer
    assert resolve_optimizer(lambda: optimizer) is optimizer
    assert resolve_optimizer(partial(train.MomentumOptimizer, LR, 0.9)).slot_values == (0.0,)


def test_a_class_that_needs_no_arguments_is_called() -> None:
    assert type(resolve_optimizer(train.AdamOptimizer)) is train.AdamOptimizer
    with pytest.raises(TypeError, match="learning_rate"):
        resolve_optimizer(train.AdagradOptimizer)


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.AdamW,
        partial(torch.optim.AdamW, lr=0.1),
        lambda: torch.optim.AdamW,
        lambda: partial(torch.optim.AdamW, lr=0.1),
    ],
)
def test_torchs_classes_and_partial_calls_of_them_are_accepted(optimizer: Any) -> None:
    resolved = resolve_optimizer(optimizer)
    assert isinstance(resolved, TorchOptimizer)
    assert resolved.name == "AdamW"


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        3,
        lambda: None,
        lambda: "Adam",
        object(),
        lambda: torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1),
    ],
)
def test_what_is_no_optimizer_is_refused(optimizer: Any) -> None:
    with pytest.raises(ValueError, match="optimizer must be a name or an optimizer of raydnn.train"):
        resolve_optimizer(optimizer)


@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
def test_an_unknown_name_is_refused_when_a_model_is_built_for_any_purpose(mode: str, tmp_path: Path) -> None:
    column = embedding_column(categorical_column_with_identity("i", 4), 2)
    classifier = raydnn.DNNClassifier([], [column], model_dir=tmp_path, optimizer="adam")
    batch = ({"i": np.array([0, 1])}, np.array([0, 1]))
    with pytest.raises(ValueError, match="unsupported optimizer name 'adam'"):
        if mode == "train":
            classifier.train(lambda: batch, steps=1)
        elif mode == "evaluate":
            classifier.evaluate(lambda: iter([batch]))
        else:
            next(classifier.predict(lambda: iter([batch])))


@pytest.mark.parametrize("name", ["", None])
def test_an_optimizer_without_a_name_is_refused(name: Any) -> None:
    # TensorFlow 2.15.1: ValueError, "Must specify the optimizer name".
    with pytest.raises(ValueError, match="name must not be empty"):
        train.AdagradOptimizer(0.1, name=name)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (lambda: train.GradientDescentOptimizer(None), "learning_rate"),
        (lambda: train.AdagradOptimizer("0.1"), "learning_rate"),
        (lambda: train.AdagradOptimizer(0.1, None), "initial_accumulator_value"),
        (lambda: train.MomentumOptimizer(0.1, None), "momentum"),
        (lambda: train.RMSPropOptimizer(0.1, decay="0.9"), "decay"),
        (lambda: train.AdamOptimizer(0.1, beta2=None), "beta2"),
        (lambda: train.FtrlOptimizer(0.1, None), "learning_rate_power"),
    ],
)
def test_a_hyperparameter_that_is_no_number_is_named(made: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a number; got (None|'0.[19]')$"):
        made()


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    for value in (np.float32(0.5), np.int64(1), torch.tensor(0.5)):
        train.MomentumOptimizer(value, value)


def test_what_a_rule_divides_by_must_not_be_0() -> None:
    with pytest.raises(ValueError, match="beta1 must not be 1"):
        train.AdamOptimizer(0.1, beta1=1.0)
    weights, slots = [torch.ones(1)], [[torch.ones(1)], [torch.ones(1)]]
    with pytest.raises(ValueError, match="learning_rate is 0, by which Ftrl divides"):
        train.FtrlOptimizer(0.1).update(Step(0.0, {}), weights, [torch.ones(1)], *slots)
