"""A model at work: a model function with its variables, slots and global step."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raydnn import errors
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
from raydnn.train.run_context import Call, ModelContext, surroundings


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
        self._draws_nothing = hasattr(model_fn, "encoder")
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
        try:
            with torch.no_grad():
                spec = self._call(empty)
        finally:
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

    def train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make one update; see `raydnn.train.loop.TrainableModel`."""
        call = Call(feeds or {}, batch.first_row)
        if SUMMARY in fetches:
            call.scalars, call.histograms = {}, {}
        spec = self._call(batch, call)
        assert spec.loss is not None
        assert spec.train_op is not None
        assert self._slots is not None
        spec.train_op.loss.backward()
        weight = torch.zeros(()) if spec.example_weight is None else spec.example_weight
        with torch.no_grad():
            loss, total_weight = self._replicas.all_sum(torch.stack([spec.loss, weight.to(spec.loss)])).tolist()
        self._slots.apply(spec.train_op.optimizer, self.global_step, self._replicas)
        self._context.global_step += 1
        known: dict[str, Any] = {LOSS: np.float32(loss), f"{LOSS}:0": np.float32(loss), ROWS: batch.global_rows}
        if SUMMARY in fetches:
            known[SUMMARY] = _summary(loss, total_weight if spec.example_weight is not None else None, call)
        return known | self.fetch(fetches - set(known), spec.predictions)

    def run(self, batch: Batch, feeds: Mapping[str, Any] | None = None) -> EstimatorSpec:
        """What the model function makes of one batch, without an update."""
        with torch.inference_mode():
            return self._call(batch, Call(feeds or {}, batch.first_row))

    def predict(self, batch: Batch, feeds: Mapping[str, Any] | None = None) -> Any:
        """Predictions of one batch as NumPy arrays: a dict of them, or one."""
        predictions = self.run(batch, feeds).predictions
        if isinstance(predictions, Mapping):
            return {key: to_numpy(value) for key, value in predictions.items()}
        return to_numpy(predictions)

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
                values[name] = to_numpy(variable.tensor).copy()
            elif name in of_batch:
                values[name] = to_numpy(of_batch[name])
            else:
                there = ", ".join(sorted({GLOBAL_STEP, *known, *of_batch}))
                raise ValueError(f"there is nothing to fetch under the name '{name}'; known are {there}")
        return values

    def load(self, name: str, value: Any) -> None:
        """Set a variable or a slot.

        Raises:
            NotFoundError: there is none of this name.
            InvalidArgumentError: the value has another shape.
        """
        known = self.all_variables()
        name = variable_name(name)
        if name not in known:
            raise errors.NotFoundError(f"there is no variable '{name}'; there are {', '.join(sorted(known))}")
        with torch.no_grad():
            assign(known[name].tensor, np.asarray(value), name, "the given value")

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        """All variables and slots by name, without global_step."""
        return {name: to_numpy(variable.tensor) for name, variable in self.all_variables().items()}

    def set_global_step(self, global_step: int) -> None:
        """Go on counting from there."""
        self._context.global_step = global_step

    def all_variables(self) -> dict[str, Variable]:
        """The model's variables and the optimizer's slots by name."""
        slots = () if self._slots is None else self._slots.variables()
        return self._variables | {slot.name: slot for slot in slots}

    def _call(self, batch: Batch, call: Call | None = None) -> EstimatorSpec:
        call = call or Call()
        with surroundings(self._context, call), self._seeded():
            spec: EstimatorSpec = self._module(batch.features, batch.labels)
        unknown = sorted(set(call.feeds) - call.placeholders)
        if unknown:
            known = ", ".join(sorted(call.placeholders)) or "none"
            raise ValueError(f"{', '.join(unknown)} cannot be fed; the model's placeholders are {known}")
        return spec

    def _seeded(self) -> AbstractContextManager[None]:
        """Makes what a model function of the user's own draws from torch depend on the seed and the step alone."""
        return nullcontext() if self._draws_nothing else _global_seed(self._context.step_seed(self._replicas.rank))


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


def _summary(loss: float, total_weight: float | None, call: Call) -> Summary:
    """The summary of a step.

    Args:
        loss: of the global batch.
        total_weight: of its rows, if an average is wanted.
        call: with what the model function has told.
    """
    scalars = {"loss": loss}
    if total_weight is not None:
        scalars["average_loss"] = loss / total_weight if total_weight else 0.0
    histograms = {tag: to_numpy(values) for tag, values in (call.histograms or {}).items()}
    return Summary(scalars | (call.scalars or {}), histograms)


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def to_numpy(value: Any) -> NDArray[Any]:
    """A tensor or an array in the memory of this process."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)
