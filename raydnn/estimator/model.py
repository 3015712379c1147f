"""A model at work: a model function with its variables, slots and global step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model_fn import ModelFn, call_model_fn
from raydnn.inputs.batch import Batch
from raydnn.model.variable import Variable, assign
from raydnn.model.variable_store import VariableStore
from raydnn.train.checkpoint import VariableReader
from raydnn.train.hooks.progress import ROWS
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    LOSS,
    SUMMARY,
    SessionRunHook,
    Summary,
    variable_name,
)
from raydnn.train.optimizers.slots import Slots
from raydnn.train.optimizers.torch_optimizer import TorchSlots, make_slots
from raydnn.train.replicas import Replicas, SingleReplica
from raydnn.train.run_context import ModelContext, surroundings


class Model:
    """One model in one mode, on one replica.

    Args:
        model_fn: called for every batch.
        params: passed to it.
        config: passed to it.
        mode: a value of `ModeKeys`.
        seed: of initial values and dropout.
        replicas: the group that this replica trains in.
        device: where the variables live.
    """

    def __init__(
        self,
        model_fn: ModelFn,
        params: Mapping[str, Any],
        config: Any,
        mode: str,
        seed: int,
        replicas: Replicas | None = None,
        device: str = "cpu",
    ) -> None:
        self._replicas = replicas or SingleReplica()
        self._store = VariableStore()
        self._context = ModelContext(self._store, mode == ModeKeys.TRAIN, self._replicas, seed, torch.device(device))
        self._step = _Step(self._store, model_fn, params, config, mode)
        self._module: nn.Module = self._step
        self._slots: Slots | TorchSlots | None = None
        self._variables: dict[str, Variable] = {}
        self.prediction_hooks: Sequence[SessionRunHook] = ()

    @property
    def global_step(self) -> int:
        """The number of updates so far."""
        return self._context.global_step

    def build(self, empty: Batch) -> EstimatorSpec:
        """Make the variables, by calling the model function with a batch without rows.

        Returns:
            What it returned, for its hooks.
        """
        self._context.is_building = True
        with torch.no_grad():
            spec = self._call(empty)
        self._context.is_building = False
        self.prediction_hooks = spec.prediction_hooks
        self._variables = {variable.name: variable for variable in self._store.variables()}
        if spec.train_op is not None:
            self._slots = make_slots(spec.train_op, self._variables.values())
            self._module = self._replicas.wrap(self._step)
        return spec

    def restore(self, reader: VariableReader) -> None:
        """Take all values from a checkpoint.

        Slots that it does not have stay as they are.

        Raises:
            NotFoundError: it lacks a variable.
            InvalidArgumentError: a variable has another shape there.
        """
        values = reader.get_tensors(list(self._variables))
        with torch.no_grad():
            for name, value in values.items():
                assign(self._variables[name].tensor, value, name, reader.path)
        if self._slots is not None:
            self._slots.restore(reader)
        self._context.global_step = reader.global_step

    def set_values(self, values: Mapping[str, NDArray[Any]], global_step: int) -> None:
        """Take given values of all variables, slots aside."""
        with torch.no_grad():
            for name, variable in self._variables.items():
                assign(variable.tensor, values[name], name, "the given values")
        self.set_global_step(global_step)

    def train(self, batch: Batch, fetches: set[str]) -> dict[str, Any]:
        """Make one update; see `raydnn.train.loop.TrainableModel`."""
        self._context.wants_activations = SUMMARY in fetches
        spec = self._call(batch)
        assert spec.loss is not None
        assert spec.train_op is not None
        assert self._slots is not None
        spec.loss.backward()
        weight = torch.zeros(()) if spec.example_weight is None else spec.example_weight
        with torch.no_grad():
            loss, total_weight = self._replicas.all_sum(torch.stack([spec.loss, weight.to(spec.loss)])).tolist()
        self._slots.apply(spec.train_op.optimizer, self.global_step, self._replicas)
        self._context.global_step += 1
        known: dict[str, Any] = {LOSS: np.float32(loss), f"{LOSS}:0": np.float32(loss), ROWS: batch.global_rows}
        if SUMMARY in fetches:
            known[SUMMARY] = _summary(loss, total_weight, spec)
        return known | self.fetch(fetches - set(known), spec.predictions)

    def evaluate(self, batch: Batch) -> EstimatorSpec:
        """Loss and metrics of one batch."""
        with torch.inference_mode():
            return self._call(batch)

    def predict(self, batch: Batch) -> Any:
        """Predictions of one batch as NumPy arrays: a dict of them, or one."""
        with torch.inference_mode():
            predictions = self._call(batch).predictions
            if isinstance(predictions, Mapping):
                return {key: _to_numpy(value) for key, value in predictions.items()}
            return _to_numpy(predictions)

    def fetch(self, names: set[str], predictions: Any = None) -> dict[str, Any]:
        """Current values of variables, 'global_step' and predictions.

        Raises:
            ValueError: an unknown name.
        """
        of_batch = predictions if isinstance(predictions, Mapping) else {}
        values: dict[str, Any] = {}
        known = self.all_variables() if names - {GLOBAL_STEP} else {}
        for name in names:
            variable = known.get(variable_name(name))
            if variable_name(name) == GLOBAL_STEP:
                values[name] = np.int64(self.global_step)
            elif variable is not None:
                values[name] = _to_numpy(variable.tensor).copy()
            elif name in of_batch:
                values[name] = _to_numpy(of_batch[name])
            else:
                there = ", ".join(sorted({GLOBAL_STEP, *known, *of_batch}))
                raise ValueError(f"there is nothing to fetch under the name '{name}'; known are {there}")
        return values

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        """All variables and slots by name, without global_step."""
        return {name: _to_numpy(variable.tensor) for name, variable in self.all_variables().items()}

    def set_global_step(self, global_step: int) -> None:
        """Go on counting from there."""
        self._context.global_step = global_step

    def all_variables(self) -> dict[str, Variable]:
        """The model's variables and the optimizer's slots by name."""
        slots = () if self._slots is None else self._slots.variables()
        return self._variables | {slot.name: slot for slot in slots}

    def _call(self, batch: Batch) -> EstimatorSpec:
        with surroundings(self._context):
            return self._module(batch.features, batch.labels)


class _Step(nn.Module):
    """A model function as a torch module, so that it can be wrapped for data parallelism."""

    def __init__(
        self, store: VariableStore, model_fn: ModelFn, params: Mapping[str, Any], config: Any, mode: str
    ) -> None:
        super().__init__()
        self.store = store
        self._model_fn = model_fn
        self._params = params
        self._config = config
        self._mode = mode

    def forward(self, features: Any, labels: Any) -> EstimatorSpec:
        return call_model_fn(self._model_fn, features, labels, self._mode, self._params, self._config)


def _summary(loss: float, total_weight: float, spec: EstimatorSpec) -> Summary:
    scalars = {"loss": loss}
    if spec.example_weight is not None:
        scalars["average_loss"] = loss / total_weight if total_weight else 0.0
    histograms = {}
    for scope, values in (spec.activations or {}).items():
        array = values.detach().cpu().numpy()
        zeros = float(np.mean(array == 0)) if array.size else 0.0
        scalars[f"dnn/{scope}/fraction_of_zero_values"] = zeros
        histograms[f"dnn/{scope}/activation"] = array
    return Summary(scalars, histograms)


def _to_numpy(value: Any) -> NDArray[Any]:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)
